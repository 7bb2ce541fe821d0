"""Running a graph: start, wait, cancel, drain, stop, measure."""

from __future__ import annotations

import math
import threading
from types import TracebackType

from edgevid.runtime.budget import CpuBudget
from edgevid.runtime.graph import Graph, Node
from edgevid.runtime.message import now_ns
from edgevid.runtime.metrics import PipelineMetrics
from edgevid.runtime.run import StageRun
from edgevid.runtime.signals import beats, sigterm_exits
from edgevid.runtime.source import SourceRun
from edgevid.runtime.trace import Trace
from edgevid.runtime.wake_latency import WakeLatency

DRAIN_S, STOP_S = 1.5, 0.5  # a process must end within 3 s after SIGTERM, and has more to close than this


class Pipeline(Graph):
    """Build it with ``source``, ``stage`` and ``output``; then ``run`` it, or ``start`` and ``wait``.

    As a context manager it drains when the block is left, also by Ctrl-C or SIGTERM, and stops at once when
    the block raises anything else. It runs once.

    Args:
        name: for metrics.
        budget: cores shared with other pipelines and with whoever opens networks; None = all of this process.
        trace: how many of the newest events to keep for ``pipeline.trace.save(path)``; 0 = none.
    """

    def __init__(self, name: str = "pipeline", *, budget: CpuBudget | None = None, trace: int = 0) -> None:
        self.name = name
        self.budget = budget or CpuBudget()
        self.trace = Trace(trace)
        super().__init__(
            self.budget, self.trace, failed=self._fail, ended=self._count_down, check=self._raise_failure
        )
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._wake_latency = WakeLatency()
        self._live = 0
        self._error: BaseException | None = None
        self._told = False
        self._started_ns: int | None = None

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for output in self._outputs:
            output.close()
        if error is None or isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
            self.drain()
        else:
            self.stop()
        if error is None:
            self._raise_failure()

    def run(self) -> None:
        """Start, and wait until the sources have ended and all is worked off. Ctrl-C and SIGTERM drain.

        Raises:
            StageFailedError: a stage crashed or hung more than 5 times within 60 s.
            Exception: what a source raised that cannot be opened again, or an EdgevidError of any source or
                ``make``.
        """
        with sigterm_exits():
            self.start()
            try:
                self.wait()
            except (KeyboardInterrupt, SystemExit):
                self.drain()
                raise

    def start(self) -> None:
        """Start all threads; returns at once.

        Raises:
            RuntimeError: it was started before.
        """
        if self._sealed:
            raise RuntimeError(f"pipeline '{self.name}' was started before")
        self._sealed = True
        self._started_ns = now_ns()
        self._live = len(self._workers)
        if any(worker.workload == "hard" for worker in self._workers):
            self._wake_latency.hold()
        for worker in self._workers:
            worker.start()
        hangs_s = [run.stage.hang_s for run in self._runs.values() if isinstance(run, StageRun)]
        self._supervisor.watch(self._workers, min(hangs_s, default=math.inf))

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; False when it has not come in time. Raises what ``run`` raises."""
        finished = any(self._over.wait(wait_s) for wait_s in beats(timeout_s))
        self._raise_failure()
        if finished:
            self._close()
        return finished

    def drain(self, timeout_s: float = DRAIN_S) -> bool:
        """Let the sources end now and what they gave be worked off, then stop; False when time ran out."""
        for run in self._runs.values():
            if isinstance(run, SourceRun):
                run.end()
        finished = self._join(timeout_s)
        if finished:
            self._close()
        else:
            self.stop()
        return finished

    def stop(self, timeout_s: float = STOP_S) -> None:
        """End now: drop what is queued, give up threads that do not return in time, kill processes."""
        self._halt()
        if not self._join(timeout_s):
            for worker in self._workers:
                worker.give_up()
        self._close()

    def cancel(self, *sources: Node) -> None:
        """Drop all that was read of ``sources`` (all, when none are named) so far, wherever it is.

        Queued messages go at once, a body that runs has its result dropped, an iterator is closed between two
        of its results. What is read from now on flows.
        """
        streams = [node.name for node in sources] or [
            name for name, run in self._runs.items() if isinstance(run, SourceRun)
        ]
        self._generations.bump(streams)
        self.trace.mark("cancel", streams=streams)

    def metrics(self) -> PipelineMetrics:
        """All counts now; may be called from any thread, at any time."""
        return PipelineMetrics(
            self.name,
            running=self._started_ns is not None and not self._over.is_set(),
            uptime_s=0.0 if self._started_ns is None else (now_ns() - self._started_ns) / 1e9,
            stages=tuple(run.metrics() for run in self._runs.values()),
            channels=tuple(channel.metrics() for channel in self._channels),
        )

    def _join(self, timeout_s: float) -> bool:
        """Whether all workers have ended in time."""
        if self._started_ns is None:
            return True
        until_ns = now_ns() + int(timeout_s * 1e9)
        return all(worker.join(max(0.0, (until_ns - now_ns()) / 1e9)) for worker in self._workers)

    def _close(self) -> None:
        """Let the threads, which have nothing left to do, end."""
        self._supervisor.close()
        self._join(STOP_S)

    def _halt(self) -> None:
        self._stopping.set()
        for run in self._runs.values():
            if isinstance(run, SourceRun):
                run.end()
        for channel in self._channels:
            channel.close()

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            if self._error is not None or self._stopping.is_set():
                return
            self._error = error
        self._halt()
        self._over.set()

    def _raise_failure(self) -> None:
        if self._error is not None and not self._told:
            self._told = True
            self.stop()
            raise self._error

    def _count_down(self) -> None:
        with self._lock:
            self._live -= 1
            if self._live == 0:
                self._wake_latency.release()
                self._over.set()
