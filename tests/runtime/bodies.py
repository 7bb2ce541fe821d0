"""Bodies of stages for tests; in a module, so that a process executor can import them."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator

from edgevid.core.errors import MissingPartError


def double(n: int) -> int:
    return 2 * n


class Total:
    """Adds up, and says the sum at the end."""

    def __init__(self) -> None:
        self.sum = 0

    def __call__(self, n: int) -> None:
        self.sum += n

    def flush(self) -> Iterator[int]:
        yield self.sum


class ProcessId:
    """Says in which process it lives."""

    def __call__(self, n: int) -> int:
        return os.getpid()


class Poisoned:
    """Passes on what it gets, but for: -1 raises, -2 ends the process, -3 hangs."""

    def __init__(self, hang_s: float = 600.0) -> None:
        self.hang_s = hang_s
        self.seen = 0

    def __call__(self, n: int) -> tuple[int, int]:
        if n == -1:
            raise RuntimeError("poisoned")
        if n == -2:
            os._exit(9)
        if n == -3:
            time.sleep(self.hang_s)
        self.seen += 1
        return n, self.seen


def count_up(n: int) -> Iterator[int]:
    """n, n + 1, ... for ever, ten a second."""
    for value in itertools.count(n):
        yield value
        time.sleep(0.1)


def thrice_then_hang(n: int) -> Iterator[int]:
    yield from (n, n, n)
    time.sleep(600)


def unpicklable(n: int) -> object:
    return lambda: n


def missing_part() -> object:
    raise MissingPartError("no voice is installed", fix="apt-get install voice")


def broken_make() -> object:
    raise RuntimeError("cannot be made")
