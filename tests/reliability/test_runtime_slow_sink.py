"""A sink that cannot keep up costs frames, never latency."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from edgevid.runtime import Pipeline, Policy
from edgevid.runtime.ticks import Ticks


@dataclass
class Seen:
    """Ages, in ms, of the frames a slow sink got, when it got them."""

    ages: list[float]
    sleep_s: float

    def __call__(self, born_ns: int) -> None:
        self.ages.append((time.monotonic_ns() - born_ns) / 1e6)
        time.sleep(self.sleep_s)


def frames(period_s: float, seconds: float) -> Iterator[int]:
    """The time at which each frame was captured."""
    for _ in itertools.islice(Ticks(period_s), int(seconds / period_s)):
        yield time.monotonic_ns()


def run_slow_sink(policy: Policy, *, seconds: float, period_s: float = 0.04) -> None:
    seen = Seen([], 4 * period_s)
    with Pipeline() as pipeline:
        camera = pipeline.source("camera", frames(period_s, seconds))
        work = pipeline.stage("work", lambda frame: frame, after=camera, policy=policy, capacity=2)
        pipeline.stage("sink", seen, after=work, policy="latest-only")
        pipeline.run()
        metrics = pipeline.metrics()
    for channel in metrics.channels:
        assert channel.entered == channel.left + channel.dropped
        assert channel.depth == 0
    sink = metrics.channel("sink")
    assert metrics.channel("work").entered == metrics.stage("camera").runs
    assert sink.entered == metrics.stage("work").runs
    assert sink.left == len(seen.ages) == metrics.stage("sink").runs
    assert 0.5 * sink.entered < sink.dropped < sink.entered
    bound_ms = 2e3 * period_s + metrics.stage("sink").run_p99_ms
    ages = sorted(seen.ages)
    assert ages[int(0.99 * len(ages))] <= bound_ms
    # No frame waits for the sink longer than one period more than the newest could have.
    assert sink.age_p50_ms <= 2e3 * period_s


@pytest.mark.parametrize("policy", ["drop-oldest", "latest-only", "block"])
def test_a_sink_four_times_too_slow_gets_new_frames(policy: Policy) -> None:
    run_slow_sink(policy, seconds=4)


@pytest.mark.soak
def test_a_sink_four_times_too_slow_for_a_minute() -> None:
    run_slow_sink("drop-oldest", seconds=60)
