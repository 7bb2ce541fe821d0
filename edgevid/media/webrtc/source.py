"""WebRTC in: a peer that posts an offer to ``/whip`` is a live source; after it the next one is.

A track's time stamps begin anywhere, so each is first brought to this machine's clock by itself. aiortc gives
a frame away when the packets of later ones have come, one picture or four of sound: so a frame arrived when
the frame that much before it was given. What the first peer's pictures measure is what all measure: browsers
change their size with the network.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from edgevid.core.errors import BadInputError, EdgevidError
from edgevid.core.limits import MediaLimits
from edgevid.core.nouns import NS_PER_S
from edgevid.media.container import check_pixels
from edgevid.media.info import SourceInfo
from edgevid.media.intake import Intake
from edgevid.media.live_clock import LiveClock
from edgevid.media.live_stats import LiveStats
from edgevid.media.mailbox import WAKE_S
from edgevid.media.reader import to_ns
from edgevid.media.uri import Uri
from edgevid.media.webrtc.address import page
from edgevid.media.webrtc.endpoint import Endpoint

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack, RTCPeerConnection

_HELD = {"video": 1, "audio": 4}  # later frames that aiortc waits for

PEER_S = 120.0
"""The longest the first peer is waited for: somebody has to open a page first."""


class WebRtcReceiver:
    """Feeds ``intake`` from one peer at a time. ``close`` may be called from any thread.

    Args:
        uri: ``webrtc://HOST:PORT``.
        limits: what its pictures may cost.

    Raises:
        MissingPartError, UsageError: as ``Endpoint``.
    """

    def __init__(self, uri: Uri, intake: Intake, *, limits: MediaLimits) -> None:
        self._uri, self._intake, self._limits = uri, intake, limits
        self._changed = threading.Condition()
        self._info: SourceInfo | None = None
        self._error: EdgevidError | None = None
        self._over = False
        self._lost_ns: int | None = None
        self._kinds: frozenset[str] = frozenset()
        self._receiving: list[asyncio.Task[None]] = []
        self.endpoint = Endpoint(uri.target, "whip", most=1, meet=self._meet, left=self._left)

    def start(self, start_ns: int = 0) -> None:
        """Begin to wait for peers, unless it has begun."""
        self.endpoint.start()

    def wait_ready(self, timeout_s: float = PEER_S) -> SourceInfo:
        """Facts about the first peer, once a picture (or sound, if it sends no pictures) has come.

        Errors: BadInputError when nobody comes or it is closed; LimitError.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while self._info is None and self._error is None and not self._over:
                if time.monotonic() > deadline:
                    where = page(self._uri.target)
                    raise BadInputError(
                        f"{self._uri.text}: nobody came within {timeout_s:g} s",
                        fix=f"open {where} in a browser",
                    )
                self._changed.wait(WAKE_S)
            if self._info is not None:
                return self._info
        raise self._error or BadInputError(
            f"{self._uri.text}: was closed while it opened", fix="open it again"
        )

    def close(self) -> None:
        """Hang up and end everything."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._intake.end()
        self.endpoint.close()

    def _meet(self, peer: RTCPeerConnection) -> None:
        self._intake.stats.attempts += 1
        self._intake.restart()
        tracks: dict[str, MediaStreamTrack] = {}
        for line in peer.getTransceivers():
            if line.receiver.track is not None:
                tracks.setdefault(line.kind, line.receiver.track)
        self._kinds = frozenset(tracks)
        self._receiving = [
            self.endpoint.spawn(self._receive(number, track)) for number, track in enumerate(tracks.values())
        ]

    def _left(self, peer: RTCPeerConnection) -> None:
        for task in self._receiving:  # tracks of a peer that never connected would be waited for for ever
            task.cancel()
        self._receiving = []
        stats = self._intake.stats
        if stats.connected:
            self._lost_ns = time.monotonic_ns()
        stats.connected, stats.last_error = False, "the other side hung up"

    async def _receive(self, number: int, track: MediaStreamTrack) -> None:
        from aiortc.mediastreams import MediaStreamError

        deliver = self._picture if track.kind == "video" else self._sound
        clock = LiveClock(LiveStats())
        clock.epoch_ns = 0
        given_ns: deque[int] = deque(maxlen=_HELD[track.kind])
        try:
            while True:
                frame = await track.recv()
                now_ns = time.monotonic_ns()
                if len(given_ns) == given_ns.maxlen:  # the first ones only tell the time
                    arrived_ns = given_ns[0]
                    stamp_ns = to_ns(frame.pts, frame.time_base)
                    if stamp_ns is not None:
                        clock.observe(number, stamp_ns, arrived_ns)
                    stamp_ns = clock.time_of(stamp_ns, arrived_ns)
                    self._intake.observe(number, stamp_ns, arrived_ns)
                    deliver(frame, stamp_ns, arrived_ns)
                given_ns.append(now_ns)
        except MediaStreamError:
            return
        except EdgevidError as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()
            self._intake.end(error)

    def _picture(self, frame: Any, stamp_ns: int, arrived_ns: int) -> None:
        check_pixels(self._uri.text, frame.width, frame.height, self._limits)
        info = self._info or self._ready(frame)
        self._note_connected()
        if info.has_video:
            if (frame.width, frame.height) != (info.width, info.height):
                frame = frame.reformat(width=info.width, height=info.height)
            self._intake.picture(frame, stamp_ns, arrived_ns)

    def _sound(self, frame: Any, stamp_ns: int, arrived_ns: int) -> None:
        if self._info is None:
            if "video" in self._kinds:
                return
            self._ready(None)
        self._note_connected()
        self._intake.sound(frame, stamp_ns, arrived_ns)

    def _ready(self, first: Any) -> SourceInfo:
        has_video, has_audio = first is not None, "audio" in self._kinds
        info = SourceInfo(
            uri=self._uri.text,
            kind="video" if has_video else "audio",
            container="webrtc",
            duration_s=None,
            width=first.width if has_video else 0,
            height=first.height if has_video else 0,
            fps=None,
            has_video=has_video,
            has_audio=has_audio,
            video_codec="webrtc" if has_video else None,
            audio_codec="opus" if has_audio else None,
            sample_rate=48_000 if has_audio else 0,
            channels=2 if has_audio else 0,
            rotation=0,
            pixel_aspect=1.0,
            bytes=0,
            live=True,
        )
        with self._changed:
            self._info = info
            self._changed.notify_all()
        return info

    def _note_connected(self) -> None:
        stats = self._intake.stats
        if stats.connected:
            return
        stats.connected = True
        if self._lost_ns is not None:
            stats.reconnects += 1
            stats.gaps += 1
            stats.last_gap_s = (time.monotonic_ns() - self._lost_ns) / NS_PER_S
            stats.gap_s += stats.last_gap_s
