"""A source of timestamped pictures and sound: the one way video comes into edgevid.

with open_source("clip.mp4") as source:
    for item in source.read(fps=1.0, max_side=512):
        ...  # Frame or AudioChunk, in order of time
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from edgevid.core.errors import BadInputError, LimitError, UsageError
from edgevid.core.limits import MediaLimits
from edgevid.core.nouns import NS_PER_S, AudioChunk, Frame
from edgevid.media.info import SourceInfo, describe_file, describe_sequence
from edgevid.media.passage import Passage, ReadPlan, ReadStats
from edgevid.media.picture import hdr_curve
from edgevid.media.reader import FileReader, Reader
from edgevid.media.sampler import FOREVER_NS
from edgevid.media.seeking import seek_before
from edgevid.media.sequence import SequenceReader, read_picture
from edgevid.media.uri import list_files, parse_uri

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_DEFAULT_LIMITS = MediaLimits()
_MAX_DECODER_THREADS = 4
_PROBE_SOUNDS = 2000
_SHORT_BY = 0.05

OpenReader = Callable[[bool], Reader]
"""Starts a new pass from the beginning; the argument is ``exact``."""


class Source:
    """An open source; use ``open_source`` to get one. A context manager.

    Each call of ``read``, ``frames`` or ``audio`` is a pass of its own from ``start_s`` on; passes may run
    at the same time in different threads. ``close`` may be called from any thread: running passes then end
    quietly.

    Attributes:
        info: facts from the headers and the first picture.
        warnings: one line per thing that is wrong with the source, complete after a pass has ended.
        stats: counts over all passes.
    """

    def __init__(
        self, info: SourceInfo, open_reader: OpenReader, *, limits: MediaLimits, warnings: list[str]
    ) -> None:
        self.info = info
        self.warnings = warnings
        self.stats = ReadStats()
        self._open_reader = open_reader
        self._limits = limits
        self._readers: list[Reader] = []
        self._lock = threading.Lock()
        self._closed = False

    def frames(
        self,
        *,
        fps: float | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
        max_side: int | None = None,
        exact: bool = True,
    ) -> Iterator[Frame]:
        """Pictures only; see ``read``. Empty when the source has no video."""
        items = self.read(fps=fps, start_s=start_s, end_s=end_s, max_side=max_side, exact=exact, audio=False)
        return (item for item in items if isinstance(item, Frame))

    def audio(
        self,
        *,
        sample_rate: int = 16000,
        chunk_s: float = 0.5,
        start_s: float = 0.0,
        end_s: float | None = None,
    ) -> Iterator[AudioChunk]:
        """Sound only; see ``read``. Empty when the source has no sound."""
        items = self.read(sample_rate=sample_rate, chunk_s=chunk_s, start_s=start_s, end_s=end_s, video=False)
        return (item for item in items if isinstance(item, AudioChunk))

    def read(
        self,
        *,
        fps: float | None = None,
        sample_rate: int = 16000,
        chunk_s: float = 0.5,
        start_s: float = 0.0,
        end_s: float | None = None,
        max_side: int | None = None,
        exact: bool = True,
        video: bool = True,
        audio: bool = True,
    ) -> Iterator[Frame | AudioChunk]:
        """Pictures and sound in order of time, in one pass over the source.

        Args:
            fps: pictures per second: at each tick ``start_s + k / fps`` the newest picture at or before it,
                with ``pts_ns`` the tick. None: every picture, with its own time.
            sample_rate: Hz of the mono sound.
            chunk_s: length of an ``AudioChunk``; the last one is shorter.
            start_s, end_s: the stretch of source time ``[start_s, end_s)``; 0 is the earliest picture or
                sample.
            max_side: scale so that the longer side is at most this many pixels (square pixels, never
                enlarged).
            exact: False lets the decoder skip pictures nothing else refers to, so a tick may get an older
                picture.
            video, audio: which tracks to deliver.

        Errors: UsageError for an argument out of range or a closed source; LimitError when the stretch is
        longer than allowed. Damage in the file is no error: it is counted in ``stats`` and told in
        ``warnings``.
        """
        plan = ReadPlan(
            video=video and self.info.has_video,
            audio=audio and self.info.has_audio,
            fps=fps,
            max_side=max_side,
            sample_rate=sample_rate,
            chunk_s=chunk_s,
            start_ns=round(start_s * NS_PER_S),
            end_ns=FOREVER_NS if end_s is None else round(end_s * NS_PER_S),
            exact=exact,
        )
        if self._closed:
            raise UsageError(f"{self.info.uri}: the source is closed", fix="open it again")
        self._check_duration(plan)
        return self._pass(plan)

    def close(self) -> None:
        """End all running passes and free what they hold. May be called twice, and from any thread."""
        with self._lock:
            self._closed = True
            readers, self._readers = self._readers, []
        for reader in readers:
            reader.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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

    def _check_duration(self, plan: ReadPlan) -> None:
        length_s, limit_s = self.info.duration_s, self._limits.max_duration_s
        if length_s is not None and min(length_s, plan.end_ns / NS_PER_S) > limit_s:
            raise LimitError(
                f"{self.info.uri}: {length_s:.0f} s long, over the limit of {limit_s:g} s",
                fix="set end_s or raise max_duration_s",
            )

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

    def _warn(self, text: str) -> None:
        line = f"{self.info.uri}: {text}"
        if line not in self.warnings:
            self.warnings.append(line)


def list_sources(uri: str | Path) -> tuple[str, ...]:
    """The sources ``uri`` stands for: itself, or each video and sound file of a folder, in natural order.

    Errors: BadInputError when it names nothing; UsageError, MissingPartError as ``parse_uri`` and
    ``list_files``.
    """
    listing = list_files(parse_uri(uri))
    return tuple(str(p) for p in listing.media) if listing.media else (str(uri),)


def open_source(
    uri: str | Path,
    *,
    limits: MediaLimits = _DEFAULT_LIMITS,
    threads: int | None = None,
    image_fps: float = 25.0,
) -> Source:
    """Open one source and prove that it decodes.

    Args:
        uri: see ``edgevid.media.uri``; a folder or glob of several videos is refused, ``list_sources``
            splits it.
        limits: what the source may cost; checked before it is decoded, and while.
        threads: threads of the video decoder, default up to 4.
        image_fps: rate of an image sequence.

    Errors: BadInputError (missing, empty, not media, damaged beyond use), LimitError, UsageError,
    MissingPartError; each names the source in one line.
    """
    if threads is None:
        threads = min(_MAX_DECODER_THREADS, os.cpu_count() or 1)
    if not (1 <= threads <= 256 and 1e-3 <= image_fps <= 1000.0):
        raise UsageError(
            "threads or image_fps is out of range", fix="threads 1 to 256, image_fps 0.001 to 1000"
        )
    listing = list_files(parse_uri(uri))
    if listing.images:
        return _open_sequence(str(uri), listing.images, fps=image_fps, limits=limits)
    if len(listing.media) > 1:
        raise UsageError(
            f"{uri}: stands for {len(listing.media)} videos",
            fix=f"name one of them, such as {listing.media[0]}",
        )
    return _open_file(str(uri), listing.media[0], limits=limits, threads=threads)


def _open_file(uri: str, path: Path, *, limits: MediaLimits, threads: int) -> Source:
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
    return Source(info, open_reader, limits=limits, warnings=warnings)


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


def _open_sequence(uri: str, paths: tuple[Path, ...], *, fps: float, limits: MediaLimits) -> Source:
    first = read_picture(paths[0], limits=limits)
    info = describe_sequence(uri, paths, fps=fps, first=first)
    return Source(info, lambda exact: SequenceReader(paths, fps, limits), limits=limits, warnings=[])
