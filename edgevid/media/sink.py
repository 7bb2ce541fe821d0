r"""Live outputs, a network address, HLS or a window, while a pipeline goes on undisturbed.

    caller --write--> [ newest picture | <= 2 s of sound ] --thread--> encode --> network or disk
                                                                  \--> window

A slow network or screen costs pictures, which are counted, never time of the caller. Files are written whole
by ``encode.VideoWriter``; ``open_sink`` chooses.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import EdgevidError, MissingPartError, NetworkError, UsageError
from edgevid.media.encode import VideoWriter
from edgevid.media.png import check_rgb
from edgevid.media.uri import redact

_MAX_SOUND_S = 2.0
_NETWORK_US = 5_000_000
_JOIN_S = 2.0
_TENDED_S = 0.05


_CONTAINERS = {"rtsp": "rtsp", "rtsps": "rtsp", "rtp": "rtp_mpegts"}
_OPTIONS = {
    "rtsp": {"rtsp_transport": "tcp", "timeout": str(_NETWORK_US)},
    "hls": {
        "hls_time": "1",
        "hls_list_size": "6",
        "hls_segment_type": "fmp4",
        "hls_flags": "delete_segments+temp_file",
    },
}


@dataclass(slots=True)
class SinkStats:
    """Pictures offered, encoded, and dropped because the other side was slow; once the sink is closed
    ``received == written + dropped``. Seconds of sound dropped.
    """

    received: int = 0
    written: int = 0
    dropped: int = 0
    sound_dropped_s: float = 0.0


class _StreamWriter(VideoWriter):
    """Encodes to an address, or to a playlist with its segments, as it goes."""

    def _container_of(self, path: str) -> str:
        return _CONTAINERS.get(path.partition(":")[0].lower(), "hls")

    @contextmanager
    def _destination(self) -> Iterator[str]:
        yield self.target

    def _muxer_options(self) -> dict[str, str]:
        return _OPTIONS.get(self._format, {})

    target = ""


class Writer(Protocol):
    """Where a ``LiveSink`` puts things from its thread: ``VideoWriter``, ``WebRtcWriter``, ``Window``."""

    def __enter__(self) -> Writer: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, image: npt.NDArray[np.uint8], *, pts_ns: int | None = None) -> None: ...

    def write_audio(self, samples: npt.NDArray[np.float32]) -> None: ...


class LiveSink:
    """Pushes to an address or a window; a context manager; ``open_sink`` makes one. Writing never waits.

    Args:
        writer: what encodes and sends, or shows.
        name: in messages, without passwords.
        sample_rate: Hz of the sound, None for none.
        tend: called in the writer's thread some 20 times a second or more often.
    """

    def __init__(
        self,
        writer: Writer,
        name: str,
        *,
        sample_rate: int | None,
        tend: Callable[[], None] | None = None,
    ) -> None:
        self.stats = SinkStats()
        self._writer = writer
        self._name = name
        self._tend = tend
        self._rate = sample_rate
        self._changed = threading.Condition()
        self._picture: tuple[npt.NDArray[np.uint8], int | None] | None = None
        self._sound: deque[npt.NDArray[np.float32]] = deque()
        self._ended = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"sink {name}", daemon=True)

    def __enter__(self) -> LiveSink:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(_JOIN_S)
        if error is None and self._error is not None:
            raise self._error

    def write(self, image: npt.NDArray[np.uint8], *, pts_ns: int | None = None) -> None:
        """Offer a picture, uint8 [height, width, 3] RGB, which must not change afterwards.

        Errors: NetworkError when the connection is lost.
        """
        check_rgb(image)
        with self._changed:
            self._check()
            self.stats.received += 1
            self.stats.dropped += self._picture is not None
            self._picture = image, pts_ns
            self._changed.notify()

    def write_audio(self, samples: npt.NDArray[np.float32]) -> None:
        """Offer float32 [n] mono samples; past 2 s the oldest go. Errors: as ``write``."""
        if self._rate is None:
            raise UsageError("this sink has no sound", fix="give open_sink a sample_rate")
        with self._changed:
            self._check()
            self._sound.append(samples)
            while len(self._sound) > 1 and sum(s.size for s in self._sound) > _MAX_SOUND_S * self._rate:
                self.stats.sound_dropped_s += self._sound.popleft().size / self._rate
            self._changed.notify()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            with self._writer as writer:
                while self._step(writer):
                    pass
        except (EdgevidError, OSError) as failure:
            said = getattr(failure.__cause__, "strerror", None) or str(failure)
            lost = NetworkError(
                f"{self._name}: cannot be sent to: {redact(said)}", fix="check address and network"
            )
            with self._changed:
                mistaken = isinstance(failure, UsageError | MissingPartError) and failure.__cause__ is None
                self._error = failure if mistaken else lost
        finally:
            with self._changed:
                self.stats.dropped += self._picture is not None
                self._picture = None

    def _step(self, writer: Writer) -> bool:
        """Write what waits; False at the end."""
        if self._tend is not None:
            self._tend()
        with self._changed:
            while self._picture is None and not self._sound:
                if self._ended:
                    return False
                if not self._changed.wait(_TENDED_S if self._tend is not None else None):
                    return True
            picture, self._picture = self._picture, None
            sound = list(self._sound)
            self._sound.clear()
        for samples in sound:
            writer.write_audio(samples)
        if picture is not None:
            writer.write(picture[0], pts_ns=picture[1])
            self.stats.written += 1
        return True


def open_sink(
    target: str | Path,
    *,
    width: int,
    height: int,
    fps: float,
    sample_rate: int | None = None,
    video_codec: str | None = None,
    metadata: dict[str, str] | None = None,
) -> VideoWriter | LiveSink:
    """Where pictures and sound go: a file, ``rtsp://`` (announced and recorded by the server there), ``rtp://``
    (MPEG-TS), ``webrtc://HOST:PORT`` (waits there for up to four browsers or other peers that watch), a live
    HLS playlist ``NAME.m3u8`` (its segments beside it, the newest six kept) or ``window:``, pictures on the
    desktop without sound; closing it is Ctrl-C.

    All are context managers with ``write(image, pts_ns=)`` and ``write_audio(samples)``. ``metadata``: tags
    such as ``title``, the name of the session where the output has one.

    Errors: UsageError for other targets; MissingPartError for encoders, pygame-ce and displays
    that are not there.
    """
    text, tags = str(target), metadata or {}
    scheme = text.partition(":")[0].lower()
    if scheme == "webrtc":
        from edgevid.media.webrtc.sink import WebRtcWriter

        peers = WebRtcWriter(text, sample_rate=sample_rate, title=tags.get("title", "edgevid"))
        return LiveSink(peers, text, sample_rate=sample_rate)
    if scheme == "window":
        from edgevid.media.window import Window

        window = Window(width=width, height=height, title=tags.get("title"))
        return LiveSink(window, text, sample_rate=sample_rate, tend=window.tend)
    if "://" in text and scheme not in _CONTAINERS:
        raise UsageError(
            f"{redact(text)}: cannot be written to",
            fix="use a file, NAME.m3u8, rtsp://, rtp://, webrtc:// or window:",
        )
    live = "://" in text or Path(text).suffix.lower() == ".m3u8"
    kind = _StreamWriter if live else VideoWriter
    writer = kind(
        redact(text) if live else text,
        width=width,
        height=height,
        fps=fps,
        sample_rate=sample_rate,
        video_codec=video_codec,
        metadata=tags,
    )
    if not isinstance(writer, _StreamWriter):
        return writer
    writer.target = text
    return LiveSink(writer, redact(text), sample_rate=sample_rate)
