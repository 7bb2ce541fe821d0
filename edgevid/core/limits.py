"""Limits on untrusted input, in one place. Each is checked before memory in proportion to it is taken."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """What a media source may cost.

    Attributes:
        max_pixels: width x height of one picture (default: 8192 x 4320).
        max_bytes: size of a local file.
        max_duration_s: longest stretch of presentation time that is read.
        open_timeout_s: a source that says nothing for this long is given up.
    """

    max_pixels: int = 8192 * 4320
    max_bytes: int = 1 << 40
    max_duration_s: float = 7 * 24 * 3600.0
    open_timeout_s: float = 10.0
