"""Stages are crashed, killed and hung on purpose while the others must not notice."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections.abc import Iterator

import pytest

from edgevid.runtime import Pipeline
from edgevid.runtime.ticks import Ticks

_PERIOD_S = 0.02


class CrashesNow:
    """Crashes on every ``every``-th of its runs, whichever object makes them."""

    runs = itertools.count(1)

    def __call__(self, tick: int) -> int:
        if next(self.runs) % 40 == 0:
            raise RuntimeError("injected")
        return tick


class HangsOnce:
    """Hangs for good on one tick in the middle."""

    def __call__(self, tick: int) -> int:
        if tick == 60:
            time.sleep(20)
        return tick


class Killable:
    """Says in which process it is, so that the test can kill it."""

    def __call__(self, tick: int) -> int:
        return os.getpid()


def ticks(seconds: float) -> Iterator[int]:
    return (tick.index for tick in itertools.islice(Ticks(_PERIOD_S), int(seconds / _PERIOD_S)))


def run_with_faults(seconds: float, *, kills: int) -> None:
    """One healthy branch beside three that fail, each in its way."""
    healthy: list[int] = []
    killed: list[int] = []
    rng = random.Random(7)
    kill_after = sorted(rng.sample(range(10, int(seconds / _PERIOD_S) - 10), kills))
    seen = itertools.count()

    def kill(pid: int) -> None:
        if next(seen) in kill_after:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    with Pipeline() as pipeline:
        clock = pipeline.source("clock", ticks(seconds))
        pipeline.stage("healthy", healthy.append, after=clock, policy="block", capacity=64)
        pipeline.stage("crashes", make=CrashesNow, after=clock, policy="drop-oldest")
        pipeline.stage("hangs", make=HangsOnce, after=clock, policy="latest-only", hang_s=0.3)
        victim = pipeline.stage(
            "victim", make=Killable, after=clock, executor="process", policy="latest-only"
        )
        pipeline.stage("killer", kill, after=victim, executor="sync")
        pipeline.run()
        metrics = pipeline.metrics()
    assert len(healthy) == metrics.stage("clock").runs
    assert (metrics.stage("healthy").failed, metrics.channel("healthy").dropped) == (0, 0)
    assert 1 <= metrics.stage("crashes").restarts <= 5
    assert metrics.stage("hangs").abandoned == 1
    assert len(killed) >= 1
    assert metrics.stage("victim").restarts >= 1
    for channel in metrics.channels:
        assert channel.entered == channel.left + channel.dropped + channel.depth


def test_crashes_kills_and_hangs_stay_where_they_are() -> None:
    run_with_faults(4, kills=2)


@pytest.mark.soak
def test_faults_for_a_minute() -> None:
    """Five crashes a minute are allowed: faults are spread so that no stage has more."""
    run_with_faults(4, kills=4)
    for seed in range(10):
        CrashesNow.runs = itertools.count(seed)
        run_with_faults(4, kills=1 + seed % 4)
