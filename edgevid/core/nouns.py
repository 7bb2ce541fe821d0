"""The nouns that flow between rooms. All times are integer nanoseconds of presentation time (``pts_ns``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["object", "class", "text", "speech", "sound", "cut", "faint"]
"""What a perception channel reports. ``object``: COCO-80 detections; ``class``: ImageNet-1000 labels of the
whole frame; ``text``: text read on screen; ``speech``: an utterance; ``sound``: an AudioSet tag; ``cut``: a
scene cut; ``faint``: an object, frame class or line of text too weakly perceived to be reported, kept for a
question that presupposes it."""

KINDS: tuple[Kind, ...] = ("object", "class", "text", "speech", "sound", "cut")
"""What can be watched for and is reported: every kind but ``faint``, which comes along with the others."""

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """Half-open interval of presentation time, ``start_ns <= t < end_ns``; a point has equal ends."""

    start_ns: int
    end_ns: int

    def __post_init__(self) -> None:
        if self.end_ns < self.start_ns:
            raise ValueError(f"TimeSpan ends ({self.end_ns}) before it starts ({self.start_ns})")

    @property
    def start_s(self) -> float:
        return self.start_ns / NS_PER_S

    @property
    def end_s(self) -> float:
        return self.end_ns / NS_PER_S


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture, upright (rotation applied).

    Attributes:
        image: uint8 [height, width, 3], RGB, C-contiguous.
        pts_ns: presentation time since the start of the source.
        index: running number of the frame in the source (before sampling).
        wall_ns: Unix time of capture for live sources, else None.
    """

    image: npt.NDArray[np.uint8]
    pts_ns: int
    index: int
    wall_ns: int | None = None


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A run of mono samples.

    Attributes:
        samples: float32 [n] in [-1, 1].
        sample_rate: Hz.
        pts_ns: presentation time of the first sample.
        wall_ns: Unix time of the first sample for live sources, else None.
    """

    samples: npt.NDArray[np.float32]
    sample_rate: int
    pts_ns: int
    wall_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """Axis-aligned box in fractions of the frame, ``0 <= x0 < x1 <= 1``; origin at the top left."""

    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing seen or heard: a row of the timeline.

    Attributes:
        kind: the channel (see ``Kind``).
        label: class name, text read, words spoken.
        span: when; visual observations span one sampling period.
        score: confidence in [0, 1].
        count: how many instances of ``label`` at this time (objects), else 1.
        boxes: where, one per instance (objects, text), may be empty.
        model_id: the pack that said so.
        wall_ns: Unix time of ``span.start_ns`` for live sources, else None.
    """

    kind: Kind
    label: str
    span: TimeSpan
    score: float
    count: int = 1
    boxes: tuple[Box, ...] = ()
    model_id: str = ""
    wall_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Rows of memory that support an answer, as one time span."""

    span: TimeSpan
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AttendedSpan:
    """A time span that an LLM attended when it was asked.

    Attributes:
        span: when.
        mass: share of the attention of all heads and layers that its tokens got.
        peak: the most that any one head gave one of its tokens, which the span was chosen by: heads that look
            things up (retrieval heads, arXiv 2404.15574) give nearly all.
    """

    span: TimeSpan
    mass: float
    peak: float


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a question about a video; every claim in ``text`` rests on ``evidence``."""

    question: str
    text: str
    evidence: tuple[Evidence, ...] = ()
    attended: tuple[AttendedSpan, ...] = ()
    latency_ms: float = 0.0
    calls: tuple[str, ...] = field(default=())
