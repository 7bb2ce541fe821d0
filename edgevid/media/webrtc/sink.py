"""WebRTC out: pictures and sound to everybody who watches, each with an encoder of their own."""

from __future__ import annotations

from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import UsageError
from edgevid.core.nouns import NS_PER_S
from edgevid.media.png import check_rgb
from edgevid.media.webrtc.endpoint import Endpoint

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection
    from av.video.reformatter import VideoReformatter

    from edgevid.media.webrtc.tracks import OutgoingTrack

_MOST_VIEWERS = 4  # each costs an encoder
_SOUND_FRAMES = 50
_FRAME_S = 0.02
_CLOCK = 90_000  # Hz of pictures in RTP
_FREE_CODEC = "video/VP8"


class WebRtcWriter:
    """A ``Writer`` for ``sink.LiveSink``: who posts an offer to ``/whep`` gets what is written from then on.

    Args:
        address: ``webrtc://HOST:PORT``.
        sample_rate: Hz of the sound, None for none.
        title: of the session.

    Raises:
        MissingPartError, UsageError: as ``Endpoint``.
    """

    def __init__(self, address: str, *, sample_rate: int | None, title: str = "edgevid") -> None:
        self._viewers: dict[RTCPeerConnection, dict[str, OutgoingTrack]] = {}
        self._rate = sample_rate
        self._pending = np.zeros(0, np.int16)
        self._samples = 0
        self._scaler: VideoReformatter | None = None
        self.endpoint = Endpoint(
            address, "whep", most=_MOST_VIEWERS, meet=self._meet, left=self._left, title=title
        )

    def __enter__(self) -> WebRtcWriter:
        self.endpoint.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.endpoint.close()

    def write(self, image: npt.NDArray[np.uint8], *, pts_ns: int | None = None) -> None:
        """Send uint8 [height, width, 3] RGB; an odd last column or row is cut off."""
        from av.video.frame import VideoFrame
        from av.video.reformatter import VideoReformatter

        check_rgb(image)
        tracks = self._tracks("video")
        if not tracks:
            return
        if pts_ns is None:
            raise UsageError("a picture for WebRTC needs a time", fix="give write a pts_ns")
        height, width = (side - side % 2 for side in image.shape[:2])
        self._scaler = self._scaler or VideoReformatter()
        whole = VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
        planes = self._scaler.reformat(whole, format="yuv420p").to_ndarray()
        for track in tracks:  # encoders write into their frames
            frame = VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = pts_ns * _CLOCK // NS_PER_S, Fraction(1, _CLOCK)
            track.offer(frame)

    def write_audio(self, samples: npt.NDArray[np.float32]) -> None:
        """Send float32 [n] mono samples, gapless."""
        if self._rate is None:
            raise UsageError("this sink has no sound", fix="give open_sink a sample_rate")
        scaled = np.rint(np.clip(samples, -1.0, 1.0) * 32767.0).astype(np.int16)
        self._pending = np.concatenate([self._pending, scaled])
        size = round(self._rate * _FRAME_S)
        while self._pending.size >= size:
            for track in self._tracks("audio"):
                track.offer(self._sound(self._pending[:size], self._rate))
            self._samples += size
            self._pending = self._pending[size:]

    def _sound(self, samples: npt.NDArray[np.int16], rate: int) -> Any:
        from av.audio.frame import AudioFrame

        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, self._samples, Fraction(1, rate)
        return frame

    def _tracks(self, kind: str) -> list[OutgoingTrack]:
        return [tracks[kind] for tracks in list(self._viewers.values()) if kind in tracks]

    def _meet(self, peer: RTCPeerConnection) -> None:
        from aiortc import RTCRtpSender

        from edgevid.media.webrtc.tracks import OutgoingTrack

        free = [c for c in RTCRtpSender.getCapabilities("video").codecs if c.mimeType == _FREE_CODEC]
        tracks: dict[str, OutgoingTrack] = {}
        for line in peer.getTransceivers():
            if line.kind in tracks or (line.kind == "audio" and self._rate is None):
                continue
            if line.kind == "video":
                line.setCodecPreferences(free)
            most = 1 if line.kind == "video" else _SOUND_FRAMES
            tracks[line.kind] = OutgoingTrack(line.kind, loop=self.endpoint.loop, most=most)
            peer.addTrack(tracks[line.kind])
        self._viewers[peer] = tracks

    def _left(self, peer: RTCPeerConnection) -> None:
        for track in self._viewers.pop(peer, {}).values():
            track.stop()
