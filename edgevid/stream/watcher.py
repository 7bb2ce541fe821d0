"""One pass over one source: who looks at which frame, who listens to what, and what is written down."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from edgevid.core.nouns import NS_PER_S, AudioChunk, Frame, Observation
from edgevid.memory.memory import Memory
from edgevid.stream.events import Event
from edgevid.stream.pacing import AdaptiveStride
from edgevid.stream.stats import StageTimes
from edgevid.stream.timeline import Timeline

if TYPE_CHECKING:
    from edgevid.perception.protocols import AudioChannel, VisualChannel
    from edgevid.stream.follower import Follower


class Watcher:
    """Turns a source's frames and sound into rows of one video.

    Channels that glance see every frame that comes, those that look every ``looks``-th, counted anew from
    each cut so that no shot goes unseen; while they do, one thread listens to the sound of the time in
    between. Screen text, the dearest, is read less often when a frame's work would not fit its period.

    Args:
        video_id: the row in memory that observations belong to.
        fps: frames looked at per second.
        looks: frames that come for each one looked at.
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
    ) -> None:
        self.frames = 0
        self.media_ns = 0
        self._memory = memory
        self._timeline = Timeline(memory, video_id)
        self._period_ns = int(NS_PER_S / fps)
        self._looks = looks
        self._glancing = glancing
        self._looking = looking
        self._listening = listening
        self._follower = follower
        self._stages = stages
        self._pace = AdaptiveStride(1 / fps)
        self._glanced: list[Observation] = []

    @property
    def text_stride(self) -> int:
        """Screen text is read on every so many-th frame looked at."""
        return self._pace.stride

    def follow(
        self, items: Iterable[Frame | AudioChunk], *, on_frame: Callable[[Frame], None] | None = None
    ) -> Iterator[Event]:
        """Watch ``items`` to their end; yields each row as it begins."""
        sound: list[AudioChunk] = []
        glimpses = -1
        with ThreadPoolExecutor(1, thread_name_prefix="edgevid-ear") as ear:
            for item in _timed(iter(items), self._stages):
                if isinstance(item, AudioChunk):
                    sound.append(item)
                    self.media_ns = max(self.media_ns, _end_ns(item))
                    if _end_ns(item) - sound[0].pts_ns < 2 * self._period_ns:
                        continue  # a frame will come first, unless the source has no picture
                    yield from self._tick(None, sound, ear)
                else:
                    glimpses = 0 if self._glance(item) else glimpses + 1
                    if glimpses % self._looks:
                        continue
                    self.media_ns = max(self.media_ns, item.pts_ns + self._period_ns)
                    if on_frame is not None:
                        on_frame(item)
                    yield from self._tick(item, sound, ear)
                sound = []
            yield from self._tick(None, sound, ear, last=True)

    def _tick(
        self, frame: Frame | None, sound: list[AudioChunk], ear: ThreadPoolExecutor, *, last: bool = False
    ) -> list[Event]:
        """One step: look and listen at once, then write down what both found."""
        began = time.perf_counter()
        heard: Future[list[Observation]] = ear.submit(self._hear, sound, last)
        text_period_ns = self._period_ns * self._pace.stride
        seen = self._see(frame, text_period_ns) if frame is not None else []
        glanced, self._glanced = self._glanced, []
        events = self._remember([*glanced, *seen, *heard.result()], text_period_ns)
        if frame is not None:
            self.frames += 1
            self._pace.record(time.perf_counter() - began)
        if self._follower is not None:
            self._follower.note(events)
        return events

    def _glance(self, frame: Frame) -> bool:
        """Whether a new shot has just begun."""
        known = len(self._glanced)
        for channel in self._glancing:
            with self._stages.measure(channel.kind):
                self._glanced += channel.observe(frame, period_ns=0)
        return len(self._glanced) > known

    def _see(self, frame: Frame, text_period_ns: int) -> list[Observation]:
        read_text = self._pace.due()
        seen: list[Observation] = []
        for channel in self._looking:
            is_text = channel.kind == "text"
            if is_text and not read_text:
                continue
            with self._stages.measure(channel.kind):
                seen += channel.observe(frame, period_ns=text_period_ns if is_text else self._period_ns)
        if self._follower is not None:
            with self._stages.measure("follow"):
                self._follower.see(frame)
        return seen

    def _hear(self, sound: list[AudioChunk], last: bool) -> list[Observation]:
        heard: list[Observation] = []
        for channel in self._listening:
            with self._stages.measure(channel.kind):
                for chunk in sound:
                    heard += channel.push(chunk)
                if last:
                    heard += channel.flush()
        return heard

    def _remember(self, observations: list[Observation], text_period_ns: int) -> list[Event]:
        events = []
        with self._stages.measure("remember"), self._memory.transaction():
            for o in sorted(observations, key=lambda o: o.span.start_ns):
                period_ns = text_period_ns if o.kind == "text" else self._period_ns
                row_id = self._timeline.add(o, period_ns=period_ns)
                if row_id is not None and o.kind != "faint":
                    events.append(Event(row_id, o))
        return events


def _end_ns(chunk: AudioChunk) -> int:
    return chunk.pts_ns + len(chunk.samples) * NS_PER_S // chunk.sample_rate


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
