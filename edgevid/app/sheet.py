"""The frames of a contact sheet: an even choice from a stream of unknown length, in bounded memory."""

from __future__ import annotations

from pathlib import Path

from edgevid.core.nouns import Frame
from edgevid.memory.memory import Memory

_MOST = 24  # frames kept; every other one is let go when there are more
_SHOWN = 12


class FrameSampler:
    """Keeps at most 24 evenly spaced frames of all that it is shown."""

    def __init__(self) -> None:
        self._kept: list[Frame] = []
        self._step = 1
        self._seen = 0

    def __call__(self, frame: Frame) -> None:
        """Take the next frame of the stream."""
        if self._seen % self._step == 0:
            self._kept.append(frame)
            if len(self._kept) > _MOST:
                self._kept = self._kept[::2]
                self._step *= 2
        self._seen += 1

    def frames(self, most: int = _SHOWN) -> list[Frame]:
        """Up to ``most`` of the kept frames, evenly spaced, the first one always."""
        if len(self._kept) <= most:
            return list(self._kept)
        return [self._kept[round(i * (len(self._kept) - 1) / (most - 1))] for i in range(most)]


def write_sheet(path: Path, sampler: FrameSampler, memory: Memory, video_id: int) -> None:
    """Draw the frames with times, boxes, tags and speech as a PNG grid.

    Raises:
        BadInputError: the video had no picture.
    """
    from edgevid.core.errors import BadInputError
    from edgevid.media.contact_sheet import Cell, contact_sheet
    from edgevid.media.png import write_png

    frames = sampler.frames()
    if not frames:
        raise BadInputError("no contact sheet: the source has no picture", fix="leave out --sheet")
    rows = [row.observation for row in memory.rows(video_id)]
    cells = []
    for frame in frames:
        now = [o for o in rows if o.span.start_ns <= frame.pts_ns < max(o.span.end_ns, o.span.start_ns + 1)]
        cells.append(Cell(frame, tuple(now)))
    write_png(path, contact_sheet(cells))
