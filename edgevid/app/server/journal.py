"""The newest events of a session, numbered; written by its thread, read by any number of event streams."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One event; ``number`` counts from 1 in its session."""

    number: int
    kind: str
    data: dict[str, Any]


class Journal:
    """A ring of entries. Readers hold a position, never a queue: a slow one costs nothing and is told what it
    missed.

    Args:
        most: entries kept.
    """

    def __init__(self, most: int) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=most)
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._written = 0
        self.closed = False

    @property
    def written(self) -> int:
        """Entries so far, whether still kept or not."""
        return self._written

    def append(self, kind: str, data: dict[str, Any]) -> None:
        """Add an entry and wake the readers; from any thread."""
        with self._lock:
            if self.closed:
                return
            self._written += 1
            self._entries.append(Entry(self._written, kind, data))
            self._wake()

    def close(self) -> None:
        """Nothing more will come."""
        with self._lock:
            self.closed = True
            self._wake()

    def since(self, number: int) -> tuple[list[Entry], int]:
        """Entries after ``number`` that are kept, and how many after it are not."""
        with self._lock:
            number = max(0, min(number, self._written))
            first = self._written - len(self._entries)  # the number of the newest entry that is gone
            kept = list(islice(self._entries, max(0, number - first), None))
            return kept, max(0, first - number)

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """An event of the running loop that is set whenever something is added."""
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiting.add(waiter)
        try:
            yield waiter[1]
        finally:
            with self._lock:
                self._waiting.discard(waiter)

    def _wake(self) -> None:
        for loop, event in self._waiting:
            with contextlib.suppress(RuntimeError):  # the loop of a server that has just ended
                loop.call_soon_threadsafe(event.set)
