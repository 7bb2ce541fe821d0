"""The eye and the ear of a watch: stages that turn ticks into observations, each in a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from edgevid.core.nouns import Frame, Observation
from edgevid.runtime.quality import AdaptiveQuality
from edgevid.stream.pacing import AdaptiveStride
from edgevid.stream.stats import StageTimes
from edgevid.stream.ticks import Tick

if TYPE_CHECKING:
    from edgevid.perception.protocols import AudioChannel, VisualChannel

Sense = Literal["eye", "ear"]
OnSeen = Callable[[Frame, Sequence[Observation]], None]


@dataclass(frozen=True, slots=True)
class Part:
    """What one sense made of one tick.

    Attributes:
        text_period_ns: how long text that was read is taken to stay.
        looked: whether there was a frame to look at.
    """

    sense: Sense
    number: int
    pts_ns: int
    observations: tuple[Observation, ...]
    text_period_ns: int = 0
    looked: bool = False


class Eye:
    """Looks at the frame of each tick.

    Screen text, the dearest, is read less often when the work on a frame would not fit its period.

    Attributes:
        frames: looked at so far.
    """

    def __init__(
        self,
        channels: Sequence[VisualChannel],
        *,
        period_ns: int,
        stages: StageTimes,
        on_seen: OnSeen | None = None,
        quality: AdaptiveQuality | None = None,
    ) -> None:
        self.frames = 0
        self._channels = channels
        self._period_ns = period_ns
        self._stages = stages
        self._on_seen = on_seen
        self._quality = quality
        self._pace = AdaptiveStride(period_ns / 1e9)

    @property
    def text_stride(self) -> int:
        """Screen text is read on every so many-th frame looked at."""
        return self._pace.stride

    def __call__(self, tick: Tick) -> Part:
        """Look at one tick; ticks without a frame pass."""
        text_period_ns = self._period_ns * self._pace.stride
        seen: tuple[Observation, ...] = ()
        if tick.frame is not None:
            began = time.perf_counter()
            seen = tuple(self._see(self._at_quality(tick.frame), text_period_ns))
            self._pace.record(time.perf_counter() - began)
            self.frames += 1
            if self._on_seen is not None:
                self._on_seen(tick.frame, seen)
        return Part("eye", tick.number, tick.pts_ns, seen, text_period_ns, tick.frame is not None)

    def _at_quality(self, frame: Frame) -> Frame:
        """The frame no higher than the quality of the moment; boxes are fractions and stay."""
        height, width = frame.image.shape[:2]
        most = self._quality.now.height if self._quality is not None else None
        if most is None or height <= most:
            return frame
        from edgevid.perception.scaling import resize

        return replace(frame, image=resize(frame.image, width=max(1, width * most // height), height=most))

    def _see(self, frame: Frame, text_period_ns: int) -> list[Observation]:
        read_text = self._pace.due()
        seen: list[Observation] = []
        for channel in self._channels:
            is_text = channel.kind == "text"
            if is_text and not read_text:
                continue
            with self._stages.measure(channel.kind):
                seen += channel.observe(frame, period_ns=text_period_ns if is_text else self._period_ns)
        return seen


class Ear:
    """Listens to the sound of each tick."""

    def __init__(self, channels: Sequence[AudioChannel], *, stages: StageTimes) -> None:
        self._channels = channels
        self._stages = stages

    def __call__(self, tick: Tick) -> Part:
        """Listen to one tick; the last one makes the channels give what they still hold."""
        heard: list[Observation] = []
        for channel in self._channels:
            with self._stages.measure(channel.kind):
                for chunk in tick.sound:
                    heard += channel.push(chunk)
                if tick.last:
                    heard += channel.flush()
        return Part("ear", tick.number, tick.pts_ns, tuple(heard))
