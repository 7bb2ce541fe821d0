"""One pass over a source: decoded pictures and sound in the order they come, damage skipped and counted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgevid.core.errors import BadInputError
from edgevid.core.limits import MediaLimits
from edgevid.core.nouns import NS_PER_S
from edgevid.media.container import check_pixels, decoder_options, open_container

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    Decoded = VideoFrame | AudioFrame


@dataclass(slots=True)
class ReadReport:
    """What went wrong in one pass: packets or pictures that would not decode, and what stopped it early."""

    damaged: int = 0
    stopped: str | None = None


class Reader(Protocol):
    """One pass. ``close`` may be called from any thread, at any time."""

    report: ReadReport
    start_ns: int

    def decode(self, *, video: bool, audio: bool) -> Iterator[Decoded]:
        """Decoded frames on from where the reader stands; ends when closed."""

    def seek(self, time_ns: int) -> bool:
        """Go to a point at or before ``time_ns`` of source time; False when the source cannot."""

    def close(self) -> None:
        """Free what the pass holds; returns once no decoding is under way."""


@dataclass(slots=True)
class FileReader:
    """A file opened by FFmpeg.

    Attributes:
        video, audio: the streams that are read, None where the file has none that can be decoded.
        start_ns: container time of the earliest sample, to be taken as 0.
    """

    container: InputContainer
    limits: MediaLimits
    video: VideoStream | None
    audio: AudioStream | None
    start_ns: int
    report: ReadReport = field(default_factory=ReadReport)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closed: bool = False

    @classmethod
    def open(cls, path: Path, *, limits: MediaLimits, threads: int, exact: bool) -> FileReader:
        """Open ``path``; decoders run on at most ``threads`` threads.

        With ``exact`` False pictures nothing else refers to are not decoded, which is cheaper.

        Errors: BadInputError, LimitError.
        """
        container = open_container(path, limits=limits)
        try:
            video, audio = best_video(container), best_audio(container)
            if video is None and audio is None:
                raise BadInputError(
                    f"{path}: holds no video or sound that can be decoded",
                    fix="convert it to mp4 with H.264 or VP9",
                )
            if video is not None:
                check_pixels(str(path), video.codec_context.width, video.codec_context.height, limits)
                set_up_decoder(video, limits=limits, threads=threads, exact=exact)
        except BaseException:
            container.close()
            raise
        starts = [to_ns(s.start_time, s.time_base) for s in (video, audio) if s is not None]
        known = [s for s in starts if s is not None]
        return cls(container, limits, video, audio, min(known, default=0))

    def decode(self, *, video: bool, audio: bool) -> Iterator[Decoded]:
        wanted = [s for s, on in ((self.video, video), (self.audio, audio)) if on and s is not None]
        frames = self._decode_packets(wanted)
        while wanted:
            with self._lock:
                frame = None if self._closed else next(frames, None)
            if frame is None:
                return
            yield frame

    def seek(self, time_ns: int) -> bool:
        from av.error import FFmpegError

        try:
            with self._lock:
                if not self._closed:
                    self.container.seek((time_ns + self.start_ns) // 1000)
        except (FFmpegError, OverflowError):
            return False
        return True

    def close(self) -> None:
        self._closed = True
        with self._lock:
            self.container.close()

    def _decode_packets(self, streams: list[VideoStream | AudioStream]) -> Iterator[Decoded]:
        from av.error import EOFError as Ended
        from av.error import FFmpegError

        for packet in self._packets(streams):
            try:
                yield from packet.decode()  # type: ignore[misc]
            except Ended:
                continue
            except (FFmpegError, ValueError):
                self.report.damaged += 1

    def _packets(self, streams: list[VideoStream | AudioStream]) -> Iterator[Packet[Stream]]:
        from av.error import FFmpegError
        from av.packet import Packet

        try:
            for packet in self.container.demux(streams):
                if self._closed:
                    return
                yield packet
        except (FFmpegError, OSError) as error:
            self.report.stopped = getattr(error, "strerror", None) or str(error)
            for stream in streams:
                flush: Packet[Stream] = Packet()
                flush.stream = stream
                yield flush


def best_video(container: InputContainer) -> VideoStream | None:
    """The stream a player would show; cover art of sound files is not video."""
    from av.stream import Disposition

    best = container.streams.best("video")
    usable = [
        s
        for s in container.streams.video
        if s.codec_context is not None and not s.disposition & Disposition.attached_pic
    ]
    return min(usable, key=lambda s: best is None or s.index != best.index, default=None)


def best_audio(container: InputContainer) -> AudioStream | None:
    """The main sound track."""
    best = container.streams.best("audio")
    usable = [s for s in container.streams.audio if s.codec_context is not None]
    return min(usable, key=lambda s: best is None or s.index != best.index, default=None)


def set_up_decoder(stream: VideoStream, *, limits: MediaLimits, threads: int, exact: bool) -> None:
    """Bound the decoder of ``stream``, before it has decoded anything."""
    context = stream.codec_context
    context.thread_type = "AUTO"
    context.thread_count = threads
    context.options = decoder_options(limits)
    if not exact:
        context.skip_frame = "NONREF"


def to_ns(value: int | None, time_base: Fraction | None) -> int | None:
    """A timestamp in units of ``time_base`` seconds as nanoseconds, rounded to the nearest."""
    if value is None or time_base is None:
        return None
    return (2 * value * NS_PER_S * time_base.numerator + time_base.denominator) // (2 * time_base.denominator)
