"""pytest-benchmark over the runtime: one message through channels, stages and the budget."""

from __future__ import annotations

from typing import Any

import pytest

from edgevid.runtime import CpuBudget, Pipeline
from edgevid.runtime.channel import POLICIES, Channel, Policy
from edgevid.runtime.message import Message

MESSAGES = 1000


@pytest.mark.parametrize("policy", POLICIES)
def test_put_and_get(benchmark: Any, policy: Policy) -> None:
    channel = Channel[int]("c", policy=policy)
    message = Message(1, 0, 0, "bench", 0, 0)

    def pass_on() -> None:
        channel.put(message)
        channel.get(0)

    benchmark(pass_on)


@pytest.mark.parametrize("workload", ["hard", "soft", "background"])
def test_take_and_give_back(benchmark: Any, workload: Any) -> None:
    budget = CpuBudget(cores=2)
    benchmark(lambda: budget.give_back(workload, budget.take(workload)))


@pytest.mark.parametrize("executor", ["sync", "thread", "process"])
def test_a_thousand_messages_through_four_stages(benchmark: Any, executor: Any) -> None:
    def run() -> None:
        with Pipeline(budget=CpuBudget(cores=2)) as pipeline:
            node = pipeline.source("numbers", range(MESSAGES))
            for n in range(4):
                node = pipeline.stage(f"stage {n}", abs, after=node, executor=executor)
            pipeline.run()

    benchmark.pedantic(run, rounds=3, warmup_rounds=1)
    benchmark.extra_info["us_per_hop"] = round(benchmark.stats.stats.min / MESSAGES / 4 * 1e6, 1)
