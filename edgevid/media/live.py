"""Sources that come in real time: cameras, the network, microphones, screens, pipes, and paced files.

    supervisor --starts, gives up, starts again--> attempt: connect -> packets -> decode -> intake
                                                                                              |
    LiveSource.read()  <------------- mailbox: the newest picture, sound in order ------------+

Each side is a thread of its own: a slow reader never holds up the source, nor a silent source its closing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from edgevid.core.errors import UsageError
from edgevid.core.limits import MediaLimits
from edgevid.core.nouns import AudioChunk, Frame
from edgevid.media.base import Source
from edgevid.media.connect import OPEN_S, STALL_S, connect
from edgevid.media.feed import Feed
from edgevid.media.info import SourceInfo
from edgevid.media.intake import Intake
from edgevid.media.live_stats import LiveStats
from edgevid.media.mailbox import Mailbox, Picture
from edgevid.media.passage import ReadPlan, ReadStats
from edgevid.media.picture import PictureConverter
from edgevid.media.receiver import Patience, Receiver
from edgevid.media.uri import Uri


class Holder(Protocol):
    """Holds a live source open: ``Receiver``, or ``WebRtcReceiver``, which peers call."""

    def start(self, start_ns: int = 0) -> None: ...

    def close(self) -> None: ...


class LiveSource(Source):
    """A live source; ``open_live`` and ``open_paced`` make one. ``stats.live`` counts what happened to it.

    One pass at a time. It begins with what comes when it is asked for, gives the newest picture whenever the
    caller takes one and all sound in order (up to 30 s behind), and goes on across interruptions: times keep
    counting on the clock of this machine. Each track is in order by itself; a chunk of sound comes when it is
    complete, after pictures of its time. With ``fps`` the first picture at or after each tick is given, with
    its own time.

    Args:
        receiver: feeds ``intake``; started by the first pass if it is not running yet.
    """

    def __init__(
        self, info: SourceInfo, stats: ReadStats, intake: Intake, receiver: Holder, *, limits: MediaLimits
    ) -> None:
        super().__init__(info, limits=limits, warnings=[])
        self.stats = stats
        self._intake = intake
        self._receiver = receiver

    def close(self) -> None:
        self._closed = True
        self._receiver.close()

    def _pass(self, plan: ReadPlan) -> Iterator[Frame | AudioChunk]:
        if not (plan.video or plan.audio):
            return
        mailbox = self._intake.attach(plan)
        if mailbox is None:
            raise UsageError(
                f"{self.info.uri}: is being read already", fix="a live source is read once at a time"
            )
        try:
            self._receiver.start(plan.start_ns)
            yield from self._items(mailbox, plan)
        finally:
            self._intake.detach()

    def _items(self, mailbox: Mailbox, plan: ReadPlan) -> Iterator[Frame | AudioChunk]:
        from av.error import FFmpegError

        turned = self.info.rotation in (90, 270)
        aspect = 1 / self.info.pixel_aspect if turned else self.info.pixel_aspect
        converter = PictureConverter(max_side=plan.max_side, pixel_aspect=aspect)
        while not self._closed and (item := mailbox.take()) is not None:
            time_ns = item.time_ns if isinstance(item, Picture) else item.pts_ns
            if time_ns >= plan.end_ns and isinstance(item, Picture) == plan.video:
                return
            if isinstance(item, AudioChunk):
                yield item
                continue
            try:
                image = converter.convert(item.frame)
            except (FFmpegError, ValueError):
                self.stats.damaged += 1
                continue
            yield Frame(image, item.time_ns, item.index, item.wall_ns)


def open_live(uri: Uri, *, limits: MediaLimits, threads: int) -> LiveSource:
    """Connect to ``uri`` and prove that it decodes; from then on it is kept connected.

    Errors: as ``open_source``, within 10 s; a WebRTC peer is waited for longer.
    """
    if uri.kind == "webrtc":
        return _open_webrtc(uri, limits)
    endless = uri.kind != "pipe"
    patience = Patience(
        open_s=min(OPEN_S, limits.open_timeout_s), stall_s=STALL_S if endless else None, reconnects=endless
    )
    stats, intake, receiver = _parts(uri, patience, limits, threads)
    receiver.start()
    try:
        info = receiver.wait_ready()
    except BaseException:
        receiver.close()
        raise
    return LiveSource(info, stats, intake, receiver, limits=limits)


def _open_webrtc(uri: Uri, limits: MediaLimits) -> LiveSource:
    from edgevid.media.webrtc.source import WebRtcReceiver

    stats = ReadStats(live=LiveStats())
    intake = Intake(stats)
    receiver = WebRtcReceiver(uri, intake, limits=limits)
    receiver.start()
    try:
        return LiveSource(receiver.wait_ready(), stats, intake, receiver, limits=limits)
    except BaseException:
        receiver.close()
        raise


def open_paced(recorded: Source, path: Path, *, limits: MediaLimits, threads: int) -> LiveSource:
    """The file ``path``, already opened as ``recorded``, in real time from its first reading on, and once."""
    recorded.close()
    patience = Patience(open_s=limits.open_timeout_s, stall_s=None, reconnects=False)
    uri = Uri(recorded.info.uri, "file", str(path))
    stats, intake, receiver = _parts(uri, patience, limits, threads)
    return LiveSource(replace(recorded.info, live=True), stats, intake, receiver, limits=limits)


def _parts(
    uri: Uri, patience: Patience, limits: MediaLimits, threads: int
) -> tuple[ReadStats, Intake, Receiver]:
    closing = threading.Event()
    stats = ReadStats(live=LiveStats())
    intake = Intake(stats)

    def open_feed(start_ns: int) -> Feed:
        return connect(uri, limits=limits, threads=threads, closing=closing, start_ns=start_ns)

    return stats, intake, Receiver(uri.text, open_feed, intake, patience=patience, closing=closing)
