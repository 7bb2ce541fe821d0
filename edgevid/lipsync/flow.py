"""What travels between the stages of a dub; ``pipeline.py`` draws the way.

``Settled`` travels in line with the clauses: whoever gets it has every clause that begins before its time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevid.core.nouns import Frame
from edgevid.lipsync.nouns import Clause, Floats, MouthCurve, SpokenClause

if TYPE_CHECKING:
    from edgevid.perception.faces import Face


@dataclass(frozen=True, slots=True)
class Settled:
    """No clause that comes later begins before ``pts_ns``; ``speaking``: somebody speaks at this time."""

    pts_ns: int
    speaking: bool


@dataclass(frozen=True, slots=True)
class Said:
    """A clause as it was said.

    Attributes:
        clause: its text is empty when nothing could be recognised.
        level: root mean square of its sound.
        pitch_hz: median fundamental, None when hardly any of it is voiced.
        cut_at_ns: source time at which it was known to be over.
    """

    clause: Clause
    level: float
    pitch_hz: float | None
    cut_at_ns: int


@dataclass(frozen=True, slots=True)
class Translated:
    """``said`` and its text in the target language."""

    said: Said
    text: str


@dataclass(frozen=True, slots=True)
class Talk:
    """A clause said anew, and the mouth that goes with it; ``curve`` starts when ``spoken`` does."""

    spoken: SpokenClause
    curve: MouthCurve | None


@dataclass(frozen=True, slots=True)
class Line:
    """What is kept of a ``Talk``: ``text`` is heard from ``start_ns`` to ``end_ns`` for ``clause``."""

    clause: Clause
    text: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture and the faces in it."""

    frame: Frame
    faces: tuple[Face, ...]

    @property
    def pts_ns(self) -> int:
        return self.frame.pts_ns


@dataclass(frozen=True, slots=True)
class DubbedFrame:
    """A picture of the result.

    Attributes:
        frame: with the new mouth, or untouched.
        drawn: whether the mouth is new.
        reason: why it is not, though a dub is heard or the speaker's own voice is not; else empty.
    """

    frame: Frame
    drawn: bool
    reason: str = ""

    @property
    def pts_ns(self) -> int:
        return self.frame.pts_ns


@dataclass(frozen=True, slots=True)
class DubbedSound:
    """A stretch of the result's sound.

    Attributes:
        pts_ns: of the first sample.
        samples: float32 [n] mono, the dub over what remains of the original.
        original: float32 [n] mono, as it came; zeros where the dub outlasts it.
        rate: Hz.
        talks: the clauses that begin here, in the source or in the dub.
        speaking: somebody speaks in the source here, dubbed or not.
    """

    pts_ns: int
    samples: Floats
    original: Floats
    rate: int
    talks: tuple[Talk, ...]
    speaking: bool
