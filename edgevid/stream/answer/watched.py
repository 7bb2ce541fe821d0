"""What one watched video holds, read once per question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgevid.core.nouns import KINDS, Kind, TimeSpan
from edgevid.memory.memory import Memory, Row, VideoRow
from edgevid.perception.classes import PACK as CLASS_PACK
from edgevid.perception.text import PACK as TEXT_PACK


@dataclass(frozen=True, slots=True)
class Watched:
    """Rows of a video by channel, in order of time; faint ones apart, for questions that ask for them.

    Attributes:
        faint: things weakly seen.
        faint_classes: frame classes too unlikely to be reported.
        faint_text: lines weakly read.
    """

    video: VideoRow
    rows: tuple[Row, ...]
    faint: tuple[Row, ...] = ()
    faint_classes: tuple[Row, ...] = ()
    faint_text: tuple[Row, ...] = ()

    @classmethod
    def read(cls, memory: Memory, video_id: int) -> Watched:
        """All rows of the video, without their boxes."""
        video = memory.video(video_id)
        rows: list[Row] = []
        things: list[Row] = []
        faint: dict[str, list[Row]] = {CLASS_PACK: [], TEXT_PACK: []}
        for row in memory.rows(video_id, kinds=(*KINDS, "faint"), boxes=False):
            o = row.observation
            kept = rows if o.kind != "faint" else faint.get(o.model_id, things)
            kept.append(_clamped(row, video.duration_ns))
        return cls(video, *map(tuple, (rows, things, faint[CLASS_PACK], faint[TEXT_PACK])))

    def within(self, window: TimeSpan) -> Watched:
        """The rows that overlap ``window``."""
        kept = [
            tuple(row for row in rows if _overlap(row.observation.span, window))
            for rows in (self.rows, self.faint, self.faint_classes, self.faint_text)
        ]
        return Watched(self.video, *kept)

    def of(self, *kinds: Kind) -> Sequence[Row]:
        """Rows of these channels."""
        return [row for row in self.rows if row.observation.kind in kinds]

    @property
    def duration_ns(self) -> int:
        """Presentation time watched so far."""
        ends = (row.observation.span.end_ns for row in self.rows)
        return self.video.duration_ns or max(ends, default=0)

    def watched_for(self, kind: Kind) -> bool:
        """Whether this channel ran (and, for sound, whether there was any to hear)."""
        return kind in self.video.channels and (self.video.has_audio or kind not in ("speech", "sound"))


def _clamped(row: Row, duration_ns: int | None) -> Row:
    """A look's period may reach past the end of the video; an answer must not."""
    span = row.observation.span
    if not duration_ns or span.end_ns <= duration_ns:
        return row
    inside = TimeSpan(min(span.start_ns, duration_ns), duration_ns)
    return replace(row, observation=replace(row.observation, span=inside))


def _overlap(span: TimeSpan, window: TimeSpan) -> bool:
    return span.start_ns < window.end_ns and window.start_ns < max(span.end_ns, span.start_ns + 1)
