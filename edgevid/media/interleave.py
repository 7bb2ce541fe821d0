"""Pictures and sound of one source in one order of time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Literal

from edgevid.core.nouns import NS_PER_S, AudioChunk, Frame

Track = Literal["video", "audio"]

_OTHER: dict[Track, Track] = {"video": "audio", "audio": "video"}
_MAX_PICTURE_BYTES = 64 << 20
_MAX_SOUND_NS = 120 * NS_PER_S


class Interleaver:
    """Merges two tracks by time. An item leaves once the other track can bring nothing earlier.

    A badly interleaved file cannot fill memory: beyond 64 MiB of pictures or 120 s of sound the waiting
    track is let go first; each track then still is in order by itself.
    """

    def __init__(self) -> None:
        self._queues: dict[Track, deque[Frame | AudioChunk]] = {"video": deque(), "audio": deque()}
        self._watermark_ns: dict[Track, int] = {"video": 0, "audio": 0}
        self._picture_bytes = 0

    def put(self, item: Frame | AudioChunk) -> None:
        """Add the next item of its track."""
        if isinstance(item, Frame):
            self._queues["video"].append(item)
            self._picture_bytes += item.image.nbytes
        else:
            self._queues["audio"].append(item)

    def advance(self, track: Track, watermark_ns: int) -> None:
        """Promise that ``track`` brings nothing earlier than ``watermark_ns`` any more."""
        self._watermark_ns[track] = max(self._watermark_ns[track], watermark_ns)

    @property
    def sound_overdue_ns(self) -> int:
        """Time up to which sound has waited too long for pictures; the caller should decide pictures until
        then.
        """
        sound = self._queues["audio"]
        return sound[-1].pts_ns - _MAX_SOUND_NS if sound else 0

    def pop(self) -> Iterator[Frame | AudioChunk]:
        """Items whose turn has come."""
        while True:
            track = self._first_track()
            if track is None:
                return
            item = self._queues[track][0]
            overfull = track == "video" and self._picture_bytes > _MAX_PICTURE_BYTES
            if item.pts_ns > self._watermark_ns[_OTHER[track]] and not overfull:
                return
            self._queues[track].popleft()
            if isinstance(item, Frame):
                self._picture_bytes -= item.image.nbytes
            yield item

    def _first_track(self) -> Track | None:
        video, audio = self._queues["video"], self._queues["audio"]
        if video and (not audio or video[0].pts_ns <= audio[0].pts_ns):
            return "video"
        return "audio" if audio else None
