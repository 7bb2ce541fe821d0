"""What travels between stages: one payload with its times. Messages never change; stages make new ones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic_ns as now_ns
from typing import Any, Generic, NamedTuple, TypeVar

__all__ = ["Generations", "Message", "Stamp", "now_ns"]

T = TypeVar("T")


class Stamp(NamedTuple):
    """When one stage had the message; times of ``now_ns``, the monotonic clock."""

    stage: str
    queued_ns: int
    began_ns: int
    ended_ns: int


@dataclass(frozen=True, slots=True)
class Message(Generic[T]):
    """One item on its way.

    Attributes:
        payload: what the stages work on; shared, not copied, when a stage has several followers.
        pts_ns: presentation time; of the payload where it has one, else of the message it was made from.
        seq: running number of the source's item it comes from.
        stream: name of that source.
        generation: of the stream when the item was read; a cancelled one is dropped wherever it is.
        born_ns: when the source gave the item.
        stamps: one per stage passed.
    """

    payload: T
    pts_ns: int
    seq: int
    stream: str
    generation: int
    born_ns: int
    stamps: tuple[Stamp, ...] = ()

    def followed_by(self, payload: Any, stamp: Stamp) -> Message[Any]:
        """The message a stage makes of this one."""
        pts_ns = getattr(payload, "pts_ns", self.pts_ns)
        return Message(
            payload, pts_ns, self.seq, self.stream, self.generation, self.born_ns, (*self.stamps, stamp)
        )


class Generations:
    """The current generation of each stream. Cancelling bumps it, so what was read before is stale."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._current: dict[str, int] = {}
        self._on_bump: list[Callable[[], None]] = []

    def of(self, stream: str) -> int:
        """The generation that items read now belong to."""
        return self._current.get(stream, 0)

    def stale(self, message: Message[Any]) -> bool:
        """Whether ``message`` was read before its stream was cancelled."""
        return message.generation < self._current.get(message.stream, 0)

    def bump(self, streams: list[str]) -> None:
        """Make all that was read of ``streams`` so far stale, and let the channels drop it now."""
        with self._lock:
            for stream in streams:
                self._current[stream] = self._current.get(stream, 0) + 1
        for tell in self._on_bump:
            tell()

    def when_bumped(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` after every bump."""
        self._on_bump.append(tell)
