"""Several sources watched at once in one process: a thread for each, their events merged as they come."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevid.core.errors import EdgevidError

if TYPE_CHECKING:
    from edgevid.media.source import Source
    from edgevid.stream.events import Event
    from edgevid.stream.session import StreamSession

_WAITING = 256  # events that wait for the reader before the watching of files waits too
_STOP_S = 2.5
_WAKE_S = 0.25
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 60.0


@dataclass(frozen=True, slots=True)
class Job:
    """One session on its source.

    Attributes:
        options: those of ``StreamSession.watch``.
        again: open the source again when it cannot be watched (a camera that is off now); it is told once.
    """

    session: StreamSession
    source: str | Path | Source
    options: Mapping[str, Any] = field(default_factory=dict)
    again: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """A source that cannot be watched (any further); the others go on."""

    error: EdgevidError


class Several:
    """Iterate over it for ``(job, event)`` and ``(job, Failed)`` until all sources have ended.

    Leaving the loop early stops all sources. ``post`` lets other threads put things of their own into the
    same loop, as ``(None, thing)``. A bug (any error but ``EdgevidError``) stops all, and the loop raises it.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = tuple(jobs)
        self._inbox: queue.Queue[tuple[Job | None, Any]] = queue.Queue(_WAITING)
        self._stopping = threading.Event()
        self._left = threading.Event()  # the loop, by its reader

    def __iter__(self) -> Iterator[tuple[Job | None, Any]]:
        threads = [
            threading.Thread(
                target=self._watch,
                args=(job, job.session.watch(job.source, **job.options)),
                name="edgevid-watch",
                daemon=True,
            )
            for job in self.jobs
        ]
        if self._stopping.is_set():  # before it began
            self.stop()
        for thread in threads:
            thread.start()
        running = len(threads)
        try:
            while running:
                job, thing = self._next()
                if thing is _ENDED:
                    running -= 1
                elif job is not None and isinstance(thing, BaseException):
                    raise thing
                else:
                    yield job, thing
        finally:
            self._left.set()
            self.stop()
            for thread in threads:
                thread.join(timeout=_STOP_S)

    def stop(self) -> None:
        """End all watching soon, and so the loop; from any thread, any number of times."""
        self._stopping.set()
        for job in self.jobs:
            job.session.stop()

    def post(self, thing: Any) -> None:
        """Put something into the loop; waits while the loop is far behind, and gives up when it has ended."""
        self._put(None, thing)

    def _next(self) -> tuple[Job | None, Any]:
        # A signal may be taken by another thread; Python acts on it when the main thread next wakes up.
        while True:
            with suppress(queue.Empty):
                return self._inbox.get(timeout=_WAKE_S)

    def _watch(self, job: Job, watching: Generator[Event, None, None]) -> None:
        try:
            pause_s, told = _FIRST_PAUSE_S, False
            while (error := self._pass_on(job, watching)) is not None:
                if not told:
                    self._put(job, Failed(error))
                told = True
                if not job.again or self._stopping.wait(pause_s):
                    break
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                watching = job.session.watch(job.source, **job.options)
        except BaseException as error:
            self._put(job, error)
        finally:
            self._put(job, _ENDED)

    def _pass_on(self, job: Job, watching: Generator[Event, None, None]) -> EdgevidError | None:
        """Put what happens into the loop until the source ends; returns why it failed."""
        try:
            with closing(watching):
                for event in watching:
                    if not self._put(job, event):
                        break
        except EdgevidError as error:
            return error
        return None

    def _put(self, job: Job | None, thing: Any) -> bool:
        while not self._left.is_set():
            with suppress(queue.Full):
                self._inbox.put((job, thing), timeout=0.1)
                return True
        return False


_ENDED = object()
