"""One pass over one source, as a pipeline: who looks at which frame, who listens, and what is written down.

::

    decode -> tick (glance) --+--> eye ---+
                              |           +--> remember --+--> events
                              +--> ear ---+               |
                              +-----------+               +--> follow
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from edgevid.core.nouns import NS_PER_S, AudioChunk, Frame
from edgevid.memory.memory import Memory
from edgevid.runtime import CpuBudget, Pipeline, Policy
from edgevid.runtime.quality import AdaptiveQuality, Quality
from edgevid.stream.events import Event
from edgevid.stream.scribe import Scribe, Written
from edgevid.stream.senses import Ear, Eye, OnSeen, Sense
from edgevid.stream.stats import StageTimes
from edgevid.stream.ticks import Ticker

if TYPE_CHECKING:
    from edgevid.perception.protocols import AudioChannel, VisualChannel
    from edgevid.stream.follower import Follower

_EAR_TICKS = 16  # sound waits, and is never dropped
_EYE_TICKS = 2
_FOLLOWED = 4
_LIVE_EVENTS = 256  # a reader this far behind loses the oldest events of a live source; rows are kept
_LIVE_HANG_S = 60.0
_HEIGHTS = (540, 360, 270)  # pixels; a live source is looked at smaller before it is looked at less often


class Watcher:
    """Turns a source's frames and sound into rows of one video.

    A file is watched whole: every stage waits for the next. A live source waits for nobody: the eye takes the
    newest frame, and what it could not look at is dropped and counted; when it cannot keep up, it looks at
    smaller frames, then at fewer (``quality``), until it can.

    Args:
        video_id: the row in memory that observations belong to.
        fps: frames looked at per second.
        looks: frames that come for each one looked at.
        eye_threads: cores that looking keeps busy.
        duration_s, end_s: of the source, and of the part to watch, where known; the last frame's period may
            reach past either.
        trace: events kept for ``pipeline.trace``.
    """

    def __init__(
        self,
        memory: Memory,
        video_id: int,
        *,
        fps: float,
        looks: int,
        glancing: Sequence[VisualChannel],
        looking: Sequence[VisualChannel],
        listening: Sequence[AudioChannel],
        follower: Follower | None,
        stages: StageTimes,
        budget: CpuBudget,
        eye_threads: int = 1,
        duration_s: float | None = None,
        end_s: float | None = None,
        live: bool = False,
        label: str | None = None,
        on_frame: Callable[[Frame], None] | None = None,
        on_seen: OnSeen | None = None,
        trace: int = 0,
    ) -> None:
        period_ns = int(NS_PER_S / fps)
        self.pipeline = Pipeline(label or "watch", budget=budget, trace=trace)
        self.quality = _levels(fps) if live else None
        self._ticker = Ticker(
            period_ns=period_ns,
            looks=looks,
            glancing=glancing,
            stages=stages,
            on_frame=on_frame,
            thinned=lambda: round(fps / self.quality.now.fps) if self.quality is not None else 1,
        )
        self._eye = Eye(looking, period_ns=period_ns, stages=stages, on_seen=on_seen, quality=self.quality)
        self._ear = Ear(listening, stages=stages) if listening else None
        senses: tuple[Sense, ...] = ("eye", "ear") if listening else ("eye",)
        self._scribe = Scribe(
            memory, video_id, period_ns=period_ns, senses=senses, stages=stages, label=label
        )
        self._follower = follower
        self._stages = stages
        self._eye_threads = eye_threads
        self._period_ns = period_ns
        self._until_ns = min((int(s * NS_PER_S) for s in (duration_s, end_s) if s is not None), default=None)
        self._live = live

    @property
    def frames(self) -> int:
        """Frames looked at so far."""
        return self._eye.frames

    @property
    def media_ns(self) -> int:
        """Presentation time that has come so far."""
        come_ns = self._ticker.media_ns
        if self._until_ns is None or come_ns > self._until_ns + self._period_ns:  # the duration is not true
            return come_ns
        return min(come_ns, self._until_ns)

    @property
    def text_stride(self) -> int:
        """Screen text is read on every so many-th frame looked at."""
        return self._eye.text_stride

    def follow(
        self, items: Iterable[Frame | AudioChunk], *, interrupt: Callable[[], None] | None = None
    ) -> Iterator[Event]:
        """Watch ``items`` to their end; yields each row as it begins.

        ``interrupt`` makes a waiting read of ``items`` return, from another thread.
        """
        pipeline, hang_s = self.pipeline, _LIVE_HANG_S if self._live else math.inf
        notes: Policy = "drop-oldest" if self._live else "block"
        decode = pipeline.source("decode", _timed(iter(items), self._stages), interrupt=interrupt)
        tick = pipeline.stage("tick", self._ticker, after=decode, executor="sync", hang_s=hang_s)
        senses = [
            pipeline.stage(
                "eye",
                self._eye,
                after=tick,
                threads=self._eye_threads,
                capacity=_EYE_TICKS,
                policy="latest-only" if self._live else "block",
                hang_s=hang_s,
                quality=self.quality,
            )
        ]
        if self._ear is not None:
            senses.append(pipeline.stage("ear", self._ear, after=tick, capacity=_EAR_TICKS, hang_s=hang_s))
        remember = pipeline.stage("remember", self._scribe, after=[tick, *senses], hang_s=hang_s)
        if self._follower is not None:
            pipeline.stage(
                "follow", self._feed, after=remember, capacity=_FOLLOWED, policy=notes, hang_s=math.inf
            )
        events = pipeline.output(
            "events",
            after=remember,
            capacity=_LIVE_EVENTS if self._live else 8,
            policy=notes,
        )
        with pipeline:
            pipeline.start()
            for message in events:
                yield from message.payload.events
            pipeline.wait()

    def _feed(self, written: Written) -> None:
        assert self._follower is not None
        if written.frame is not None:
            with self._stages.measure("follow"):
                self._follower.see(written.frame)
        self._follower.note(written.events)


def _levels(fps: float) -> AdaptiveQuality:
    """Smaller, then smaller and half as often, then a quarter."""
    full, smaller, smallest = _HEIGHTS
    return AdaptiveQuality(
        [Quality(fps, full), Quality(fps, smaller), Quality(fps / 2, smaller), Quality(fps / 4, smallest)]
    )


def _timed(items: Iterator[Frame | AudioChunk], stages: StageTimes) -> Iterator[Frame | AudioChunk]:
    """Pass items on, recording how long each frame took to come."""
    while True:
        began = time.perf_counter()
        item = next(items, None)
        if item is None:
            return
        if isinstance(item, Frame):
            stages.record("decode", time.perf_counter() - began)
        yield item
