"""Sources with a beginning and an end: files and sequences of pictures, read as often as one likes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid.core.errors import BadInputError, LimitError
from edgevid.core.limits import MediaLimits
from edgevid.core.nouns import NS_PER_S, AudioChunk, Frame
from edgevid.media.base import Source
from edgevid.media.info import SourceInfo, describe_file, describe_sequence
from edgevid.media.passage import Passage, ReadPlan
from edgevid.media.picture import hdr_curve
from edgevid.media.reader import FileReader, Reader
from edgevid.media.sampler import FOREVER_NS
from edgevid.media.seeking import seek_before
from edgevid.media.sequence import SequenceReader, read_picture

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_PROBE_SOUNDS = 2000
_SHORT_BY = 0.05

OpenReader = Callable[[bool], Reader]
"""Starts a new pass from the beginning; the argument is ``exact``."""


class RecordedSource(Source):
    """A file or a sequence of pictures; ``open_file`` and ``open_sequence`` make one. Passes may run at the
    same time in different threads.
    """

    def __init__(
        self, info: SourceInfo, open_reader: OpenReader, *, limits: MediaLimits, warnings: list[str]
    ) -> None:
        super().__init__(info, limits=limits, warnings=warnings)
        self._open_reader = open_reader
        self._readers: list[Reader] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            readers, self._readers = self._readers, []
        for reader in readers:
            reader.close()

    def _pass(self, plan: ReadPlan) -> Iterator[Frame | AudioChunk]:
        if not (plan.video or plan.audio):
            return
        reader = self._new_reader(plan)
        try:
            decoded = None
            if plan.start_ns:
                decoded = seek_before(reader, plan.start_ns, video=plan.video, audio=plan.audio)
                if decoded is None:
                    # Reading from the beginning is slow but right.
                    self._drop_reader(reader)
                    reader = self._new_reader(plan)
            decoded = decoded or reader.decode(video=plan.video, audio=plan.audio)
            passage = Passage(
                info=self.info,
                plan=plan,
                base_ns=reader.start_ns,
                max_duration_ns=round(self._limits.max_duration_s * NS_PER_S),
                stats=self.stats,
            )
            yield from passage.items(decoded)
            self._report(reader, plan, passage)
        finally:
            self._drop_reader(reader)

    def _new_reader(self, plan: ReadPlan) -> Reader:
        reader = self._open_reader(plan.exact)
        with self._lock:
            if not self._closed:
                self._readers.append(reader)
                return reader
        reader.close()
        return reader

    def _drop_reader(self, reader: Reader) -> None:
        with self._lock:
            if reader in self._readers:
                self._readers.remove(reader)
        reader.close()

    def _report(self, reader: Reader, plan: ReadPlan, passage: Passage) -> None:
        self.stats.damaged += reader.report.damaged
        if reader.report.stopped:
            self._warn(f"reading stopped early: {reader.report.stopped}")
        if self.stats.damaged:
            self._warn("some parts are damaged and were skipped")
        end_s = max(passage.video_clock.next_ns, passage.audio_clock.next_ns) / NS_PER_S
        length_s = self.info.duration_s
        all_tracks = plan.video == self.info.has_video and plan.audio == self.info.has_audio
        if self._closed or not all_tracks or length_s is None or plan.end_ns != FOREVER_NS:
            return
        if end_s < length_s * (1 - _SHORT_BY) - 0.5:
            self._warn(
                f"ends at {end_s:.1f} s, not {length_s:.1f} s as its header says: cut off or mislabelled"
            )


def open_file(uri: str, path: Path, *, limits: MediaLimits, threads: int) -> Source:
    """Open one file and prove that it decodes; ``uri`` names it in messages. Errors: as ``open_source``."""

    def open_reader(exact: bool) -> Reader:
        return FileReader.open(path, limits=limits, threads=threads, exact=exact)

    reader = FileReader.open(path, limits=limits, threads=threads, exact=True)
    try:
        picture, has_sound, ended = _probe(reader)
        if picture is None and reader.video is not None and reader.video.codec_context.width == 0:
            # FFmpeg clears the size of a stream when ``max_pixels`` stops its decoder.
            raise LimitError(
                f"{uri}: no picture of at most {limits.max_pixels} pixels can be decoded",
                fix="scale the video down, raise max_pixels, or check that it is not damaged",
            )
        if picture is None and not has_sound:
            raise BadInputError(
                f"{uri}: nothing in it can be decoded", fix="record or copy it again, or convert it to mp4"
            )
        warnings = []
        if picture is None and reader.video is not None and ended:
            warnings.append(f"{uri}: no picture can be decoded, only sound")
            reader.video = None
        curve = hdr_curve(picture) if picture is not None else None
        if curve:
            warnings.append(f"{uri}: HDR ({curve}) colours are not tone-mapped")
        info = describe_file(uri, path, reader, picture)
    finally:
        reader.close()
    return RecordedSource(info, open_reader, limits=limits, warnings=warnings)


def _probe(reader: FileReader) -> tuple[VideoFrame | None, bool, bool]:
    """(first decoded picture if any, whether sound was decoded before it, whether the source ended first)."""
    from av.video.frame import VideoFrame

    sounds = 0
    for frame in reader.decode(video=True, audio=True):
        if isinstance(frame, VideoFrame):
            return frame, sounds > 0, False
        sounds += 1
        if reader.video is None or sounds >= _PROBE_SOUNDS:
            return None, True, False
    return None, sounds > 0, True


def open_sequence(uri: str, paths: tuple[Path, ...], *, fps: float, limits: MediaLimits) -> Source:
    """Take pictures as a video of ``fps`` pictures per second. Errors: as ``open_source``."""
    first = read_picture(paths[0], limits=limits)
    info = describe_sequence(uri, paths, fps=fps, first=first)
    return RecordedSource(info, lambda exact: SequenceReader(paths, fps, limits), limits=limits, warnings=[])
