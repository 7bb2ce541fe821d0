"""Time as a source: one item per period, without drift."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from edgevid.runtime.message import now_ns


@dataclass(frozen=True, slots=True)
class Tick:
    """Attributes:
    index: of the period since the start; one that is missing was slept through.
    pts_ns: when it was due, since the start.
    late_ns: by how much it comes late.
    """

    index: int
    pts_ns: int
    late_ns: int


class Ticks:
    """Endless ticks, ``period_s`` apart; a late one does not make the next one late.

    ``pipeline.source("clock", ticks, interrupt=ticks.close)`` makes a stage run on time.
    """

    def __init__(self, period_s: float) -> None:
        if period_s <= 0:
            raise ValueError(f"period_s is {period_s}, must be positive")
        self._period_ns = int(period_s * 1e9)
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Tick]:
        start_ns = now_ns()
        index = 0
        while not self._closed.is_set():
            due_ns = index * self._period_ns
            wait_ns = start_ns + due_ns - now_ns()
            if wait_ns > 0 and self._closed.wait(wait_ns / 1e9):
                return
            late_ns = now_ns() - start_ns - due_ns
            yield Tick(index, due_ns, late_ns)
            index = max(index + 1, (now_ns() - start_ns) // self._period_ns)

    def close(self) -> None:
        """End the ticks, also one that is being waited for."""
        self._closed.set()
