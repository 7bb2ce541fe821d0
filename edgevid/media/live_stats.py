"""What happened to a live source: one record, written by its threads, read by anyone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class LiveStats:
    """Counts since the source was opened.

    Pictures are counted only while the source is being read, and then exactly: ``received == delivered +
    dropped + skipped`` and one more while a picture waits for the reader.

    Attributes:
        received: pictures that came.
        delivered: pictures the reader took.
        dropped: pictures a newer one replaced before the reader came for them.
        skipped: pictures between the ticks of ``fps``.
        sound_s: seconds of sound that came.
        sound_dropped_s: seconds of sound dropped because the reader stayed behind; a jump in ``pts_ns``.
        attempts: connections tried.
        reconnects: times the source came back.
        gaps, gap_s: interruptions that ended, and their total length; the newest one in ``last_gap_s``.
        jumps: times the clock of the source jumped.
        drift_ppm: how much faster the clock of the source runs than ours, None before a minute has passed.
        damaged: packets that would not decode.
        connected: whether packets are coming.
        last_error: why the last connection ended or was not made, without passwords.
    """

    received: int = 0
    delivered: int = 0
    dropped: int = 0
    skipped: int = 0
    sound_s: float = 0.0
    sound_dropped_s: float = 0.0
    attempts: int = 0
    reconnects: int = 0
    gaps: int = 0
    gap_s: float = 0.0
    last_gap_s: float = 0.0
    jumps: int = 0
    drift_ppm: float | None = None
    damaged: int = 0
    connected: bool = False
    last_error: str | None = None
