"""Keeping a live source connected: attempts, a watchdog over them, and pauses that grow between them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from edgevid.core.errors import BadInputError, EdgevidError
from edgevid.core.nouns import NS_PER_S
from edgevid.media.attempt import Attempt
from edgevid.media.feed import Feed
from edgevid.media.info import SourceInfo
from edgevid.media.intake import Intake
from edgevid.media.mailbox import WAKE_S

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 2.0
_JITTER = 0.25
_MAX_LEFT_BEHIND = 3
_JOIN_S = 0.35
_PATIENCE = 0.75


def pause_s(failures: int, *, chance: float) -> float:
    """Seconds to wait after ``failures`` failed connections in a row (from 0): 0.25, doubling up to 2, times
    0.75 to 1.25 by ``chance`` in [0, 1], so that many sources of one server do not come back at once.
    """
    base = min(FIRST_PAUSE_S * 2.0 ** min(failures, 16), LONGEST_PAUSE_S)
    return base * (1 - _JITTER + 2 * _JITTER * chance)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a connection may take.

    Attributes:
        open_s: from the first step until a picture or sound is decoded.
        stall_s: without any packet afterwards; None for ever.
        reconnects: whether the end of a connection is not the end of the source.
    """

    open_s: float
    stall_s: float | None
    reconnects: bool


class Receiver:
    """Holds one live source open. ``close`` may be called from any thread.

    Args:
        name: in messages, without passwords.
        connect: opens a connection from a source time (ns) on; called in threads of its own.
        intake: where it delivers.
        patience: see there.
        closing: set by ``close``; ``connect`` may wait on it.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[int], Feed],
        intake: Intake,
        *,
        patience: Patience,
        closing: threading.Event,
    ) -> None:
        self._name = name
        self._connect = connect
        self._intake = intake
        self._patience = patience
        self._closing = closing
        self._changed = threading.Condition()
        self._attempt: Attempt | None = None
        self._left_behind: list[Attempt] = []
        self._info: SourceInfo | None = None
        self._error: EdgevidError | None = None
        self._start_ns = 0
        self._over = False
        self._lost_ns: int | None = None
        self._thread = threading.Thread(target=self._supervise, name=f"watch {name}", daemon=True)

    def start(self, start_ns: int = 0) -> None:
        """Begin to connect, unless it has begun. ``start_ns``: where to begin, for what can be sought in."""
        with self._changed:
            if self._thread.ident is None and not self._closing.is_set():
                self._start_ns = start_ns
                self._thread.start()

    def wait_ready(self) -> SourceInfo:
        """Facts about the source, once it has proved that it decodes.

        Errors: BadInputError, MissingPartError and so on, as its first connection failed.
        """
        with self._changed:
            while self._info is None and not self._over:
                self._changed.wait(WAKE_S)
            if self._info is not None:
                return self._info
        raise self._error or BadInputError(f"{self._name}: was closed while it opened", fix="open it again")

    def close(self) -> None:
        """End everything; returns within a second. A connection that hangs is freed when it comes back."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
            attempt = self._attempt
        self._intake.end()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)
        if attempt is not None:
            attempt.join(_JOIN_S)

    def _supervise(self) -> None:
        failures = 0
        while not self._closing.is_set():
            attempt = self._try_once()
            if attempt is not None:
                if not self._patience.reconnects or self._info is None:
                    break
                failures = 0 if attempt.info is not None else failures + 1
            self._closing.wait(pause_s(failures, chance=random.random()))
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._intake.end(None if self._closing.is_set() else self._error)

    def _try_once(self) -> Attempt | None:
        """One connection from beginning to end; None when too many hang already."""
        self._left_behind = [attempt for attempt in self._left_behind if attempt.alive]
        if len(self._left_behind) >= _MAX_LEFT_BEHIND:
            return None
        stats, patience = self._intake.stats, self._patience
        stats.attempts += 1
        attempt = Attempt(
            self._name,
            lambda: self._connect(self._start_ns),
            self._intake,
            self._changed,
            patience_s=patience.open_s * _PATIENCE,
        )
        with self._changed:
            self._attempt = attempt
        attempt.start()
        try:
            self._watch(attempt)
        finally:
            attempt.leave()
            self._left_behind.append(attempt)
        if stats.connected:
            self._lost_ns = attempt.heard_ns
        stats.connected = False
        self._error = attempt.error
        if not self._closing.is_set():
            stats.last_error = attempt.error.message if attempt.error is not None else "the source ended"
        return attempt

    def _watch(self, attempt: Attempt) -> None:
        """Wait until ``attempt`` has ended, hangs, or is not wanted any more."""
        patience = self._patience
        with self._changed:
            while not attempt.ended and not self._closing.is_set():
                if attempt.info is None:
                    what, since_ns, limit_s = "gave no picture or sound", attempt.started_ns, patience.open_s
                else:
                    self._note_connected(attempt)
                    if patience.stall_s is None:
                        self._changed.wait()
                        continue
                    what, since_ns, limit_s = "went silent", attempt.heard_ns, patience.stall_s
                left_s = limit_s - (time.monotonic_ns() - since_ns) / NS_PER_S
                if left_s <= 0:
                    attempt.error = BadInputError(
                        f"{self._name}: {what} for {limit_s:g} s", fix="check that the other side is on"
                    )
                    return
                self._changed.wait(left_s)
            if attempt.info is not None:  # it may have come and gone in one go
                self._note_connected(attempt)

    def _note_connected(self, attempt: Attempt) -> None:
        stats = self._intake.stats
        if stats.connected:
            return
        stats.connected = True
        if self._info is None:
            self._info = attempt.info
            self._changed.notify_all()
        elif self._lost_ns is not None:
            stats.reconnects += 1
            stats.gaps += 1
            stats.last_gap_s = (time.monotonic_ns() - self._lost_ns) / NS_PER_S
            stats.gap_s += stats.last_gap_s
