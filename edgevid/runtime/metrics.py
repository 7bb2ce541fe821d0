"""Counts and times, as snapshots that nobody changes."""

from __future__ import annotations

from array import array
from dataclasses import asdict, dataclass
from typing import Any

_KEPT = 1024  # newest times per figure; enough for a p99, bounded for streams of weeks


class Samples:
    """The newest durations of one kind. One thread at a time may ``add``; any may read."""

    def __init__(self) -> None:
        self._ns: array[int] = array("q")
        self.count = 0
        self.total_ns = 0

    def add(self, ns: int) -> None:
        if len(self._ns) < _KEPT:
            self._ns.append(ns)
        else:
            self._ns[self.count % _KEPT] = ns
        self.count += 1
        self.total_ns += ns

    def newest(self) -> array[int]:
        """A copy of the newest durations, in no order."""
        return self._ns[:]


def quantile_ms(ns: array[int], q: float) -> float:
    """The q-quantile of durations, in ms; 0.0 when there are none."""
    ordered = sorted(ns)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] / 1e6 if ordered else 0.0


@dataclass(frozen=True, slots=True)
class ChannelMetrics:
    """One channel; entered = left + dropped + depth at every moment.

    Attributes:
        name: the stage that reads the channel, and the one that writes it where it reads several.
        policy, capacity: as built.
        entered, left, dropped: messages so far.
        stale: of those dropped, how many were cancelled.
        expired: of those dropped, how many were past their deadline before work on them began.
        depth, most: messages in it now, and at its fullest.
        wait_p50_ms, wait_p99_ms: time in the channel of the newest 1024 messages that left.
        age_p50_ms, age_p99_ms: time since their source gave them, when they left.
    """

    name: str
    policy: str
    capacity: int
    entered: int
    left: int
    dropped: int
    stale: int
    expired: int
    depth: int
    most: int
    wait_p50_ms: float
    wait_p99_ms: float
    age_p50_ms: float
    age_p99_ms: float


@dataclass(frozen=True, slots=True)
class StageMetrics:
    """One stage.

    Attributes:
        runs: messages worked on, to the end or not.
        failed: of those, how many ended in a crash or a hang.
        restarts: times its object was made anew.
        abandoned: threads given up because they hung; a process is killed instead.
        missed: runs that ended past their deadline.
        busy_s: time inside the stage's function.
        run_p50_ms, run_p99_ms: of the newest 1024 runs.
        grant_p99_ms: wait for a core of the budget.
    """

    name: str
    workload: str
    executor: str
    runs: int
    failed: int
    restarts: int
    abandoned: int
    missed: int
    busy_s: float
    run_p50_ms: float
    run_p99_ms: float
    grant_p99_ms: float


@dataclass(frozen=True, slots=True)
class PipelineMetrics:
    """All of a pipeline at about one moment."""

    name: str
    running: bool
    uptime_s: float
    stages: tuple[StageMetrics, ...]
    channels: tuple[ChannelMetrics, ...]

    def stage(self, name: str) -> StageMetrics:
        """The stage called ``name``; KeyError when there is none."""
        return {stage.name: stage for stage in self.stages}[name]

    def channel(self, name: str) -> ChannelMetrics:
        """The channel called ``name``; KeyError when there is none."""
        return {channel.name: channel for channel in self.channels}[name]

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers."""
        return asdict(self)
