"""Pipelines come and go without leaving threads, file descriptors or memory behind."""

from __future__ import annotations

import gc
import os
import threading
from functools import partial
from pathlib import Path

import pytest

from edgevid.runtime import CpuBudget, Pipeline
from tests.runtime.bodies import Total, double


def one(executor: str = "thread", *, leave_early: bool = False) -> None:
    with Pipeline(budget=_BUDGET) as pipeline:
        numbers = pipeline.source("numbers", range(20))
        doubled = pipeline.stage("double", double, after=numbers)
        total = pipeline.stage("total", make=Total, after=[doubled, numbers], by_pts=True, executor=executor)
        out = pipeline.output("out", after=total, capacity=1)
        pipeline.start()
        if not leave_early:
            assert [m.payload for m in out] == [570]


_BUDGET = CpuBudget(cores=2)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def threads() -> set[str]:
    return {t.name for t in threading.enumerate() if t.name.startswith("edgevid-") and t.is_alive()}


def assert_nothing_stays(run: partial[None], times: int) -> None:
    run()  # what is made once, is made now: the resource tracker of multiprocessing, caches
    gc.collect()
    before_threads, before_files = threads(), open_files()
    for _ in range(times):
        run()
    gc.collect()
    assert threads() <= before_threads
    assert open_files() <= before_files


@pytest.mark.parametrize("leave_early", [False, True])
def test_a_hundred_pipelines_leave_nothing_behind(leave_early: bool) -> None:
    assert_nothing_stays(partial(one, leave_early=leave_early), 100)


def test_pipelines_with_processes_leave_nothing_behind() -> None:
    assert_nothing_stays(partial(one, "process"), 8)


@pytest.mark.soak
def test_ten_thousand_pipelines_do_not_grow() -> None:
    for _ in range(3000):
        one()
    gc.collect()
    before = resident_bytes()
    for _ in range(7000):
        one()
    gc.collect()
    assert resident_bytes() - before < 1_000_000


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
