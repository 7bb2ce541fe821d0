"""One connection to a live source, from opening to its end, in a thread that may be left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from edgevid.core.errors import BadInputError, EdgevidError, LimitError
from edgevid.core.nouns import NS_PER_S
from edgevid.media.feed import Feed
from edgevid.media.info import SourceInfo, describe_streams
from edgevid.media.intake import Intake
from edgevid.media.reader import to_ns

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame

_SETTLE_NS = 3 * NS_PER_S // 10


class Attempt:
    """Connects, decodes and delivers until the connection ends or ``leave`` is called.

    Args:
        name: of the source in messages, without passwords.
        connect: opens the connection; may block.
        intake: where decoded pictures and sound go.
        changed: notified when the attempt gets ready or ends.
        patience_s: how long it may go on without a picture before the headers have to do.

    Attributes:
        info: facts about the source once it has proved that it decodes.
        error: why it ended; None when the source came to its end.
        heard_ns: monotonic time of the newest packet.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Feed],
        intake: Intake,
        changed: threading.Condition,
        *,
        patience_s: float,
    ) -> None:
        self.info: SourceInfo | None = None
        self.error: EdgevidError | None = None
        self.ended = False
        self.started_ns = self.heard_ns = time.monotonic_ns()
        self._name = name
        self._connect = connect
        self._intake = intake
        self._changed = changed
        self._patience_ns = round(patience_s * NS_PER_S)
        self._left = False
        self._thread = threading.Thread(target=self._run, name=f"live {name}", daemon=True)

    def start(self) -> None:
        """Begin, in its own thread."""
        self._thread.start()

    def leave(self) -> None:
        """From now on nothing is delivered; the thread ends when what it waits for returns."""
        with self._changed:
            self._left = True

    @property
    def alive(self) -> bool:
        """Whether the thread still holds the connection."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        from av.error import FFmpegError

        error: EdgevidError | None = None
        try:
            feed = self._connect()
            try:
                if not self._left:
                    self._receive(feed)
                    error = self._verdict(feed)
            finally:
                feed.close()
        except EdgevidError as failure:
            error = failure
        except (FFmpegError, OSError, ValueError) as failure:
            said = getattr(failure, "strerror", None) or type(failure).__name__
            error = BadInputError(f"{self._name}: the connection broke: {said}", fix="check the network")
        finally:
            with self._changed:
                self.error = self.error or error
                self.ended = True
                self._changed.notify_all()

    def _receive(self, feed: Feed) -> None:
        from av.audio.frame import AudioFrame

        self._intake.restart()
        held: list[tuple[VideoFrame | AudioFrame, int]] = []
        for packet, arrived_ns in self._settled(feed):
            if self._left:
                return
            for frame in self._decode(packet):
                held.append((frame, arrived_ns))
                if self.info is None and not (isinstance(frame, AudioFrame) and feed.video is not None):
                    self._get_ready(feed, None if isinstance(frame, AudioFrame) else frame)
                    self._wait_for_reader(feed, packet)
            overdue = self.info is None and arrived_ns - self.started_ns > self._patience_ns
            if overdue and feed.video is not None and feed.video.codec_context.width > 0:
                self._get_ready(feed, None)
            if self.info is not None:
                for frame, came_ns in held:
                    self._deliver(feed, frame, came_ns)
                held.clear()

    def _deliver(self, feed: Feed, frame: VideoFrame | AudioFrame, arrived_ns: int) -> None:
        from av.audio.frame import AudioFrame

        stamp_ns = to_ns(frame.pts, frame.time_base)
        if stamp_ns is not None:
            stamp_ns -= feed.base_ns
        if feed.pacer is not None:  # a stamp may be after its packet's turn, which says nothing here
            arrived_ns = time.monotonic_ns() + (0 if stamp_ns is None else NS_PER_S)
        if isinstance(frame, AudioFrame):
            self._intake.sound(frame, stamp_ns, arrived_ns)
        else:
            self._intake.picture(frame, stamp_ns, arrived_ns)

    def _settled(self, feed: Feed) -> Iterator[tuple[Packet[Stream], int]]:
        """Packets in order, each seen by the clock.

        What FFmpeg read while it probed comes at once; the clock must have seen the end of that before it can
        tell when any of it was captured.
        """
        waiting: list[tuple[Packet[Stream], int]] | None = [] if feed.pacer is None else None
        since_ns = time.monotonic_ns()
        for packet, arrived_ns in feed.packets():
            self.heard_ns = time.monotonic_ns()
            if self._left:
                return
            self._intake.observe(packet.stream_index, feed.stamp(packet), arrived_ns)
            if waiting is None:
                yield packet, arrived_ns
                continue
            waiting.append((packet, arrived_ns))
            if arrived_ns - since_ns >= _SETTLE_NS:
                yield from waiting
                waiting = None
        yield from waiting or ()

    def _decode(self, packet: Packet[Stream]) -> Iterator[VideoFrame | AudioFrame]:
        from av.error import EOFError as Ended
        from av.error import FFmpegError

        try:
            yield from packet.decode()  # type: ignore[misc]
        except Ended:
            return
        except (FFmpegError, ValueError):
            self._intake.stats.damaged += 1

    def _get_ready(self, feed: Feed, first: VideoFrame | None) -> None:
        info = describe_streams(
            self._name, feed.container, feed.video, feed.audio, first=first, size=0, live=True
        )
        with self._changed:
            self.info = info
            self._changed.notify_all()

    def _wait_for_reader(self, feed: Feed, packet: Packet[Stream]) -> None:
        """What can wait does, so that its reader misses nothing; ``packet`` is stamped anew then."""
        if feed.pacer is None:
            return
        self._intake.wait_for_reader()
        feed.pacer.begin()
        self._intake.restart(feed.pacer.epoch_ns)
        stamp_ns = feed.stamp(packet)
        if stamp_ns is not None:
            self._intake.observe(packet.stream_index, stamp_ns, feed.pacer.wait(stamp_ns))

    def _verdict(self, feed: Feed) -> EdgevidError | None:
        """What is wrong with a connection that came to its end."""
        if self.info is not None or self._left:
            return None
        if feed.video is not None and feed.video.codec_context.width == 0:
            # FFmpeg clears the size of a stream when ``max_pixels`` stops its decoder.
            return LimitError(
                f"{self._name}: no picture within the limit of pixels can be decoded",
                fix="scale the video down or raise max_pixels",
            )
        return BadInputError(f"{self._name}: nothing in it can be decoded", fix="send H.264 or AAC")
