"""Writing video: pictures and optional mono sound to mp4, mov, mkv or webm.

The default encoders are free of the GPL: the first of libopenh264 (BSD), libvpx-vp9 (BSD) and mpeg4 (LGPL)
that this build of FFmpeg has, with AAC or Opus sound. Another encoder is used only when the caller names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import MissingPartError, UsageError
from edgevid.core.nouns import NS_PER_S
from edgevid.media.atomic import cannot_write, written_whole
from edgevid.media.png import check_rgb

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_FREE_VIDEO = ("libopenh264", "libvpx-vp9", "mpeg4")
# container -> (encoders for pictures, encoders for sound), best first
_ENCODERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "mp4": (_FREE_VIDEO, ("aac",)),
    "mov": (("libopenh264", "mpeg4"), ("aac",)),
    "matroska": (_FREE_VIDEO, ("libopus", "aac")),
    "webm": (("libvpx-vp9",), ("libopus",)),
    "rtsp": (("libopenh264", "libvpx", "mpeg4"), ("aac", "libopus")),
    "rtp_mpegts": (("libopenh264", "mpeg4"), ("aac",)),
    "hls": (("libopenh264", "libvpx-vp9", "mpeg4"), ("aac",)),
}
_CONTAINER_OF = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
}
_OPTIONS = {
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "7", "row-mt": "1", "crf": "30", "b": "0"},
    "libopenh264": {"rc_mode": "quality"},
    "mpeg4": {"qmin": "2", "qmax": "4"},
}
_EVEN_SIZES = frozenset(("libopenh264", "libx264", "libx265", "libsvtav1"))
_TICKS_PER_S = 60_000
"""Exact for the common rates (also n/1001) and within what MPEG-4 can express."""
_BT709, _BT601, _LIMITED, _FULL = 1, 5, 1, 2  # ITU-T H.273 codes
_HD_LINES = 720


class VideoWriter:
    """Writes one file; a context manager. The file appears, whole, when the block ends without an exception.

    Args:
        path: its suffix chooses the container.
        width, height: of the pictures; encoders that need even sizes lose the last odd column or row.
        fps: nominal rate; a picture without a time follows the last one by ``1 / fps``.
        sample_rate: Hz of the sound, None for none.
        video_codec, audio_codec: FFmpeg names of encoders, default see above.
        metadata: tags such as ``title`` and ``comment``.

    Errors: UsageError for unknown suffixes and sizes, MissingPartError for an encoder this build lacks,
    EdgevidError when the disk refuses.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        width: int,
        height: int,
        fps: float,
        sample_rate: int | None = None,
        video_codec: str | None = None,
        audio_codec: str | None = None,
        metadata: dict[str, str] | None = None,
    ) -> None:
        self._path = Path(path)
        container = self._container_of(str(path))
        if not (1 <= width <= 16384 and 1 <= height <= 16384 and 0.01 <= fps <= 1000):
            raise UsageError(
                f"cannot write {width}x{height} at {fps:g} pictures/s", fix="use sizes up to 16384"
            )
        video_choice, audio_choice = _ENCODERS[container]
        self._format = container
        self._codec = choose_encoder(video_codec, video_choice)
        self._audio_codec = choose_encoder(audio_codec, audio_choice) if sample_rate else None
        even = 2 if self._codec in _EVEN_SIZES else 1
        self._size = (max(even, width - width % even), max(even, height - height % even))
        self._shape = (height, width, 3)
        self._fps = Fraction(fps).limit_denominator(1001)
        self._sample_rate = sample_rate
        self._metadata = metadata or {}
        self._last_tick, self._next_tick = -1, 0
        self._samples = 0
        self._stack = ExitStack()

    def __enter__(self) -> VideoWriter:
        import av
        from av.error import FFmpegError
        from av.video.reformatter import VideoReformatter

        self._scaler = VideoReformatter()
        with ExitStack() as stack:
            target = stack.enter_context(self._destination())
            try:
                self._container = stack.enter_context(
                    av.open(target, "w", format=self._format, container_options=self._muxer_options())
                )
                self._container.metadata.update(self._metadata)
                self._video = self._add_video()
                self._audio = self._add_audio() if self._audio_codec else None
            except (FFmpegError, ValueError) as error:
                raise UsageError(
                    f"{self._path}: {self._codec} with {self._audio_codec or 'no sound'} does not go into it",
                    fix="leave the codecs to the default or change the suffix",
                ) from error
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from av.error import FFmpegError

        try:
            with self._stack:
                if error is not None:
                    raise error  # on its way through the stack it removes the unfinished file
                self._mux(self._video, None)
                if self._audio is not None:
                    self._mux(self._audio, None)
        except FFmpegError as failure:
            raise cannot_write(self._path, failure) from failure

    def write(self, image: npt.NDArray[np.uint8], *, pts_ns: int | None = None) -> None:
        """Add a picture, uint8 [height, width, 3] RGB, shown from ``pts_ns`` on.

        Errors: UsageError for another size or a time not after the last one.
        """
        from av.video.frame import VideoFrame

        check_rgb(image)
        if image.shape != self._shape:
            raise UsageError(
                f"a picture of shape {list(image.shape)} does not fit a video of shape {list(self._shape)}",
                fix="scale it first",
            )
        tick = self._next_tick if pts_ns is None else round(pts_ns * _TICKS_PER_S / NS_PER_S)
        if tick <= self._last_tick:
            raise UsageError(
                f"a picture at {pts_ns} ns comes after a later one", fix="write in order of time"
            )
        width, height = self._size
        cut = np.ascontiguousarray(image[:height, :width])
        frame = self._to_yuv(VideoFrame.from_ndarray(cut, format="rgb24"))
        frame.pts, frame.time_base = tick, Fraction(1, _TICKS_PER_S)
        self._mux(self._video, frame)
        self._last_tick, self._next_tick = tick, tick + round(_TICKS_PER_S / self._fps)

    def write_audio(self, samples: npt.NDArray[np.float32]) -> None:
        """Add float32 [n] mono samples; sound is gapless from time 0.

        Errors: UsageError without ``sample_rate``.
        """
        from av.audio.frame import AudioFrame

        if self._audio is None or self._sample_rate is None:
            raise UsageError("this video is written without sound", fix="give VideoWriter a sample_rate")
        if not samples.size:
            return
        clipped = np.clip(samples, -1.0, 1.0).astype(np.float32).reshape(1, -1)
        frame = AudioFrame.from_ndarray(clipped, format="flt", layout="mono")
        frame.sample_rate, frame.pts = self._sample_rate, self._samples
        frame.time_base = Fraction(1, self._sample_rate)
        self._samples += samples.size
        self._mux(self._audio, frame)

    def _container_of(self, path: str) -> str:
        """FFmpeg's name of the container."""
        container = _CONTAINER_OF.get(Path(path).suffix.lower())
        if container is None:
            raise UsageError(f"{path}: cannot be written as video", fix="use " + ", ".join(_CONTAINER_OF))
        return container

    @contextmanager
    def _destination(self) -> Iterator[str]:
        """What FFmpeg opens."""
        with written_whole(self._path) as part:
            yield str(part)

    def _muxer_options(self) -> dict[str, str]:
        # The index in front lets a browser play the file while it loads.
        return {"movflags": "faststart"} if self._format in ("mp4", "mov") else {}

    def _add_video(self) -> VideoStream:
        options = _OPTIONS.get(self._codec, {})
        stream = cast("VideoStream", self._container.add_stream(self._codec, rate=self._fps, options=options))
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, _TICKS_PER_S)
        context.colorspace = context.color_primaries = context.color_trc = self._matrix
        context.color_range = _LIMITED
        return stream

    def _add_audio(self) -> AudioStream:
        assert self._audio_codec is not None
        stream = self._container.add_stream(self._audio_codec, rate=self._sample_rate, layout="mono")
        return cast("AudioStream", stream)

    @property
    def _matrix(self) -> int:
        return _BT709 if self._size[1] >= _HD_LINES else _BT601

    def _to_yuv(self, frame: VideoFrame) -> VideoFrame:
        """yuv420p in the matrix a reader would assume for this size."""
        return self._scaler.reformat(
            frame,
            format="yuv420p",
            dst_colorspace=self._matrix,
            src_color_range=_FULL,
            dst_color_range=_LIMITED,
        )

    def _mux(self, stream: Any, frame: Any) -> None:
        from av.error import FFmpegError

        try:
            for packet in stream.encode(frame):
                self._container.mux(packet)
        except (FFmpegError, ValueError) as error:
            raise cannot_write(self._path, error) from error


def choose_encoder(wanted: str | None, choice: tuple[str, ...]) -> str:
    """``wanted``, or the first of ``choice`` this build has. Errors: MissingPartError when there is none."""
    from av.codec.codec import Codec, UnknownCodecError

    for name in (wanted,) if wanted else choice:
        try:
            return Codec(name, "w").name
        except UnknownCodecError:
            continue
    raise MissingPartError(
        f"no encoder {wanted or ' or '.join(choice)} in this build of FFmpeg", fix="pip install --upgrade av"
    )
