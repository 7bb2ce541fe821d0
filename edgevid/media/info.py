"""What a source is: facts read once, when it is opened."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgevid.media.picture import UPRIGHT, clockwise_degrees, display_matrix
from edgevid.media.reader import FileReader

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_FALLBACK_FPS = 25.0
_PLAUSIBLE_FPS = (0.001, 1000.0)
_MIN_BITS_PER_S = 8.0


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """Facts about a source, as far as its headers and first picture tell.

    Attributes:
        uri: as the user named it.
        kind: ``video`` (with or without sound), ``audio``, ``image`` (one picture) or ``sequence``
            (pictures).
        container: FFmpeg's name of the format.
        duration_s: what the header says, None when it says nothing believable; it may be wrong.
        width, height: of the upright picture in pixels, 0 without video.
        fps: nominal frame rate, None when unknown; pictures may come at any times.
        has_video, has_audio: which tracks can be read.
        video_codec, audio_codec: names, None without the track.
        sample_rate, channels: of the sound as stored, 0 without.
        rotation: degrees clockwise the stored picture is turned to stand upright (already applied to frames).
        pixel_aspect: width / height of one pixel. Applied only when frames are scaled (``max_side``).
        bytes: size on disk.
        live: comes in real time; frames and sound carry the time of the wall clock.
    """

    uri: str
    kind: Literal["video", "audio", "image", "sequence"]
    container: str
    duration_s: float | None
    width: int
    height: int
    fps: float | None
    has_video: bool
    has_audio: bool
    video_codec: str | None
    audio_codec: str | None
    sample_rate: int
    channels: int
    rotation: int
    pixel_aspect: float
    bytes: int
    live: bool = False

    @property
    def period_ns(self) -> int:
        """Nominal time from one picture to the next."""
        return round(1e9 / (self.fps or _FALLBACK_FPS))


def describe_file(uri: str, path: Path, reader: FileReader, first: VideoFrame | None) -> SourceInfo:
    """Facts about an opened file; ``first`` is its first decoded picture, if it has one."""
    return describe_streams(
        uri, reader.container, reader.video, reader.audio, first=first, size=path.stat().st_size
    )


def describe_streams(
    uri: str,
    container: InputContainer,
    video: VideoStream | None,
    audio: AudioStream | None,
    *,
    first: VideoFrame | None,
    size: int,
    live: bool = False,
) -> SourceInfo:
    """Facts about the streams of ``container`` that are read; ``size`` in bytes, 0 when live."""
    is_image = container.format.name.endswith("_pipe") or container.format.name == "image2"
    matrix = display_matrix(first) if first is not None else UPRIGHT
    width, height = _stored_size(video, first)
    if matrix[0] == 0:
        width, height = height, width
    kind: Literal["video", "audio", "image"] = "image" if is_image else "video" if video else "audio"
    return SourceInfo(
        uri=uri,
        kind=kind,
        container=container.format.name,
        duration_s=None if is_image or live else believable_duration(container.duration, size),
        width=width,
        height=height,
        fps=None if is_image else _nominal_fps(video),
        has_video=video is not None,
        has_audio=audio is not None,
        video_codec=video.codec_context.name if video else None,
        audio_codec=audio.codec_context.name if audio else None,
        sample_rate=audio.codec_context.sample_rate if audio else 0,
        channels=audio.codec_context.layout.nb_channels if audio else 0,
        rotation=clockwise_degrees(matrix),
        pixel_aspect=_pixel_aspect(video, turned=matrix[0] == 0),
        bytes=size,
        live=live,
    )


def describe_sequence(uri: str, paths: tuple[Path, ...], *, fps: float, first: VideoFrame) -> SourceInfo:
    """Facts about a sequence of pictures shown at ``fps``."""
    matrix = display_matrix(first)
    width, height = (first.height, first.width) if matrix[0] == 0 else (first.width, first.height)
    return SourceInfo(
        uri=uri,
        kind="sequence",
        container="images",
        duration_s=len(paths) / fps,
        width=width,
        height=height,
        fps=fps,
        has_video=True,
        has_audio=False,
        video_codec=paths[0].suffix[1:].lower(),
        audio_codec=None,
        sample_rate=0,
        channels=0,
        rotation=clockwise_degrees(matrix),
        pixel_aspect=1.0,
        bytes=sum(p.stat().st_size for p in paths),
    )


def believable_duration(duration_us: int | None, size_bytes: int) -> float | None:
    """Seconds, or None for a duration that is missing, not positive or impossible for this many bytes."""
    if duration_us is None or duration_us <= 0:
        return None
    seconds = duration_us / 1e6
    return seconds if size_bytes * 8 / seconds >= _MIN_BITS_PER_S else None


def _stored_size(video: VideoStream | None, first: VideoFrame | None) -> tuple[int, int]:
    if first is not None:
        return first.width, first.height
    return (video.codec_context.width, video.codec_context.height) if video is not None else (0, 0)


def _nominal_fps(video: VideoStream | None) -> float | None:
    if video is None:
        return None
    low, high = _PLAUSIBLE_FPS
    for rate in (video.guessed_rate, video.average_rate, video.base_rate):
        if rate and low <= rate <= high:
            return float(rate)
    return None


def _pixel_aspect(video: VideoStream | None, *, turned: bool) -> float:
    ratio: Fraction | None = video.sample_aspect_ratio if video is not None else None
    if not ratio or ratio <= 0:
        return 1.0
    return float(1 / ratio if turned else ratio)
