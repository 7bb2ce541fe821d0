"""What people type for times, ages and sizes: ``1:02:03``, ``2026-11-22 14:05``, ``7d``, ``2GB``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime

from edgevid.core.errors import UsageError
from edgevid.core.nouns import NS_PER_S

_POSITION = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?) ?s?")
_AGE = re.compile(r"(\d+(?:\.\d+)?) ?(s|min|m|h|d|days?|w|weeks?)")
_AGE_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgt]?)(i?)b?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Instant:
    """A point in time: ``ns`` of presentation time, or of Unix time when ``on_wall_clock``."""

    ns: int
    on_wall_clock: bool


def parse_instant(text: str) -> Instant:
    """``90``, ``1:30`` or ``1:02:03.5`` is a position in a video; a date with a time is on the wall clock.

    A date without a zone is in this machine's.

    Raises:
        UsageError: neither.
    """
    if match := _POSITION.fullmatch(text.strip()):
        hours, minutes, seconds = match.groups()
        whole_s = (int(hours or 0) * 60 + int(minutes or 0)) * 60
        return Instant(whole_s * NS_PER_S + round(float(seconds) * NS_PER_S), on_wall_clock=False)
    try:
        moment = datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError):
        raise UsageError(
            f"'{text}' is no time", fix="a position such as 1:30, or a date such as '2026-11-22 14:05'"
        ) from None
    return Instant(round(moment.timestamp() * NS_PER_S), on_wall_clock=True)


def parse_age_s(text: str) -> float:
    """Seconds of ``90s``, ``30m``, ``12h``, ``7d`` or ``2w``.

    Raises:
        UsageError: not of that form, or zero.
    """
    match = _AGE.fullmatch(text.strip().lower())
    if not match or float(match.group(1)) == 0:
        raise UsageError(f"'{text}' is no age", fix="write 12h, 7d or 2w")
    return float(match.group(1)) * _AGE_S[match.group(2)[0]]


def parse_bytes(text: str) -> int:
    """Bytes of ``500MB``, ``2 GB`` or ``1GiB``.

    Raises:
        UsageError: not of that form.
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise UsageError(f"'{text}' is no size", fix="write 500MB, 2GB or 1GiB")
    number, prefix, binary = match.groups()
    base = 1024.0 if binary else 1000.0
    return math.ceil(float(number) * base ** " kmgt".index(prefix.lower() or " "))
