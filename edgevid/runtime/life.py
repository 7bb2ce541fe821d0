"""One thread's life. A thread that hangs cannot be killed, only given up: its life ends before it does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from edgevid.runtime.stage import Body

if TYPE_CHECKING:
    from edgevid.runtime.run import StageRun


class Doing(NamedTuple):
    """A stage whose body runs, since when (``now_ns``), and when that is too long."""

    run: StageRun
    since_ns: int
    limit_ns: float


class AbandonedError(BaseException):
    """Raised in a thread that was given up and came back after all, to make it end; no crash."""


@dataclass(eq=False)
class Life:
    """What belongs to one thread of a pipeline, and not to the one that takes its place.

    Attributes:
        bodies: the objects of the stages that run in this thread; a new life makes its own.
        doing: what runs now.
        abandoned: given up; whatever it still brings forth is dropped.
    """

    bodies: dict[str, Body] = field(default_factory=dict)
    doing: Doing | None = None
    abandoned: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _give_back: Callable[[], None] | None = None

    def begin(self, doing: Doing, give_back: Callable[[], None]) -> None:
        """A body starts; ``give_back`` frees its cores, and is called once, whether it ends or is given up.

        Raises:
            AbandonedError: it may not start.
        """
        with self._lock:
            self.doing, self._give_back = doing, give_back
            if self.abandoned:
                self._free()
                raise AbandonedError

    def end(self) -> None:
        """The body has returned.

        Raises:
            AbandonedError: too late.
        """
        with self._lock:
            self._free()
            if self.abandoned:
                raise AbandonedError

    def abandon(self, doing: Doing | None = None) -> bool:
        """Give the thread up; where ``doing`` is given, only if that is still what it does."""
        with self._lock:
            if doing is not None and doing is not self.doing:
                return False
            self.abandoned = True
            self._free()
            return True

    def close(self) -> None:
        """Close the bodies; what they say to that no longer matters."""
        for body in self.bodies.values():
            discard(body)
        self.bodies.clear()

    def _free(self) -> None:
        give_back, self._give_back, self.doing = self._give_back, None, None
        if give_back is not None:
            give_back()


def discard(thing: object) -> None:
    """Close ``thing`` where it can be closed, whatever state a crash left it in."""
    close = getattr(thing, "close", None)
    if close is not None:
        with suppress(Exception):
            close()
