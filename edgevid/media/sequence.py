"""A row of picture files read as one video at a set rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid.core.errors import BadInputError
from edgevid.core.limits import MediaLimits
from edgevid.core.nouns import NS_PER_S
from edgevid.media.reader import FileReader, ReadReport

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.video.frame import VideoFrame


def read_picture(path: Path, *, limits: MediaLimits) -> VideoFrame:
    """The first picture of a file, as decoded. Errors: BadInputError, LimitError."""
    reader = FileReader.open(path, limits=limits, threads=1, exact=True)
    try:
        for frame in reader.decode(video=True, audio=False):
            return frame  # type: ignore[return-value]
    finally:
        reader.close()
    raise BadInputError(
        f"{path}: no picture in it can be decoded", fix="check that it opens in a picture viewer"
    )


@dataclass(slots=True)
class SequenceReader:
    """Pictures ``paths[i]`` shown at ``i / fps`` seconds; one that cannot be read is skipped and counted."""

    paths: tuple[Path, ...]
    fps: float
    limits: MediaLimits
    start_ns: int = 0
    report: ReadReport = field(default_factory=ReadReport)
    _next: int = 0
    _closed: bool = False

    def decode(self, *, video: bool, audio: bool) -> Iterator[VideoFrame | AudioFrame]:
        period = 1 / Fraction(self.fps).limit_denominator(100_000)
        while video and self._next < len(self.paths) and not self._closed:
            number, self._next = self._next, self._next + 1
            try:
                frame = read_picture(self.paths[number], limits=self.limits)
            except BadInputError:
                self.report.damaged += 1
                continue
            frame.pts, frame.time_base = number, period
            yield frame

    def seek(self, time_ns: int) -> bool:
        self._next = min(len(self.paths), int(time_ns * self.fps / NS_PER_S))
        return True

    def close(self) -> None:
        self._closed = True
