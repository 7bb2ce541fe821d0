"""A thread that runs a stage or a source, and can be replaced by another when it hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from edgevid.runtime import priority
from edgevid.runtime.budget import Workload
from edgevid.runtime.channel import Closed
from edgevid.runtime.life import AbandonedError, Doing, Life
from edgevid.runtime.message import Message
from edgevid.runtime.process import ProcessBody
from edgevid.runtime.run import StageRun
from edgevid.runtime.source import SourceRun


class Inlet(Protocol):
    """Where a stage's messages come from: a channel, or several merged."""

    def take(self, timeout_s: float | None = None) -> tuple[Message[Any], int] | None: ...


class Worker:
    """Runs ``run`` in a thread of its own from ``start`` to the end of its input.

    Args:
        inlet: what a stage reads; None for a source.
        stopping: whether the pipeline is being stopped, so that nothing is flushed.
        failed: is told what ended the thread before its time.
        ended: is told when it has ended.
    """

    def __init__(
        self,
        run: StageRun | SourceRun,
        inlet: Inlet | None,
        *,
        workload: Workload,
        stopping: Callable[[], bool],
        failed: Callable[[BaseException], None],
        ended: Callable[[], None],
    ) -> None:
        self.run = run
        self._inlet = inlet
        self.workload = workload
        self._stopping = stopping
        self._failed = failed
        self._ended = ended
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._life = Life()
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        return self.run.name

    @property
    def doing(self) -> Doing | None:
        """What runs in this thread now."""
        return self._life.doing

    def start(self) -> None:
        """Begin, or begin again after ``abandon``."""
        self._life = Life()
        self._thread = threading.Thread(
            target=self._main, args=(self._life,), name=f"edgevid-{self.name}", daemon=True
        )
        self._thread.start()

    def abandon(self, doing: Doing | None = None) -> bool:
        """Give the thread up (see ``Life.abandon``) and kill its processes; what it still does is dropped."""
        if not self._life.abandon(doing):
            return False
        if self._thread is not None and self._thread.native_id is not None:
            priority.demote(self._thread.native_id)
        for body in list(self._life.bodies.values()):
            if isinstance(body, ProcessBody):
                body.kill()
        return True

    def give_up(self) -> None:
        """Abandon the thread and take that for its end."""
        self.abandon()
        self._end()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; False when it has not come in time."""
        if not self._done.wait(timeout_s):
            return False
        if self._thread not in (None, threading.current_thread()) and not self._life.abandoned:
            self._thread.join()
        return True

    def _main(self, life: Life) -> None:
        try:
            priority.apply(self.workload)
            self.run.open(life)
            if isinstance(self.run, SourceRun):
                self.run.read(life)
            else:
                self._work(self.run, life)
            self.run.finish(life, flush=not self._stopping())
        except (AbandonedError, Closed):
            pass
        except BaseException as error:
            if not life.abandoned:
                self._failed(error)
        finally:
            life.close()
            if not life.abandoned:
                self._end()

    def _end(self) -> None:
        with self._lock:
            if self._done.is_set():
                return
            self._done.set()
        self._ended()

    def _work(self, run: StageRun, life: Life) -> None:
        assert self._inlet is not None
        while not life.abandoned:
            try:
                taken = self._inlet.take()
            except Closed:
                return
            if taken is not None:
                run.work(*taken, life)
