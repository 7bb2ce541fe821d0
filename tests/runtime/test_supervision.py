"""Stages that crash or hang restart; the sixth time within a minute ends the pipeline with a clear error."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from edgevid.runtime import Pipeline, StageFailedError
from edgevid.runtime import supervisor as supervision
from edgevid.runtime.supervisor import Supervisor
from edgevid.runtime.trace import Trace
from tests.runtime.bodies import Poisoned


def test_a_thread_that_hangs_is_replaced_and_its_late_result_dropped() -> None:
    came_back = threading.Event()

    class Late(Poisoned):
        def __call__(self, n: int) -> tuple[int, int]:
            result = super().__call__(n)
            if n == -3:
                came_back.set()
            return result

    def numbers() -> Iterator[int]:
        yield from (1, -3, 2)
        came_back.wait(30)
        yield 3

    with Pipeline() as pipeline:
        stage = pipeline.stage(
            "hangs", make=partial(Late, 1.0), after=pipeline.source("n", numbers()), hang_s=0.2
        )
        out = pipeline.output("out", after=stage)
        pipeline.start()
        assert [m.payload for m in out] == [(1, 1), (2, 1), (3, 2)]
    found = pipeline.metrics().stage("hangs")
    assert (found.failed, found.restarts, found.abandoned) == (1, 1, 1)


def test_a_sync_stage_that_hangs_costs_its_thread_but_not_the_stage_before_it() -> None:
    with Pipeline() as pipeline:
        before = pipeline.stage("before", lambda n: n, after=pipeline.source("n", [1, -3, 2]))
        stage = pipeline.stage(
            "hangs", make=partial(Poisoned, 5.0), after=before, executor="sync", hang_s=0.2
        )
        out = pipeline.output("out", after=stage)
        pipeline.start()
        assert [m.payload for m in out] == [(1, 1), (2, 1)]
        found = pipeline.metrics()
    assert found.stage("hangs").abandoned == 1
    assert (found.stage("before").failed, found.stage("before").abandoned) == (0, 0)


def test_the_clock_of_a_source_goes_on_when_its_thread_is_replaced() -> None:
    with Pipeline() as pipeline:
        source = pipeline.source("n", [1, -3, 2])
        stage = pipeline.stage(
            "hangs", make=partial(Poisoned, 5.0), after=source, executor="sync", hang_s=0.2
        )
        out = pipeline.output("out", after=stage)
        pipeline.start()
        first, second = out
    assert second.pts_ns - first.pts_ns >= 200_000_000


def test_making_may_take_longer_than_a_run() -> None:
    def slowly() -> Poisoned:
        time.sleep(0.5)
        return Poisoned()

    with Pipeline() as pipeline:
        stage = pipeline.stage("slow", make=slowly, after=pipeline.source("n", [1, 2]), hang_s=0.1)
        out = pipeline.output("out", after=stage)
        pipeline.start()
        assert [m.payload for m in out] == [(1, 1), (2, 2)]


@pytest.mark.parametrize("crashes", [5, 6])
def test_five_crashes_are_survived_the_sixth_is_not(crashes: int, caplog: pytest.LogCaptureFixture) -> None:
    got: list[tuple[int, int]] = []
    with caplog.at_level(logging.WARNING), Pipeline(trace=100) as pipeline:
        stage = pipeline.stage("bad", make=Poisoned, after=pipeline.source("n", [*[-1] * crashes, 1]))
        pipeline.stage("keep", got.append, after=stage)
        if crashes == 5:
            pipeline.run()
            assert got == [(1, 1)]
        else:
            with pytest.raises(
                StageFailedError, match=r"'bad' failed 6 times within 60 s.*poisoned"
            ) as caught:
                pipeline.run()
            assert isinstance(caught.value.__cause__, RuntimeError)
            assert got == []
    assert len([r for r in caplog.records if "'bad' restarts" in r.getMessage()]) == 5
    marks = [e for e in pipeline.trace.to_json()["traceEvents"] if e["name"] == "restart"]
    assert len(marks) == 5


def test_six_hangs_fail_loudly_too() -> None:
    with Pipeline() as pipeline:
        stage = pipeline.stage(
            "hangs", make=partial(Poisoned, 20.0), after=pipeline.source("n", [-3] * 6), hang_s=0.05
        )
        pipeline.stage("keep", print, after=stage)
        with pytest.raises(StageFailedError, match=r"no result within 0\.05 s"):
            pipeline.run()


def test_crashes_far_apart_are_forgiven(monkeypatch: pytest.MonkeyPatch) -> None:
    minutes = iter(range(100))
    monkeypatch.setattr(supervision, "now_ns", lambda: next(minutes) * 13 * 10**9)
    watch = Supervisor(failed=lambda error: None, trace=Trace())
    for _ in range(50):  # one each 13 s: the sixth comes 65 s after the first
        watch.crashed("camera", RuntimeError("lost"))


def test_a_source_given_as_a_function_is_opened_again() -> None:
    opened: list[int] = []

    def camera() -> Iterator[int]:
        opened.append(1)
        yield len(opened)
        if len(opened) < 4:
            raise ConnectionError("lost")

    with Pipeline() as pipeline:
        out = pipeline.output("out", after=pipeline.source("camera", camera))
        pipeline.start()
        assert [m.payload for m in out] == [1, 2, 3, 4]
        assert pipeline.metrics().stage("camera").restarts == 3


def test_a_source_that_never_opens_fails_loudly() -> None:
    def camera() -> Iterator[int]:
        raise ConnectionError("refused")

    with Pipeline() as pipeline, pytest.raises(StageFailedError, match="refused"):
        pipeline.source("camera", camera)
        pipeline.run()


def test_a_hung_thread_gives_its_cores_back() -> None:
    with Pipeline() as pipeline:
        stage = pipeline.stage(
            "hangs",
            make=partial(Poisoned, 5.0),
            after=pipeline.source("n", [-3, 1]),
            threads=pipeline.budget.cores,
            hang_s=0.1,
        )
        out = pipeline.output("out", after=stage)
        pipeline.start()
        assert [m.payload for m in out] == [(1, 1)]
        assert sum(pipeline.budget.running.values()) == 0
