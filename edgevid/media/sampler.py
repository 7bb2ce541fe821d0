"""Pictures at a set rate from a stream with any timing: at each tick, the newest picture at or before it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Generic, TypeVar

from edgevid.core.nouns import NS_PER_S

T = TypeVar("T")

_TOLERANCE_NS = 500_000
"""Containers that keep milliseconds (Matroska, FLV) put a picture up to half of one late."""

FOREVER_NS = 1 << 62


class FrameSampler(Generic[T]):
    """Picks pictures at ticks ``start + k / fps``; without a rate every picture in [start, end) passes as it
    is.

    Between ticks only references are kept, so a caller may push pictures that are costly to convert.
    A picture shown across several ticks is given at each of them. Times are nanoseconds.
    """

    def __init__(self, *, fps: float | None, start_ns: int = 0, end_ns: int = FOREVER_NS) -> None:
        self._rate = None if fps is None else Fraction(fps).limit_denominator(100_000)
        self._start_ns = start_ns
        self._end_ns = end_ns
        self._tick = 0
        self._shown: tuple[T] | None = None
        self._reached_ns = 0

    @property
    def watermark_ns(self) -> int:
        """No picture with an earlier time will come out any more."""
        if self._rate is None:
            return max(self._start_ns, self._reached_ns)
        return min(self._tick_ns(), self._end_ns)

    @property
    def done(self) -> bool:
        """Whether the end was reached: nothing more will come out."""
        return self.watermark_ns >= self._end_ns

    def push(self, time_ns: int, picture: T) -> Iterator[tuple[int, T]]:
        """Take the next picture, shown from ``time_ns`` on; yields (time, picture) pairs that are now
        decided.
        """
        self._reached_ns = max(self._reached_ns, time_ns)
        if self._rate is None:
            if self._start_ns <= time_ns < self._end_ns:
                yield time_ns, picture
            return
        yield from self.hold(time_ns - _TOLERANCE_NS)
        self._shown = (picture,)

    def hold(self, until_ns: int) -> Iterator[tuple[int, T]]:
        """The picture shown now stays until ``until_ns`` (not included)."""
        while self._rate is not None and self._tick_ns() < min(until_ns, self._end_ns):
            time_ns = self._tick_ns()
            self._tick += 1
            if self._shown is not None:
                yield time_ns, self._shown[0]

    def _tick_ns(self) -> int:
        assert self._rate is not None
        return self._start_ns + self._tick * NS_PER_S * self._rate.denominator // self._rate.numerator
