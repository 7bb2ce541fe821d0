"""The budget reaches the threads of others: onnxruntime's and the native pool's, opened by a stage."""

from __future__ import annotations

import importlib
import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevid.models.session import onnx_session
from edgevid.runtime import CpuBudget, Pipeline


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with one matrix product."""
    from onnx import TensorProto, helper, save

    side = [64, 64]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "x"], ["y"])],
        "square",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, side)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, side)],
    )
    path = tmp_path_factory.mktemp("onnx") / "square.onnx"
    opset = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def native_threads() -> set[int]:
    """Threads of this process that Python does not know; its own need a moment until it does."""
    time.sleep(0.2)
    every = {int(task.name) for task in Path("/proc/self/task").iterdir()}
    return every - {thread.native_id for thread in threading.enumerate()}


class Network:
    """Opens a session as a stage should, and says how its threads are scheduled."""

    def __init__(self, path: Path, threads: int) -> None:
        before = native_threads()
        self._session = onnx_session(path, threads=threads)
        self._threads = native_threads() - before

    def __call__(self, n: int) -> list[tuple[int, int]]:
        self._session.run({"x": np.eye(64, dtype=np.float32)})
        return [(os.sched_getscheduler(t), os.getpriority(os.PRIO_PROCESS, t)) for t in self._threads]


def test_a_networks_threads_inherit_the_class_of_their_stage(network: Path) -> None:
    budget = CpuBudget(cores=3)
    threads = budget.threads("background")
    with Pipeline(budget=budget) as pipeline:
        stage = pipeline.stage(
            "network",
            make=lambda: Network(network, threads),
            after=pipeline.source("one", [1]),
            workload="background",
            threads=threads,
        )
        out = pipeline.output("out", after=stage)
        pipeline.start()
        [message] = list(out)
    assert len(message.payload) >= threads - 1  # the calling thread is one of them
    assert all(policy == os.SCHED_BATCH and nice >= 10 for policy, nice in message.payload)


def test_soft_networks_never_keep_more_threads_busy_than_there_are_cores(network: Path) -> None:
    budget = CpuBudget(cores=4, hard_cores=1)
    running = most = 0
    lock = threading.Lock()

    def measured(session: Any, threads: int) -> Any:
        def run(n: int) -> None:
            nonlocal running, most
            with lock:
                running += threads
                most = max(most, running)
            session.run({"x": np.eye(64, dtype=np.float32)})
            with lock:
                running -= threads

        return run

    with Pipeline(budget=budget) as pipeline:
        numbers = pipeline.source("numbers", range(50))
        for wanted in (1, 2, 0):
            threads = budget.threads("soft", wanted)
            body = measured(onnx_session(network, threads=threads), threads)
            pipeline.stage(f"network {wanted}", body, after=numbers, threads=threads)
        pipeline.run()
    assert most <= 3  # 4 cores, one kept for the hard class


def test_the_native_pool_inherits_too() -> None:
    try:
        ops = importlib.import_module("edgevid._native").ops
    except ImportError:
        pytest.skip("the native core is not built")

    class Pool:
        def __init__(self) -> None:
            before = native_threads()
            self.cache = ops.KvCache(num_pages=1, page_size=16, num_kv_heads=1, head_dim=16, threads=3)
            self.threads = native_threads() - before

        def __call__(self, n: int) -> list[int]:
            return [os.sched_getscheduler(thread) for thread in self.threads]

    with Pipeline() as pipeline:
        stage = pipeline.stage(
            "pool", make=Pool, after=pipeline.source("one", [1]), workload="background", threads=3
        )
        out = pipeline.output("out", after=stage)
        pipeline.start()
        assert next(iter(out)).payload == [os.SCHED_BATCH] * 2
