"""Three workloads on two cores: a hard class with a deadline per frame, a soft one, and background work.

The work is hashing in native code with the GIL released, in pieces as long as those of the real workloads.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from edgevid.runtime import CpuBudget, Pipeline
from edgevid.runtime.message import now_ns
from edgevid.runtime.stage import Executor
from edgevid.runtime.ticks import Tick, Ticks

CORES = 2
PERIOD_S, WORK_S = 0.040, 0.010  # hard: 25 frames/s, each due before the next one comes
SOFT_PERIOD_S, SOFT_WORK_S = 0.5, 0.150
BACKGROUND_WORK_S = 0.050

Work = Callable[[float], float]  # does the work of so many seconds, returns the CPU seconds it took


@dataclass
class Mix:
    """What one run of the mix gave.

    Attributes:
        seconds: how long it ran.
        late_s: per frame the hard class worked on, from when it was due to the end of its work.
        timer_late_s: per period, the lateness of a bare timer thread in the same run.
        cpu_s: CPU seconds of each class's own threads.
        soft_runs: frames of the soft class.
    """

    seconds: float
    late_s: list[float] = field(default_factory=list)
    timer_late_s: list[float] = field(default_factory=list)
    cpu_s: dict[str, float] = field(default_factory=dict)
    soft_runs: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def frames(self) -> int:
        """Frames that were due, or begun where the end of the run let one more in."""
        return max(round(self.seconds / PERIOD_S), len(self.late_s))

    @property
    def missed(self) -> float:
        """Share of the hard class's frames whose work ended late or was never begun."""
        return 1 - sum(s <= PERIOD_S for s in self.late_s) / self.frames

    @property
    def timer_missed(self) -> float:
        """Share of periods in which a bare thread woke too late to do the work in time."""
        periods = max(round(self.seconds / PERIOD_S), len(self.timer_late_s))
        return 1 - sum(s <= PERIOD_S - WORK_S for s in self.timer_late_s) / periods

    def share(self, workload: str) -> float:
        """CPU time of a class, in cores."""
        return self.cpu_s.get(workload, 0.0) / self.seconds

    def count(self, workload: str, cpu_s: float) -> None:
        with self._lock:
            self.cpu_s[workload] = self.cpu_s.get(workload, 0.0) + cpu_s


class Hashing:
    """Native work without the GIL: one hash over as many bytes as take the time asked for on a free core."""

    def __init__(self) -> None:
        block = bytes(1 << 18)
        took = []
        for _ in range(50):
            began = time.perf_counter()
            hashlib.sha256(block).digest()
            took.append(time.perf_counter() - began)
        self._bytes_per_s = len(block) / min(took)

    def __call__(self, seconds: float) -> float:
        data = bytes(int(seconds * self._bytes_per_s))
        began = time.thread_time()
        hashlib.sha256(data).digest()
        return time.thread_time() - began


def spin(seconds: float) -> float:
    """Pure Python with the GIL held, for so many seconds of CPU time."""
    began = time.thread_time()
    while time.thread_time() - began < seconds:
        sum(range(1000))
    return time.thread_time() - began


def run_pipeline(
    seconds: float, work: Work, *, background: Work | None = None, executor: Executor = "thread"
) -> Mix:
    """The mix as one pipeline on one budget.

    Args:
        background: what the background class does in place of ``work``.
        executor: of the background class; a process cannot count into the mix, so its time at work is taken.
    """
    mix = Mix(seconds)
    rest = background or work

    def hard(tick: Tick) -> None:
        mix.count("hard", work(WORK_S))
        mix.late_s.append((now_ns() - start_ns - tick.pts_ns) / 1e9)

    def soft(tick: Tick) -> None:
        mix.count("soft", work(SOFT_WORK_S))
        mix.soft_runs += 1

    def counted(piece_s: float) -> None:
        mix.count("background", rest(piece_s))

    with Pipeline(budget=CpuBudget(cores=CORES, hard_cores=1)) as pipeline, _timer_beside(mix):
        clock = pipeline.source("clock", Ticks(PERIOD_S), workload="hard")
        pipeline.stage("hard", hard, after=clock, workload="hard", deadline_s=PERIOD_S, policy="latest-only")
        pipeline.stage("soft", soft, after=pipeline.source("soft clock", Ticks(SOFT_PERIOD_S)))
        pieces = pipeline.source("pieces", itertools.repeat(BACKGROUND_WORK_S), workload="background")
        fn = counted if executor == "thread" else rest
        names = [f"background {n}" for n in range(CORES)]
        for name in names:
            pipeline.stage(name, fn, after=pieces, executor=executor, workload="background", capacity=1)
        start_ns = now_ns()
        pipeline.start()
        time.sleep(seconds)
        if executor == "process":
            mix.count("background", sum(pipeline.metrics().stage(name).busy_s for name in names))
    return mix


def run_thread_pool(seconds: float, work: Work) -> Mix:
    """The same mix as it is often written: timers hand work to one thread pool, which knows no classes."""
    mix = Mix(seconds)
    over = threading.Event()

    def hard(due_ns: int) -> None:
        mix.count("hard", work(WORK_S))
        mix.late_s.append((now_ns() - due_ns) / 1e9)

    def soft() -> None:
        mix.count("soft", work(SOFT_WORK_S))
        mix.soft_runs += 1

    def background() -> None:
        mix.count("background", work(BACKGROUND_WORK_S))
        if not over.is_set():
            pool.submit(background)

    with ThreadPoolExecutor(2 * CORES) as pool, _timer_beside(mix):
        for _ in range(CORES):
            pool.submit(background)
        start_ns = now_ns()
        for tick in itertools.takewhile(lambda t: t.pts_ns < seconds * 1e9, Ticks(PERIOD_S)):
            pool.submit(hard, start_ns + tick.pts_ns)
            if tick.pts_ns % int(SOFT_PERIOD_S * 1e9) < PERIOD_S * 1e9:
                pool.submit(soft)
        over.set()
    return mix


@contextmanager
def _timer_beside(mix: Mix) -> Iterator[None]:
    """Run the bare timer thread beside the block, for the mix's time."""

    def run() -> None:
        start_s = time.monotonic()
        due_s = 0.0
        while due_s < mix.seconds:
            time.sleep(max(0.0, start_s + due_s - time.monotonic()))
            now_s = time.monotonic() - start_s
            mix.timer_late_s.append(now_s - due_s)
            due_s = max(due_s + PERIOD_S, now_s // PERIOD_S * PERIOD_S)

    thread = threading.Thread(target=run, name="bare timer")
    thread.start()
    try:
        yield
    finally:
        thread.join()
