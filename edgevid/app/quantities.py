"""What people type for times, ages and sizes: ``1:02:03``, ``2026-11-22 14:05``, ``7d``, ``2GB``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from edgevid.core.errors import UsageError
from edgevid.core.nouns import NS_PER_S
from edgevid.memory.erasing import MOST_AGE_S

# Nine digits are enough for all, and no product of them overflows.
_POSITION = re.compile(r"(?:(?:(\d{1,6}):)?(\d{1,9}):)?(\d{1,9}(?:\.\d{1,9})?) ?s?")
_AGE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?(s|min|m|h|d|days?|w|weeks?)")
_AGE_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?) ?([kmgt]?)(i?)b?", re.IGNORECASE)
_MOST_BYTES = 1 << 60
_SHOWN = 40  # characters of what was typed


@dataclass(frozen=True, slots=True)
class Instant:
    """A point in time: ``ns`` of presentation time, or of Unix time when ``on_wall_clock``."""

    ns: int
    on_wall_clock: bool


class Finite(click.FloatRange):
    """A number within bounds; click's own range lets "nan" through."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"'{value}' is not a finite number.", param, ctx)
        return number


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
            f"'{text[:_SHOWN]}' is no time",
            fix="a position such as 1:30, or a date such as '2026-11-22 14:05'",
        ) from None
    return Instant(round(moment.timestamp() * NS_PER_S), on_wall_clock=True)


def parse_age_s(text: str) -> float:
    """Seconds of ``90s``, ``30m``, ``12h``, ``7d`` or ``2w``.

    Raises:
        UsageError: not of that form, zero, or over 100 years.
    """
    match = _AGE.fullmatch(text.strip().lower())
    age_s = float(match.group(1)) * _AGE_S[match.group(2)[0]] if match else 0.0
    if not 0 < age_s <= MOST_AGE_S:
        raise UsageError(f"'{text[:_SHOWN]}' is no age", fix="write 12h, 7d or 2w")
    return age_s


def parse_bytes(text: str) -> int:
    """Bytes of ``500MB``, ``2 GB`` or ``1GiB``.

    Raises:
        UsageError: not of that form, or over an exbibyte.
    """
    match = _SIZE.fullmatch(text.strip())
    number, prefix, binary = match.groups() if match else ("inf", "", "")
    size = float(number) * (1024.0 if binary else 1000.0) ** " kmgt".index(prefix.lower() or " ")
    if size > _MOST_BYTES:
        raise UsageError(f"'{text[:_SHOWN]}' is no size", fix="write 500MB, 2GB or 1GiB")
    return math.ceil(size)
