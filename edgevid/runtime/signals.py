"""Signals: SIGTERM as an exception, as Ctrl-C is one, and waits that do not sleep through either."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_EXIT_CODE = 128 + signal.SIGTERM
_BEAT_S = 0.25


@contextmanager
def sigterm_exits() -> Iterator[None]:
    """Inside, SIGTERM raises ``SystemExit(143)`` in the main thread; elsewhere than there it does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def beats(timeout_s: float | None) -> Iterator[float]:
    """Cut a wait (None: for ever) into short ones.

    The kernel may give a signal to any thread, but Python handles it in the main one, when that next wakes.
    """
    until_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
    while (left_s := until_s - time.monotonic()) > _BEAT_S:
        yield _BEAT_S
    yield max(0.0, left_s)


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(_EXIT_CODE)
