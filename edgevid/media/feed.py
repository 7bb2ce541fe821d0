"""One open connection: packets, each with the time it arrived, and what must be freed after it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgevid.core.errors import BadInputError
from edgevid.core.limits import MediaLimits
from edgevid.core.nouns import NS_PER_S
from edgevid.media.container import check_pixels
from edgevid.media.reader import best_audio, best_video, set_up_decoder, to_ns

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

_LATE_NS = NS_PER_S
_EARLY_NS = 10 * NS_PER_S


@dataclass(slots=True)
class Pacer:
    """Lets packets pass when their time has come; for files, and pipes that may be written at any speed.

    Args:
        closing: ends every wait.
        start_ns: source time to begin with.
        catches_up: whether what is late passes at once (a file) or moves the anchor (a pipe that paused).
        anchor_ns: monotonic time at which ``start_ns`` is due.
    """

    closing: threading.Event
    start_ns: int = 0
    catches_up: bool = True
    anchor_ns: int = field(default_factory=time.monotonic_ns)

    def begin(self) -> None:
        """``start_ns`` is due now."""
        self.anchor_ns = time.monotonic_ns()

    @property
    def epoch_ns(self) -> int:
        """Monotonic time at which source time 0 is, or would have been, due."""
        return self.anchor_ns - self.start_ns

    def wait(self, time_ns: int) -> int:
        """Wait until source time ``time_ns`` is due; returns when that was, on the monotonic clock."""
        due_ns = self.anchor_ns + time_ns - self.start_ns
        now_ns = time.monotonic_ns()
        if due_ns - now_ns > _EARLY_NS or (not self.catches_up and now_ns - due_ns > _LATE_NS):
            self.anchor_ns += now_ns - due_ns
            due_ns = now_ns
        if due_ns > now_ns:
            self.closing.wait((due_ns - now_ns) / NS_PER_S)
        return due_ns


@dataclass(slots=True)
class Feed:
    """An open connection. One thread at a time.

    Attributes:
        container: of FFmpeg.
        video, audio: the streams that are read.
        base_ns: container time that is source time 0.
        pacer: None where packets come in real time by themselves.
        release: frees what lies behind the container.
    """

    container: InputContainer
    video: VideoStream | None
    audio: AudioStream | None
    base_ns: int = 0
    pacer: Pacer | None = None
    release: Callable[[], None] = field(default=lambda: None)

    @classmethod
    def of(
        cls,
        name: str,
        container: InputContainer,
        *,
        limits: MediaLimits,
        threads: int,
        release: Callable[[], None] = lambda: None,
    ) -> Feed:
        """Choose the streams of ``container`` and bound their decoders.

        Errors: BadInputError, LimitError; the container is closed then.
        """
        video, audio = best_video(container), best_audio(container)
        try:
            if video is None and audio is None:
                raise BadInputError(
                    f"{name}: sends no video or sound that can be decoded", fix="let it send H.264 or AAC"
                )
            if video is not None:
                check_pixels(name, video.codec_context.width, video.codec_context.height, limits)
                set_up_decoder(video, limits=limits, threads=threads, exact=True)
                # Threads per frame would hold back one picture for each thread.
                video.codec_context.thread_type = "SLICE"
        except BadInputError:
            container.close()
            release()
            raise
        starts = [to_ns(s.start_time, s.time_base) for s in (video, audio) if s is not None]
        base_ns = min((s for s in starts if s is not None), default=0)
        return cls(container, video, audio, base_ns=base_ns, release=release)

    def packets(self) -> Iterator[tuple[Packet[Stream], int]]:
        """Packets and the monotonic time each came (or, paced, was due); the last ones flush the decoders.

        Errors: av.error.FFmpegError, OSError when the connection breaks.
        """
        for packet in self.container.demux([s for s in (self.video, self.audio) if s is not None]):
            stamp_ns = self.stamp(packet)
            if self.pacer is not None and stamp_ns is not None:
                yield packet, self.pacer.wait(stamp_ns)
            else:
                yield packet, time.monotonic_ns()

    def stamp(self, packet: Packet[Stream]) -> int | None:
        """When the packet is due on the source's own clock, None when it does not say."""
        value = packet.dts if packet.dts is not None else packet.pts
        stamp_ns = to_ns(value, packet.time_base)
        return None if stamp_ns is None else stamp_ns - self.base_ns

    def close(self) -> None:
        """Free everything."""
        self.container.close()
        self.release()
