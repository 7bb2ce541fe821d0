"""Sync, thread and process: the same results, each in its place, each surviving what it can."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from edgevid.core.errors import MissingPartError
from edgevid.runtime import Pipeline, StageFailedError
from edgevid.runtime.stage import EXECUTORS, Executor
from tests.runtime.bodies import (
    Poisoned,
    ProcessId,
    Total,
    broken_make,
    count_up,
    double,
    missing_part,
    thrice_then_hang,
    unpicklable,
)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_results_are_the_same_everywhere(executor: Executor) -> None:
    with Pipeline() as pipeline:
        numbers = pipeline.source("numbers", range(20))
        doubled = pipeline.stage("double", double, after=numbers, executor=executor)
        total = pipeline.stage("total", make=Total, after=doubled, executor=executor)
        out = pipeline.output("out", after=[doubled, total])
        pipeline.start()
        got = [m.payload for m in out]
    assert sorted(got) == sorted([*(2 * n for n in range(20)), 380])


def test_where_each_runs() -> None:
    threads: dict[str, str] = {}

    def note(name: str, n: int) -> int:
        threads[name] = threading.current_thread().name
        return n

    with Pipeline() as pipeline:
        numbers = pipeline.source("numbers", range(1))
        a = pipeline.stage("a", partial(note, "a"), after=numbers)
        b = pipeline.stage("b", partial(note, "b"), after=a, executor="sync")
        c = pipeline.stage("c", partial(note, "c"), after=b)
        out = pipeline.output("out", after=pipeline.stage("d", make=ProcessId, after=c, executor="process"))
        pipeline.start()
        [message] = list(out)
    assert threads == {"a": "edgevid-a", "b": "edgevid-a", "c": "edgevid-c"}
    assert message.payload != os.getpid()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_crash_loses_its_message_and_the_state_is_made_anew(executor: Executor) -> None:
    with Pipeline() as pipeline:
        numbers = pipeline.source("numbers", [1, 2, -1, 3, 4])
        stage = pipeline.stage("poisoned", make=Poisoned, after=numbers, executor=executor)
        out = pipeline.output("out", after=stage)
        pipeline.start()
        assert [m.payload for m in out] == [(1, 1), (2, 2), (3, 1), (4, 2)]
    found = pipeline.metrics().stage("poisoned")
    assert (found.runs, found.failed, found.restarts) == (5, 1, 1)


def test_a_process_that_dies_is_replaced() -> None:
    with Pipeline() as pipeline:
        numbers = pipeline.source("numbers", [1, -2, 2])
        stage = pipeline.stage("poisoned", make=Poisoned, after=numbers, executor="process")
        out = pipeline.output("out", after=stage)
        pipeline.start()
        assert [m.payload for m in out] == [(1, 1), (2, 1)]
    assert pipeline.metrics().stage("poisoned").restarts == 1


def test_a_process_that_hangs_is_killed_and_replaced() -> None:
    with Pipeline() as pipeline:
        numbers = pipeline.source("numbers", [1, -3, 2])
        stage = pipeline.stage("poisoned", make=Poisoned, after=numbers, executor="process", hang_s=0.5)
        out = pipeline.output("out", after=stage)
        pipeline.start()
        assert [m.payload for m in out] == [(1, 1), (2, 1)]
    found = pipeline.metrics().stage("poisoned")
    assert (found.failed, found.restarts, found.abandoned) == (1, 1, 0)


def test_a_process_stops_an_endless_answer_when_cancelled() -> None:
    sent = threading.Event()

    def numbers() -> Iterator[int]:
        yield 100
        sent.wait(30)
        yield 200

    with Pipeline() as pipeline:
        source = pipeline.source("numbers", numbers())
        stage = pipeline.stage("count", count_up, after=source, executor="process")
        out = pipeline.output("out", after=stage)
        pipeline.start()
        assert [out.get(30).payload for _ in range(3)] == [100, 101, 102]  # type: ignore[union-attr]
        pipeline.cancel()
        sent.set()
        assert out.get(30).payload == 200  # type: ignore[union-attr]
        pipeline.stop()


def test_a_process_that_does_not_stop_when_cancelled_is_killed() -> None:
    sent = threading.Event()

    def numbers() -> Iterator[int]:
        yield 1
        sent.wait(30)
        yield from (2, 3)  # 2 finds the process killed

    with Pipeline() as pipeline:
        source = pipeline.source("numbers", numbers())
        stage = pipeline.stage("hangs", thrice_then_hang, after=source, executor="process", hang_s=0.5)
        out = pipeline.output("out", after=stage, capacity=1)
        pipeline.start()
        while pipeline.metrics().channel("out").depth == 0:
            time.sleep(0.01)
        pipeline.cancel()
        sent.set()
        assert out.get(30).payload == 3  # type: ignore[union-attr]
        assert pipeline.metrics().stage("hangs").restarts == 1
        pipeline.stop()


def test_what_cannot_cross_is_a_crash_not_a_hang() -> None:
    with Pipeline() as pipeline:
        stage = pipeline.stage(
            "unpicklable", unpicklable, after=pipeline.source("n", range(6)), executor="process"
        )
        out = pipeline.output("out", after=stage)
        pipeline.start()
        with pytest.raises(StageFailedError, match=r"unpicklable.*6 times within 60 s.*lambda") as caught:
            list(out)
    assert "in _answer" in caught.value.__cause__.__notes__[0]  # where in the process it was


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_cannot_be_made_fails_loudly(executor: Executor) -> None:
    with Pipeline() as pipeline, pytest.raises(StageFailedError, match="cannot be made"):
        pipeline.stage("broken", make=broken_make, after=pipeline.source("n", range(3)), executor=executor)
        pipeline.run()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_missing_part_is_said_at_once_with_its_fix(executor: Executor) -> None:
    with Pipeline() as pipeline, pytest.raises(MissingPartError, match="no voice") as caught:
        pipeline.stage("voice", make=missing_part, after=pipeline.source("n", range(3)), executor=executor)
        pipeline.run()
    assert caught.value.fix == "apt-get install voice"


def test_stopping_kills_a_busy_process_in_time() -> None:
    with Pipeline() as pipeline:
        numbers = pipeline.source("numbers", [1, -3])
        out = pipeline.output(
            "out", after=pipeline.stage("poisoned", make=Poisoned, after=numbers, executor="process")
        )
        pipeline.start()
        assert out.get(30) is not None
        began = time.monotonic()
        pipeline.stop()
        assert time.monotonic() - began <= 3
