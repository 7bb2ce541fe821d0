"""The clock of a live source, recovered from when its packets arrive.

A packet stamped ``p`` by the source arrives at our time ``t``; ``t - p`` is the offset between the two clocks
plus what the way took, and the way only ever adds. So the smallest ``t - p`` of the last ten seconds is the
offset, up to the fastest way:

    time(p) = p + min(t_i - p_i)          never later than the arrival of what is stamped

A clock that drifts moves the minimum along, by at most drift x 10 s (1 ms at 100 ppm), so sound and pictures
stay on our clock for ever; one offset serves both tracks and keeps them in step. A stamp that steps back by
half a second or ahead by ten is a jump: the minimum begins anew, as it does with each connection.
"""

from __future__ import annotations

import time
from collections import deque

from edgevid.core.nouns import NS_PER_S
from edgevid.media.live_stats import LiveStats

_SLOTS = 10
_SLOT_NS = NS_PER_S
_STEP_BACK_NS = NS_PER_S // 2
_STEP_AHEAD_NS = 10 * NS_PER_S
_DRIFT_AFTER_NS = 60 * NS_PER_S
_NUDGE_NS = 1_000_000


class LiveClock:
    """Maps stamps of the source to nanoseconds since ``epoch_ns``, on the monotonic clock of this machine.

    One thread at a time; ``wall_ns`` may be called by any.

    Args:
        stats: where jumps and drift are noted.
    """

    def __init__(self, stats: LiveStats) -> None:
        self._stats = stats
        self.epoch_ns: int | None = None
        self._minima: deque[list[int]] = deque(maxlen=_SLOTS)  # [slot, smallest t - p in it]
        self._offset_ns = 0
        self._anchor: tuple[int, int] | None = None
        self._newest: dict[int, int] = {}
        self._last_picture_ns = -1

    def restart(self) -> None:
        """A new connection: its stamps have nothing to do with those before. Time goes on."""
        self._minima.clear()
        self._newest.clear()
        self._anchor = None

    def observe(self, track: int, stamp_ns: int, arrived_ns: int) -> None:
        """Learn from a packet of ``track``: the source's stamp and when it arrived (monotonic)."""
        newest = self._newest.get(track)
        if newest is not None and not -_STEP_BACK_NS <= stamp_ns - newest <= _STEP_AHEAD_NS:
            self._stats.jumps += 1
            self.restart()
        self._newest[track] = stamp_ns
        slot, offset = arrived_ns // _SLOT_NS, arrived_ns - stamp_ns
        if self._minima and self._minima[-1][0] == slot:
            self._minima[-1][1] = min(self._minima[-1][1], offset)
        else:
            self._minima.append([slot, offset])
            while slot - self._minima[0][0] >= _SLOTS:
                self._minima.popleft()
            self._measure_drift(arrived_ns)
        self._offset_ns = min(value for _, value in self._minima)

    def time_of(self, stamp_ns: int | None, arrived_ns: int) -> int:
        """Source time of a stamp whose data arrived by ``arrived_ns``; without a stamp, that of arrival.

        The first call makes its time 0 unless ``epoch_ns`` is set. May be negative.
        """
        mapped = arrived_ns if stamp_ns is None or not self._minima else stamp_ns + self._offset_ns
        mapped = min(mapped, arrived_ns)
        if self.epoch_ns is None:
            self.epoch_ns = mapped
        return mapped - self.epoch_ns

    def time_of_picture(self, stamp_ns: int | None, arrived_ns: int) -> int:
        """As ``time_of``, and strictly later than the picture before."""
        time_ns = max(self.time_of(stamp_ns, arrived_ns), 0)
        if time_ns <= self._last_picture_ns:
            time_ns = self._last_picture_ns + _NUDGE_NS
        self._last_picture_ns = time_ns
        return time_ns

    def wall_ns(self, time_ns: int) -> int:
        """Unix time of source time ``time_ns``, by the wall clock as it is set now."""
        return time_ns + (self.epoch_ns or 0) + time.time_ns() - time.monotonic_ns()

    def _measure_drift(self, arrived_ns: int) -> None:
        if len(self._minima) < _SLOTS:
            return
        smallest = min(value for _, value in self._minima)
        if self._anchor is None:
            self._anchor = arrived_ns, smallest
        elif arrived_ns - self._anchor[0] >= _DRIFT_AFTER_NS:
            since, offset = self._anchor
            self._stats.drift_ppm = (offset - smallest) / (arrived_ns - since) * 1e6
