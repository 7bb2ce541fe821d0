"""Timestamps of one stream, made usable: nanoseconds since the start of the source, without holes or steps
back.

Files lie about time: timestamps are missing (raw .264), doubled, run backwards, or jump where recordings were
spliced. Each repair is counted, so that a source can say how far its clock can be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgevid.core.nouns import NS_PER_S

_STEP_BACK_NS = NS_PER_S // 2
LONGEST_STEP_NS = 3600 * NS_PER_S
"""The longest pause from one picture or sound to the next that is believed."""

_NUDGE_NS = 1_000_000


@dataclass(slots=True)
class ClockRepairs:
    """Counts of what was repaired: ``missing`` timestamps, ``unordered`` (doubled or backwards),
    ``splices``.
    """

    missing: int = 0
    unordered: int = 0
    splices: int = 0


class StreamClock:
    """Maps a stream's timestamps to source time.

    Args:
        base_ns: the container's start; it becomes 0.
        strict: times must strictly increase (pictures); sound may overlap a little and is cut elsewhere.
        repairs: where to count.

    A step back of more than 0.5 s or ahead of more than an hour is a splice: time continues where it was.
    """

    def __init__(self, *, base_ns: int, strict: bool, repairs: ClockRepairs) -> None:
        self._offset_ns = -base_ns
        self._strict = strict
        self._repairs = repairs
        self._last_ns: int | None = None
        self.next_ns = 0

    def stamp(self, pts_ns: int | None, duration_ns: int) -> int:
        """Source time of the next picture or run of samples, which lasts ``duration_ns``."""
        if pts_ns is None:
            self._repairs.missing += 1
            time_ns = self.next_ns
        else:
            time_ns = pts_ns + self._offset_ns
            if self._last_ns is not None and not (
                self.next_ns - _STEP_BACK_NS <= time_ns <= self.next_ns + LONGEST_STEP_NS
            ):
                self._repairs.splices += 1
                self._offset_ns += self.next_ns - time_ns
                time_ns = self.next_ns
        if self._strict and self._last_ns is not None and time_ns <= self._last_ns:
            self._repairs.unordered += 1
            time_ns = self._last_ns + _NUDGE_NS
        time_ns = max(0, time_ns)
        self._last_ns = time_ns
        self.next_ns = time_ns + duration_ns
        return time_ns
