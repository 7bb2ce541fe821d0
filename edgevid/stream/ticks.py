"""A source's frames and sound in steps: one frame to look at with the sound of the time before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgevid.core.nouns import NS_PER_S, AudioChunk, Frame, Observation
from edgevid.stream.stats import StageTimes

if TYPE_CHECKING:
    from edgevid.perception.protocols import VisualChannel


@dataclass(frozen=True, slots=True)
class Tick:
    """One step of a watch.

    Attributes:
        number: running, from 0.
        pts_ns: of the frame, or of the end of the sound.
        frame: to be looked at; None where sound comes without pictures, and at the end.
        sound: since the last tick, in order.
        glanced: what the channels that see every frame found since the last tick.
        last: the source has ended; channels give what they still hold.
        wall_offset_ns: wall clock minus presentation time for live sources, else None.
    """

    number: int
    pts_ns: int
    frame: Frame | None
    sound: tuple[AudioChunk, ...]
    glanced: tuple[Observation, ...]
    last: bool = False
    wall_offset_ns: int | None = None


class Ticker:
    """Takes frames and sound as they come and gives a tick for each frame to look at.

    Channels that glance see every frame. Of those, each ``looks``-th makes a tick, counted anew from each cut
    so that no shot goes unseen; ``thinned`` times fewer when the device is too busy.

    Attributes:
        media_ns: presentation time that has come so far.

    Args:
        period_ns: time between two frames that are looked at.
        on_frame: is shown every frame that is looked at.
        thinned: asked for each frame; 1 = no fewer.
    """

    def __init__(
        self,
        *,
        period_ns: int,
        looks: int,
        glancing: Sequence[VisualChannel],
        stages: StageTimes,
        on_frame: Callable[[Frame], None] | None,
        thinned: Callable[[], int] = lambda: 1,
    ) -> None:
        self.media_ns = 0
        self._period_ns = period_ns
        self._looks = looks
        self._glancing = glancing
        self._stages = stages
        self._on_frame = on_frame
        self._thinned = thinned
        self._sound: list[AudioChunk] = []
        self._glanced: list[Observation] = []
        self._glimpses = -1
        self._number = 0
        self._wall_offset_ns: int | None = None

    def __call__(self, item: Frame | AudioChunk) -> Tick | None:
        """Take the next item."""
        if item.wall_ns is not None:
            self._wall_offset_ns = item.wall_ns - item.pts_ns
        if isinstance(item, AudioChunk):
            self._sound.append(item)
            end_ns = item.pts_ns + len(item.samples) * NS_PER_S // item.sample_rate
            self.media_ns = max(self.media_ns, end_ns)
            if end_ns - self._sound[0].pts_ns < 2 * self._period_ns:
                return None  # a frame will come first, unless the source has no picture
            return self._tick(None, end_ns)
        self._glimpses = 0 if self._glance(item) else self._glimpses + 1
        if self._glimpses % (self._looks * self._thinned()):
            return None
        self.media_ns = max(self.media_ns, item.pts_ns + self._period_ns)
        if self._on_frame is not None:
            self._on_frame(item)
        return self._tick(item, item.pts_ns)

    def flush(self) -> Tick:
        """The last tick."""
        return self._tick(None, self.media_ns, last=True)

    def _glance(self, frame: Frame) -> bool:
        """Whether a new shot has just begun."""
        known = len(self._glanced)
        for channel in self._glancing:
            with self._stages.measure(channel.kind):
                self._glanced += channel.observe(frame, period_ns=0)
        return len(self._glanced) > known

    def _tick(self, frame: Frame | None, pts_ns: int, *, last: bool = False) -> Tick:
        sound, glanced = tuple(self._sound), tuple(self._glanced)
        tick = Tick(self._number, pts_ns, frame, sound, glanced, last, self._wall_offset_ns)
        self._number += 1
        self._sound, self._glanced = [], []
        return tick
