"""Times of day in questions about live sources: "at 14:05", "between 2 and 3 pm", and in their answers.

A time like 14:05 is one of the day when something was watched then; else it is a position in the video, where
the video is that long. All times are in this machine's zone, which is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from edgevid.core.nouns import NS_PER_S, Evidence, TimeSpan
from edgevid.memory.memory import VideoRow

_TIME = r"(\d{1,2})(?::(\d{2}))?(?::(\d{2}))? ?(a\.?m\b\.?|p\.?m\b\.?|o'?clock)?"
_GROUPS = 4  # of _TIME
_BETWEEN = re.compile(rf"\b(?:between|from) {_TIME} (?:and|to|until|till) {_TIME}", re.IGNORECASE)
_AROUND = re.compile(rf"\b(?:around|about|near) {_TIME}", re.IGNORECASE)
_AT = re.compile(rf"\b(?:at|@) {_TIME}", re.IGNORECASE)
_AFTER = re.compile(rf"\b(?:after|since|past|from) {_TIME}", re.IGNORECASE)
_BEFORE = re.compile(rf"\b(?:before|until|till|up to|by) {_TIME}", re.IGNORECASE)
_AROUND_S = 150  # on either side
_NAMED = 3  # spans whose time of day is told
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class NamedTime:
    """A time of day that a question names.

    Attributes:
        span: the part of the video that is meant, in presentation time; None when nothing was watched then.
        rest: the question without it.
        unwatched: what to answer when ``span`` is None.
    """

    span: TimeSpan | None
    rest: str
    unwatched: str = ""


@dataclass(frozen=True, slots=True)
class _TimeOfDay:
    """Hours and minutes as written; ``length_s`` is how much "at" it covers."""

    seconds: int
    length_s: int
    half: str  # "a", "p", "o" (o'clock) or ""
    colon: bool

    @property
    def certain(self) -> bool:
        """Whether it cannot be a position in a video."""
        return bool(self.half)


def named_time(
    question: str, video: VideoRow, duration_ns: int, *, zone: tzinfo | None = None
) -> NamedTime | None:
    """The time of day in ``question``; None for files, and when it names none."""
    if video.wall_ns is None:
        return None
    for pattern, before_s, after_s in (
        (_BETWEEN, 0, 0),
        (_AROUND, _AROUND_S, _AROUND_S),
        (_AT, 0, 0),
        (_AFTER, 0, None),
        (_BEFORE, None, 0),
    ):
        match = pattern.search(question)
        times = _times(match.groups()) if match else None
        if match is None or times is None:
            continue
        rest = f"{question[: match.start()]} {question[match.end() :]}"
        whole = video.wall_ns, video.wall_ns + duration_ns
        for start, end in _readings(times, whole, question, zone):
            start_ns = whole[0] if before_s is None else _ns(start) - before_s * NS_PER_S
            end_ns = whole[1] if after_s is None else _ns(end) + after_s * NS_PER_S
            if pattern is _BEFORE:
                end_ns = _ns(start)
            if start_ns < whole[1] and end_ns > whole[0] and start_ns < end_ns:
                span = TimeSpan(max(start_ns, whole[0]) - whole[0], min(end_ns, whole[1]) - whole[0])
                return NamedTime(span, rest)
        position_ns = times[0].seconds // 60 * NS_PER_S  # 14:05 read as minutes and seconds
        if not any(time.certain for time in times) and position_ns <= duration_ns:
            return None
        return NamedTime(None, rest, f"I was not watching then: I watched {_from_to(*whole, zone)}.")
    return None


def clock_note(evidence: Sequence[Evidence], video: VideoRow, *, zone: tzinfo | None = None) -> str:
    """`` (14:05:03 to 14:05:07 CET)``: the cited spans on the clock; "" for files and without evidence."""
    spans = [e.span for e in evidence if e.rows][:_NAMED]
    if video.wall_ns is None or not spans:
        return ""
    told = [_from_to(video.wall_ns + s.start_ns, video.wall_ns + s.end_ns, zone, named=False) for s in spans]
    more = ", ..." if len(evidence) > _NAMED else ""
    return f" ({', '.join(told)}{more} {_moment(video.wall_ns, zone):%Z})"


def _times(groups: tuple[str | None, ...]) -> list[_TimeOfDay] | None:
    """One or two times; None when a number is not one."""
    parts = [groups[i : i + _GROUPS] for i in range(0, len(groups), _GROUPS)]
    halves = [(part[3] or "")[:1].lower() for part in parts]
    if len(parts) > 1 and not halves[0] and not parts[0][1]:
        halves[0] = halves[1]  # "between 2 and 3 pm"
    found = []
    for (hours, minutes, seconds, _), half in zip(parts, halves, strict=True):
        hour, minute, second = int(hours or 0), int(minutes or 0), int(seconds or 0)
        if (minutes is None and not half) or hour > 23 or minute > 59 or second > 59:
            return None
        if half in ("a", "p") and not 1 <= hour <= 12:
            return None
        if half in ("a", "p"):
            hour = hour % 12 + 12 * (half == "p")
        found.append(
            _TimeOfDay(hour * 3600 + minute * 60 + second, 1 if seconds else 60, half, minutes is not None)
        )
    return found


def _readings(
    times: list[_TimeOfDay], whole: tuple[int, int], question: str, zone: tzinfo | None
) -> Iterator[tuple[datetime, datetime]]:
    """Start and end on each day that was watched, newest first; then the same, taken as of the afternoon."""
    first, last = _moment(whole[0], zone), _moment(whole[1], zone)
    days = [last.replace(hour=0, minute=0, second=0, microsecond=0)]
    while days[-1] > first:
        days.append(days[-1] - _DAY)
    if re.search(r"\byesterday\b", question, re.IGNORECASE):
        days = days[1:2]
    elif re.search(r"\btoday\b", question, re.IGNORECASE):
        days = days[:1]
    morning = all(time.half in ("", "o") and time.seconds < 12 * 3600 for time in times)
    for later_s in (0, 12 * 3600) if morning else (0,):
        for day in days:
            start = day + timedelta(seconds=times[0].seconds + later_s)
            end = day + timedelta(seconds=times[-1].seconds + later_s)
            if len(times) == 1:
                end = start + timedelta(seconds=times[0].length_s)
            yield start, end if end > start else end + _DAY  # "between 11 pm and 1 am"


def _from_to(start_ns: int, end_ns: int, zone: tzinfo | None, *, named: bool = True) -> str:
    start, end = _moment(start_ns, zone), _moment(end_ns, zone)
    times = f"{start:%H:%M:%S}"
    if f"{end:%H:%M:%S}" != times:
        times = f"from {times} to {end:%H:%M:%S}" if named else f"{times} to {end:%H:%M:%S}"
    return f"{times} {end:%Z}" if named else times


def _moment(ns: int, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(ns / NS_PER_S).astimezone(zone)


def _ns(moment: datetime) -> int:
    return round(moment.timestamp() * NS_PER_S)
