"""Bodies of stages for tests; in a module, so that a process executor can import them."""

from __future__ import annotations

from collections.abc import Iterator


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
