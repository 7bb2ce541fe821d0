"""``edgevid bench runtime``: what the scheduler costs, and whether a hard deadline holds beside other work.

Ours, a plain asyncio pipeline, GStreamer queues and a plain thread pool take turns in one run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from edgevid.bench.report import Row
from edgevid.bench.runtime_hops import (
    FPS,
    STAGES,
    Hops,
    asyncio_hops,
    gstreamer_hops,
    pipeline_hops,
    python_beside,
)
from edgevid.bench.runtime_mix import CORES, Hashing, Mix, run_pipeline, run_thread_pool, spin
from edgevid.core.errors import MissingPartError
from edgevid.runtime import Workload

OVERHEAD_GOAL_PERCENT, HOP_GOAL_MS, MISSED_GOAL_PERCENT = 2.0, 0.2, 0.1
_LINE = f"{FPS} frames/s through {STAGES} stages that do nothing"
_MIX = (
    f"{CORES} cores; hard: 25 frames/s of 10 ms, due within 40 ms; soft: 2 frames/s of 150 ms; background: "
    "pieces of 50 ms without pause, in 2 stages; all of it hashing without the GIL"
)


@dataclass(frozen=True)
class Seconds:
    """How long each part runs: the line of stages, the same with the GIL contended, the mix, its peers."""

    line: float
    contended: float
    mix: float
    peer: float


FULL, QUICK = Seconds(20, 10, 120, 20), Seconds(5, 2, 12, 4)


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Rows of the bench: five minutes, or with ``quick`` under one."""
    seconds = QUICK if quick else FULL
    yield from _hop_rows(seconds.line)
    yield from _switch_rows(seconds.contended)
    with _on_cores(CORES):
        yield from _mix_rows(seconds.mix, seconds.peer)


def _hop_rows(seconds: float) -> Iterator[Row]:
    how = f"{_LINE}, {seconds:g} s; "
    yield from _our_hop_rows(pipeline_hops(seconds, "hard"), "hard", how)
    yield from _our_hop_rows(pipeline_hops(seconds), "soft", how)
    peer = asyncio_hops(seconds)
    what = how + "one task per stage, asyncio.Queue between them, one thread"
    yield Row("overhead of asyncio", round(100 * peer.cpu_share, 2), "% of a core", None, None, what)
    yield from _end_to_end("asyncio", peer, what + "; ")
    try:
        peer, version = gstreamer_hops(seconds)
    except MissingPartError as error:
        for measure, unit in (
            ("overhead of GStreamer", "% of a core"),
            ("through all hops, GStreamer", "ms"),
        ):
            yield Row(measure, None, unit, None, None, str(error))
        return
    what = how + f"appsrc ! {STAGES} x queue ! fakesink, GStreamer {version}, fed and timed from Python"
    yield Row("overhead of GStreamer", round(100 * peer.cpu_share, 2), "% of a core", None, None, what)
    yield from _end_to_end("GStreamer", peer, what + "; ")


def _our_hop_rows(ours: Hops, workload: Workload, how: str) -> Iterator[Row]:
    """The goal is the hard class's: only it may ask the kernel to keep the cores from sleeping deeply."""
    of = f" of {workload} stages"
    percent = round(100 * ours.cpu_share, 2)
    cpu = how + "CPU time of the process, in percent of a core"
    passed = percent <= OVERHEAD_GOAL_PERCENT
    yield Row("scheduling overhead" + of, percent, "% of a core", OVERHEAD_GOAL_PERCENT, passed, cpu)
    hop = how + f"from the end of a stage to the start of the next, {len(ours.hop_ns)} hops, idle"
    for name, q in (("p99", 0.99), ("p50", 0.5)):
        ms = round(_quantile(ours.hop_ns, q) / 1e6, 3)
        goal = HOP_GOAL_MS if name == "p99" else None
        yield Row(
            f"added latency per hop{of}, {name}", ms, "ms", goal, None if goal is None else ms <= goal, hop
        )
    yield from _end_to_end(f"our {workload} stages", ours, how)


def _end_to_end(who: str, hops: Hops, how: str) -> Iterator[Row]:
    for name, q in (("p50", 0.5), ("p99", 0.99)):
        ms = round(_quantile(hops.end_to_end_ns[1:], q) / 1e6, 3)
        what = how + f"{name} from a frame's making to the end of the last stage, the first frame left out"
        yield Row(f"through all hops, {who}, {name}", ms, "ms", None, None, what)


def _switch_rows(seconds: float) -> Iterator[Row]:
    for interval_s in (5e-3, 5e-4):
        with python_beside(interval_s):
            hops = pipeline_hops(seconds)
        p99 = round(_quantile(hops.hop_ns, 0.99) / 1e6, 3)
        how = f"{_LINE}, {seconds:g} s, beside a thread that computes in Python; sys.setswitchinterval"
        measure = f"added latency per hop, p99, GIL contended, switch interval {interval_s * 1e3:g} ms"
        yield Row(measure, p99, "ms", None, None, how)


def _mix_rows(seconds: float, peer_seconds: float) -> Iterator[Row]:
    work = Hashing()
    mix = run_pipeline(seconds, work)
    how = f"{_MIX}; {seconds:g} s, {mix.frames} frames"
    missed, timer = 100 * mix.missed, 100 * mix.timer_missed
    beyond = round(max(0.0, missed - timer), 3)
    yield Row("hard deadlines missed", round(missed, 3), "%", None, None, how + "; late or never begun")
    what = "; a bare thread in the same run that wakes too late to do the work in time"
    yield Row("hard deadlines a bare timer misses", round(timer, 3), "%", None, None, how + what)
    passed = beyond <= MISSED_GOAL_PERCENT
    yield Row("missed beyond the bare timer", beyond, "%", MISSED_GOAL_PERCENT, passed, "the difference")
    yield from _lateness("ours", mix)
    for workload in ("hard", "soft", "background"):
        how = f"CPU time of its bodies over {seconds:g} s, same run"
        yield Row(f"share of the {workload} class", round(mix.share(workload), 3), "cores", None, None, how)
    rest = CORES - mix.share("hard") - mix.share("soft")
    how = "background's CPU time over what the two other classes leave of the cores"
    yield Row("background gets of the rest", round(mix.share("background") / rest, 3), "", None, None, how)
    peer = run_thread_pool(peer_seconds, work)
    how = f"the same mix on one ThreadPoolExecutor({2 * CORES}), {peer_seconds:g} s, {peer.frames} frames"
    yield Row("hard deadlines missed, thread pool", round(100 * peer.missed, 3), "%", None, None, how)
    yield from _lateness("thread pool", peer)
    for executor in ("thread", "process"):
        found = run_pipeline(peer_seconds, work, background=spin, executor=executor)
        how = f"{_MIX}, but the background computes in Python; {peer_seconds:g} s, {found.frames} frames"
        measure = f"hard deadlines missed, Python background in a {executor}"
        yield Row(measure, round(100 * found.missed, 3), "%", None, None, how)


def _lateness(who: str, mix: Mix) -> Iterator[Row]:
    for name, q in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        how = f"from when a frame was due to the end of its work, {len(mix.late_s)} frames begun"
        ms = round(_quantile(mix.late_s, q) * 1e3, 2) if mix.late_s else None
        yield Row(f"hard frames done after, {who}, {name}", ms, "ms", None, None, how)


def _quantile(values: Sequence[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


@contextmanager
def _on_cores(count: int) -> Iterator[None]:
    """Keep this thread, and those it starts, on ``count`` cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
