"""Which times a question's attention went to."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

import numpy as np

from edgevid.core.nouns import NS_PER_S, AttendedSpan, TimeSpan
from edgevid.models.llm import Attended

MOST_SPANS = 4
LEAST_PEAK = 0.5
"""Of the highest peak."""


class TokenTimes:
    """When each token of a sequence was seen: one entry per frame or line of text, in order.

    Args:
        period_ns: how long the newest entry lasts.
    """

    def __init__(self, *, period_ns: int = NS_PER_S // 2) -> None:
        self._period_ns = period_ns
        self._begins: list[int] = []  # position of an entry's first token
        self._ends: list[int] = []
        self._times: list[int] = []

    def add(self, begin: int, end: int, pts_ns: int) -> None:
        """Tokens [begin, end) were seen at ``pts_ns``."""
        self._begins.append(begin)
        self._ends.append(end)
        self._times.append(pts_ns)

    def forget(self, before: int) -> None:
        """Drop entries that end at or before position ``before``: the window has left them."""
        gone = bisect_right(self._ends, before)
        if gone > len(self._ends) // 2:  # not each time: lists close up behind what is dropped
            for entries in (self._begins, self._ends, self._times):
                del entries[:gone]

    def spans(self, attended: Attended, *, before: int) -> tuple[AttendedSpan, ...]:
        """The spans of highest peak, highest first, neighbours as one; tokens of no known time (instructions)
        count for none.

        Args:
            before: length of the sequence when it was forked. Behind it a fork has its question, and the
                sequence itself what was seen meanwhile.
        """
        if not self._times or not len(attended.positions):
            return ()
        entry = np.searchsorted(np.asarray(self._begins), attended.positions, side="right") - 1
        ends = np.minimum(self._ends, before)
        known = (entry >= 0) & (attended.positions < ends[entry])
        peaks, masses = np.zeros(len(self._times)), np.zeros(len(self._times))
        np.maximum.at(peaks, entry[known], attended.peaks[known])
        np.add.at(masses, entry[known], attended.shares[known])
        if peaks.max() <= 0:
            return ()
        found = [
            AttendedSpan(
                self._span(first, end), float(masses[first:end].sum()), float(peaks[first:end].max())
            )
            for first, end in _runs(peaks >= LEAST_PEAK * peaks.max())
        ]
        return tuple(sorted(found, key=lambda a: (-a.peak, a.span.start_ns))[:MOST_SPANS])

    def _span(self, first: int, end: int) -> TimeSpan:
        """Up to the next time: a frame and the lines about it have the same one, or the lines an earlier."""
        newest = max(self._times[first:end])
        later = (time for time in self._times[end:] if time > newest)
        return TimeSpan(min(self._times[first:end]), next(later, newest + self._period_ns))


def _runs(chosen: np.ndarray) -> Iterator[tuple[int, int]]:
    """Neighbours that are chosen, as [first, end)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(np.int8), [0]])))
    for first, end in edges.reshape(-1, 2):
        yield int(first), int(end)
