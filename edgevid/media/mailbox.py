"""Between the thread that receives a live source and its reader: the newest picture, and sound in order.

    receiver --put_picture--> [ one picture ]  --+
             --put_sound----> [ <= 30 s      ]  --+--take--> reader

A reader that is slow gets the newest picture whenever it comes; memory stays bounded whatever it does.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevid.core.nouns import NS_PER_S, AudioChunk
from edgevid.media.live_stats import LiveStats

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

MAX_SOUND_S = 30.0
WAKE_S = 0.25
_ROUNDING_S = 1e-6
_TOLERANCE_NS = 500_000


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture on its way; converted only when the reader takes it.

    Attributes:
        frame: as decoded.
        time_ns, wall_ns: as in ``Frame``.
        index: running number since the source was opened.
    """

    frame: VideoFrame
    time_ns: int
    wall_ns: int
    index: int


class Mailbox:
    """Thread-safe; one reader.

    Args:
        stats: where to count.
        fps: at most one picture per tick ``k / fps`` passes, the first at or after it; None passes all.
        start_ns: what is earlier is skipped.
    """

    def __init__(self, stats: LiveStats, *, fps: float | None = None, start_ns: int = 0) -> None:
        self._stats = stats
        self._fps = fps
        self._due_ns = start_ns
        self._start_ns = start_ns
        self._changed = threading.Condition()
        self._picture: Picture | None = None
        self._sound: deque[AudioChunk] = deque()
        self._sound_s = 0.0
        self._ended = False
        self._error: Exception | None = None

    def put_picture(self, picture: Picture) -> None:
        """Offer the newest picture; it replaces one nobody came for."""
        with self._changed:
            if self._ended:
                return
            self._stats.received += 1
            if picture.time_ns < self._due_ns - _TOLERANCE_NS:
                self._stats.skipped += 1
                return
            if self._fps is not None:
                ticks = int((picture.time_ns + _TOLERANCE_NS - self._start_ns) * self._fps / NS_PER_S)
                self._due_ns = self._start_ns + round((ticks + 1) * NS_PER_S / self._fps)
            self._stats.dropped += self._picture is not None
            self._picture = picture
            self._changed.notify()

    def put_sound(self, chunk: AudioChunk) -> None:
        """Add sound; past ``MAX_SOUND_S`` the oldest chunks go."""
        with self._changed:
            if self._ended:
                return
            self._sound.append(chunk)
            self._stats.sound_s += _seconds(chunk)
            self._sound_s += _seconds(chunk)
            while self._sound_s > MAX_SOUND_S + _ROUNDING_S and len(self._sound) > 1:
                oldest = _seconds(self._sound.popleft())
                self._sound_s -= oldest
                self._stats.sound_dropped_s += oldest
            self._changed.notify()

    def end(self, error: Exception | None = None) -> None:
        """Nothing more comes: the reader gets what waits, then the end (or ``error``)."""
        with self._changed:
            if not self._ended:
                self._ended, self._error = True, error
            self._changed.notify()

    def close(self) -> None:
        """Nobody reads any more: what waits is dropped."""
        with self._changed:
            self._ended = True
            self._stats.dropped += self._picture is not None
            self._picture = None
            self._stats.sound_dropped_s += self._sound_s
            self._sound.clear()
            self._sound_s = 0.0
            self._changed.notify()

    def take(self) -> Picture | AudioChunk | None:
        """Wait for the next picture or chunk, the earlier one first; None at the end.

        Errors: what the mailbox was ended with.
        """
        with self._changed:
            while self._picture is None and not self._sound and not self._ended:
                # A signal that another thread took is handled only when the main thread wakes up.
                self._changed.wait(WAKE_S)
            picture, sound = self._picture, self._sound
            if picture is not None and not (sound and sound[0].pts_ns < picture.time_ns):
                self._picture = None
                self._stats.delivered += 1
                return picture
            if sound:
                chunk = sound.popleft()
                self._sound_s -= _seconds(chunk)
                return chunk
            if self._error is not None:
                raise self._error
            return None


def _seconds(chunk: AudioChunk) -> float:
    return chunk.samples.size / chunk.sample_rate
