"""Rows of the memory file as values, and the columns they are read from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from edgevid.core.nouns import Box, Kind, Observation, TimeSpan

ROW_COLUMNS = "id, video_id, kind, label, start_ns, end_ns, score, count, boxes, model_id, wall_ns"
ROW_COLUMNS_NO_BOXES = ROW_COLUMNS.replace("boxes", "'[]'")
VIDEO_COLUMNS = "id, uri, wall_ns, duration_ns, width, height, has_audio, channels, label"


@dataclass(frozen=True, slots=True)
class VideoRow:
    """One watched video or stream.

    Attributes:
        wall_ns: Unix time of pts 0 for live sources, else None.
        duration_ns: presentation time watched; None while the first watch runs, or after it was killed.
        channels: the kinds it was watched for.
        label: the user's name for the source ("door"), else None.
    """

    id: int
    uri: str
    wall_ns: int | None
    duration_ns: int | None
    width: int
    height: int
    has_audio: bool
    channels: tuple[Kind, ...]
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """An observation with its row id, the number that answers cite."""

    id: int
    video_id: int
    observation: Observation


def to_row(record: tuple[Any, ...]) -> Row:
    """A record of ``ROW_COLUMNS``."""
    row_id, video_id, kind, label, start_ns, end_ns, score, count, boxes, model_id, wall_ns = record
    observation = Observation(
        kind=kind,
        label=label,
        span=TimeSpan(start_ns, end_ns),
        score=score,
        count=count,
        boxes=tuple(Box(*box) for box in json.loads(boxes)) if boxes != "[]" else (),
        model_id=model_id,
        wall_ns=wall_ns,
    )
    return Row(row_id, video_id, observation)


def to_video(record: tuple[Any, ...]) -> VideoRow:
    """A record of ``VIDEO_COLUMNS``."""
    video_id, uri, wall_ns, duration_ns, width, height, has_audio, channels, label = record
    return VideoRow(
        id=video_id,
        uri=uri,
        wall_ns=wall_ns,
        duration_ns=duration_ns,
        width=width,
        height=height,
        has_audio=bool(has_audio),
        channels=tuple(json.loads(channels)),
        label=label,
    )
