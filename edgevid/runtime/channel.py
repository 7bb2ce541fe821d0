"""A bounded queue between two stages, and the one place where messages are counted."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Generic, Literal, TypeVar

from edgevid.runtime.message import Generations, Message, now_ns
from edgevid.runtime.metrics import ChannelMetrics, Samples, quantile_ms

T = TypeVar("T")

Policy = Literal["block", "drop-oldest", "latest-only"]
"""What a full channel does. ``block``: the writer waits (nothing is lost: sound, files); ``drop-oldest``: the
oldest message makes room (live pictures); ``latest-only``: one place, the newest message takes it."""

POLICIES: tuple[Policy, ...] = ("block", "drop-oldest", "latest-only")


class Closed(Exception):
    """The channel has ended and is empty, or was closed."""


class Channel(Generic[T]):
    """Thread-safe; any number of writers and readers. At every moment entered = left + dropped + depth.

    Args:
        name: of the stage that reads it.
        capacity: messages it holds; always 1 under ``latest-only``.
        writers: how many must say ``end`` before the channel ends.
        generations: who knows which messages are cancelled; those are dropped unread.
        condition: shared by the channels that one reader waits for together.
        max_age_s: messages older than this since their source gave them are dropped unread.
    """

    def __init__(
        self,
        name: str,
        *,
        capacity: int = 8,
        policy: Policy = "block",
        writers: int = 1,
        generations: Generations | None = None,
        condition: threading.Condition | None = None,
        max_age_s: float | None = None,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"channel {name}: capacity is {capacity}, must be at least 1")
        if policy not in POLICIES:
            raise ValueError(f"channel {name}: policy is {policy!r}, choose from {', '.join(POLICIES)}")
        self.name = name
        self.policy: Policy = policy
        self.capacity = 1 if policy == "latest-only" else capacity
        self.condition = condition or threading.Condition(threading.Lock())
        self._queue: deque[tuple[Message[T], int]] = deque()
        self._writers = writers
        self._max_age_ns = None if max_age_s is None else int(max_age_s * 1e9)
        self._closed = False
        self._entered = self._left = self._dropped = self._stale = self._expired = self._most = 0
        self._waits, self._ages = Samples(), Samples()
        self._generations = generations or Generations()
        self._generations.when_bumped(self._drop_stale)

    def put(self, message: Message[T], timeout_s: float | None = None) -> bool:
        """Add ``message``; False when it is dropped instead: closed, cancelled, or no room in time."""
        with self.condition:
            if self.policy == "block" and len(self._queue) >= self.capacity:
                self.condition.wait_for(lambda: self._admits(message), timeout_s)
            self._entered += 1
            stale = self._generations.stale(message)
            full = len(self._queue) >= self.capacity
            if self._closed or stale or (full and self.policy == "block"):
                self._dropped += 1
                self._stale += stale
                return False
            if full:
                self._queue.popleft()
                self._dropped += 1
            self._queue.append((message, now_ns()))
            depth = len(self._queue)
            if depth > self._most:
                self._most = depth
            if depth == 1:  # readers wait for an empty channel only
                self.condition.notify_all()
            return True

    def get(self, timeout_s: float | None = None) -> Message[T] | None:
        """The oldest message; None when none came in time.

        Raises:
            Closed: there is none and there will be none.
        """
        taken = self.take(timeout_s)
        return None if taken is None else taken[0]

    def take(self, timeout_s: float | None = None) -> tuple[Message[T], int] | None:
        """``get``, with the time at which the message entered."""
        with self.condition:
            self.condition.wait_for(lambda: self.head() is not None or self.ended, timeout_s)
            return self.take_now()

    def take_now(self) -> tuple[Message[T], int] | None:
        """``take`` without waiting; the caller holds ``condition``."""
        if self.head() is None:
            if self.ended:
                raise Closed(self.name)
            return None
        if len(self._queue) == self.capacity:  # writers wait for a full channel only
            self.condition.notify_all()
        message, queued_ns = taken = self._queue.popleft()
        now = now_ns()
        self._left += 1
        self._waits.add(now - queued_ns)
        self._ages.add(now - message.born_ns)
        return taken

    def head(self) -> tuple[Message[T], int] | None:
        """What ``take_now`` would give."""
        if self._max_age_ns is not None:
            self._drop_expired(now_ns() - self._max_age_ns)
        return self._queue[0] if self._queue else None

    @property
    def ended(self) -> bool:
        """Whether nothing more can enter."""
        return self._closed or self._writers <= 0

    def end(self) -> None:
        """One writer has written its last message; what is in the channel can still be read."""
        with self.condition:
            self._writers -= 1
            self.condition.notify_all()

    def close(self) -> None:
        """Drop what is in the channel and all that is put later; wake readers and writers."""
        with self.condition:
            self._closed = True
            self._dropped += len(self._queue)
            self._queue.clear()
            self.condition.notify_all()

    def metrics(self) -> ChannelMetrics:
        """The counts, all of one moment."""
        with self.condition:
            counts = (self._entered, self._left, self._dropped, self._stale, self._expired, len(self._queue))
            most = self._most
            times = (self._waits.newest(), self._ages.newest())
        quantiles = [quantile_ms(newest, q) for newest in times for q in (0.5, 0.99)]
        return ChannelMetrics(self.name, self.policy, self.capacity, *counts, most, *quantiles)

    def _admits(self, message: Message[Any]) -> bool:
        return len(self._queue) < self.capacity or self.ended or self._generations.stale(message)

    def _drop_expired(self, before_ns: int) -> None:
        while self._queue and self._queue[0][0].born_ns < before_ns:
            self._queue.popleft()
            self._dropped += 1
            self._expired += 1
            self.condition.notify_all()

    def _drop_stale(self) -> None:
        with self.condition:
            kept = [entry for entry in self._queue if not self._generations.stale(entry[0])]
            gone = len(self._queue) - len(kept)
            if gone:
                self._queue = deque(kept)
                self._dropped += gone
                self._stale += gone
            self.condition.notify_all()  # also writers whose own message is stale now
