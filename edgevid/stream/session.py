"""``StreamSession``: watch a source, keep a timeline (and a KV cache), answer questions at any moment.

::

    source --frames--> visual channels --\\
       |                                  >-- Timeline --> Memory rows --> Answerer --> Answer
       \\----sound---> audio channels ---/                                    ^
       \\----frames--> Follower: visual rows -> KV of the native decoder -- draft, checked against the rows
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from edgevid.core.errors import UsageError
from edgevid.core.kv_config import KVConfig
from edgevid.core.limits import MediaLimits
from edgevid.core.nouns import KINDS, NS_PER_S, Answer, AudioChunk, Frame, Kind, Observation
from edgevid.memory.memory import Memory
from edgevid.stream.events import Event
from edgevid.stream.pacing import AdaptiveStride
from edgevid.stream.stats import StageTimes, stats_json
from edgevid.stream.timeline import Timeline

if TYPE_CHECKING:
    from edgevid.media.source import Source
    from edgevid.models.llm import LanguageModel
    from edgevid.models.store import ModelStore
    from edgevid.perception.protocols import AudioChannel, VisualChannel
    from edgevid.stream.follower import Follower

_SAMPLE_RATE = 16_000  # what every audio channel listens at
_LOOKS_PER_S = 8.0  # cuts are told from motion by looking this often, whatever the sampling rate
_MAX_SIDE = 960  # pixels; the finest channel (screen text) reads no more


class StreamSession:
    """Follows videos and streams; one at a time, any number one after the other.

    Args:
        model: None (no decoder runs), "demo", a path to a GGUF file, or a loaded ``LanguageModel``.
        kv: bounds of the decoder's KV cache.
        memory: where rows are kept; None keeps them in RAM. The caller closes a memory it passes.
        channels: kinds to watch for; each needs its model pack.
        fps: frames looked at per second of video.
        threads: CPU threads for all of perception and decoding; 0 = all cores.
        store: model packs; None = the user's cache.

    Raises:
        MissingPartError: a channel's model pack is not installed.
        UsageError: an option is out of range.
    """

    def __init__(
        self,
        model: str | Path | LanguageModel | None = None,
        *,
        kv: KVConfig | None = None,
        memory: Memory | None = None,
        channels: Iterable[Kind] = KINDS,
        fps: float = 1.0,
        threads: int = 0,
        store: ModelStore | None = None,
    ) -> None:
        from edgevid.models.store import ModelStore
        from edgevid.stream.answer.answerer import Answerer

        if not 0 < fps <= 240:
            raise UsageError(f"fps is {fps}", fix="choose a rate above 0, at most 240")
        self.channels = tuple(channels)
        self.fps = fps
        threads = threads or os.cpu_count() or 1
        store = store or ModelStore()
        self.memory = memory or Memory()
        self._owns_memory = memory is None
        visual = _visual_channels(store, threads, self.channels)
        self._glancing = tuple(channel for channel in visual if channel.kind == "cut")
        self._visual = tuple(channel for channel in visual if channel.kind != "cut")
        self._audio = _audio_channels(store, self.channels)
        self._answerer = Answerer(self.memory, store=store)
        self._follower = self._load_follower(model, kv or KVConfig(), store, threads)
        self._stages = StageTimes()
        self._lock = threading.Lock()
        self._video_id: int | None = None
        self._frames = 0
        self._media_ns = 0
        self._elapsed_s = 0.0
        self._glanced: list[Observation] = []
        self._warnings: list[str] = []
        self._text_stride = 1

    def __enter__(self) -> StreamSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the decoder and, unless the caller gave it, the memory."""
        if self._follower is not None:
            self._follower.close()
        if self._owns_memory:
            self.memory.close()

    @property
    def video_id(self) -> int:
        """Row of the video being watched or watched last; UsageError before the first ``watch``."""
        if self._video_id is None:
            raise UsageError("nothing has been watched yet", fix="iterate over session.watch(source) first")
        return self._video_id

    def watch(
        self,
        source: str | Path | Source,
        *,
        limits: MediaLimits | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
        on_frame: Callable[[Frame], None] | None = None,
    ) -> Iterator[Event]:
        """Watch ``source`` to its end; yields an event as each new row of the timeline begins.

        ``on_frame`` is shown every frame that is looked at (pictures to keep, a preview).

        Leaving the loop early (``break``, an exception, Ctrl-C) keeps every row recorded so far.

        Raises:
            BadInputError: the source cannot be opened or nothing in it decodes.
        """
        from edgevid.media.source import open_source

        opened = (
            open_source(source, limits=limits or MediaLimits()) if isinstance(source, str | Path) else source
        )
        began = time.perf_counter()
        with opened, ThreadPoolExecutor(1, thread_name_prefix="edgevid-ear") as ear:
            info = opened.info
            video_id = self.memory.add_video(
                str(info.uri),
                width=info.width or 0,
                height=info.height or 0,
                has_audio=info.has_audio,
                channels=self.channels,
            )
            self._begin(video_id)
            looks = max(1, math.ceil(_LOOKS_PER_S / self.fps)) if self._glancing else 1
            items = opened.read(
                fps=self.fps * looks,
                sample_rate=_SAMPLE_RATE,
                start_s=start_s,
                end_s=end_s,
                max_side=_MAX_SIDE,
            )
            try:
                yield from self._follow(items, looks, on_frame, video_id, ear)
            finally:
                self._elapsed_s = time.perf_counter() - began
                self._warnings += opened.warnings
                if info.duration_s is not None:  # the last frame's period may reach past the end
                    self._media_ns = min(self._media_ns, int(info.duration_s * NS_PER_S))
                self.memory.set_watched(video_id, self._media_ns)

    async def awatch(self, source: str | Path | Source, **options: Any) -> AsyncIterator[Event]:
        """``watch`` for asyncio: the work runs in a thread, events arrive in order."""
        events = self.watch(source, **options)
        while (event := await asyncio.to_thread(next, events, None)) is not None:
            yield event

    def ask(self, question: str) -> Answer:
        """Answer from what has been watched so far; may be called from another thread while watching.

        With a model, its draft is used only when every time, number and label in it occurs in the rows it was
        shown; otherwise the structured answer stands (``calls`` says which).
        """
        began = time.perf_counter()
        with self._stages.measure("ask"):
            answer = self._answerer.answer(self.video_id, question)
            if self._follower is not None:
                answer = self._follower.improve(answer, self.memory, self.video_id)
        return replace(answer, latency_ms=(time.perf_counter() - began) * 1e3)

    async def aask(self, question: str) -> Answer:
        """``ask`` for asyncio."""
        return await asyncio.to_thread(self.ask, question)

    def stats(self) -> dict[str, Any]:
        """The ``stats`` line: counts, rates, memory and per-stage latencies of the last watch."""
        decoder = self._follower.stats() if self._follower is not None else {}
        return stats_json(
            frames=self._frames,
            media_s=self._media_ns / NS_PER_S,
            elapsed_s=self._elapsed_s,
            kv_tokens=int(decoder.pop("kv_tokens", 0)),
            stages=self._stages,
            text_stride=self._text_stride,
            warnings=self._warnings,
            **({"decoder": decoder} if decoder else {}),
        )

    def _load_follower(
        self, model: str | Path | LanguageModel | None, kv: KVConfig, store: ModelStore, threads: int
    ) -> Follower | None:
        if model is None:
            return None
        from edgevid.stream.follower import Follower

        return Follower.load(model, kv=kv, store=store, threads=threads, vocabulary=self._answerer.vocabulary)

    def _begin(self, video_id: int) -> None:
        self._video_id = video_id
        self._frames = 0
        self._media_ns = 0
        self._warnings = []
        if self._follower is not None:
            self._follower.begin()

    def _follow(
        self,
        items: Iterator[Frame | AudioChunk],
        looks: int,
        on_frame: Callable[[Frame], None] | None,
        video_id: int,
        ear: ThreadPoolExecutor,
    ) -> Iterator[Event]:
        """Glance at every frame, look at every ``looks``-th while the ear listens to the sound in between."""
        period_ns = int(NS_PER_S / self.fps)
        timeline = Timeline(self.memory, video_id)
        pace = AdaptiveStride(1 / self.fps)
        sound: list[AudioChunk] = []
        glimpses = 0
        for item in _timed(items, self._stages, "decode"):
            if isinstance(item, AudioChunk):
                sound.append(item)
                self._media_ns = max(self._media_ns, _end_ns(item))
                if _end_ns(item) - sound[0].pts_ns < 2 * period_ns:
                    continue  # a frame will come first, unless the source has no picture
                frame = None
            else:
                self._glance(item)
                glimpses += 1
                if (glimpses - 1) % looks:
                    continue
                frame = item
                self._media_ns = max(self._media_ns, frame.pts_ns + period_ns)
                if on_frame is not None:
                    on_frame(frame)
            yield from self._tick(frame, sound, timeline, pace, period_ns, ear)
            sound = []
        yield from self._tick(None, sound, timeline, pace, period_ns, ear, last=True)

    def _tick(
        self,
        frame: Frame | None,
        sound: list[AudioChunk],
        timeline: Timeline,
        pace: AdaptiveStride,
        period_ns: int,
        ear: ThreadPoolExecutor,
        *,
        last: bool = False,
    ) -> Iterator[Event]:
        began = time.perf_counter()
        heard: Future[list[Observation]] = ear.submit(self._hear, sound, last)
        seen: list[Observation] = []
        if frame is not None:
            self._frames += 1
            seen = self._see(frame, pace, period_ns)
            if self._follower is not None:
                with self._stages.measure("follow"):
                    self._follower.see(frame)
        glanced, self._glanced = self._glanced, []
        observations = sorted(glanced + seen + heard.result(), key=lambda o: o.span.start_ns)
        with self._stages.measure("remember"), self.memory.transaction():
            events = []
            for o in observations:
                gap_ns = period_ns * (self._text_stride if o.kind == "text" else 1)
                row_id = timeline.add(o, period_ns=gap_ns)
                if row_id is not None:
                    events.append(Event(row_id, o))
        if frame is not None:
            pace.record(time.perf_counter() - began)
            self._text_stride = pace.stride
        if self._follower is not None:
            self._follower.note(events)
        yield from events

    def _glance(self, frame: Frame) -> None:
        for channel in self._glancing:
            with self._stages.measure(channel.kind):
                self._glanced += channel.observe(frame, period_ns=0)

    def _see(self, frame: Frame, pace: AdaptiveStride, period_ns: int) -> list[Observation]:
        read_text = pace.due()
        seen: list[Observation] = []
        for channel in self._visual:
            if channel.kind == "text":
                if not read_text:
                    continue
                span_ns = period_ns * pace.stride
            else:
                span_ns = period_ns
            with self._stages.measure(channel.kind):
                seen += channel.observe(frame, period_ns=span_ns)
        return seen

    def _hear(self, sound: list[AudioChunk], last: bool) -> list[Observation]:
        heard: list[Observation] = []
        for channel in self._audio:
            with self._stages.measure(channel.kind):
                for chunk in sound:
                    heard += channel.push(chunk)
                if last:
                    heard += channel.flush()
        return heard


def _visual_channels(store: ModelStore, threads: int, kinds: tuple[Kind, ...]) -> Sequence[VisualChannel]:
    if not set(kinds) & {"object", "class", "text", "cut"}:
        return ()
    from edgevid.perception import vision

    return vision.default_channels(store, threads=threads, channels=kinds)


def _audio_channels(store: ModelStore, kinds: tuple[Kind, ...]) -> Sequence[AudioChannel]:
    """One thread each: the ear works beside the eye."""
    if not set(kinds) & {"speech", "sound"}:
        return ()
    from edgevid.perception import audio

    return audio.default_channels(store, threads=1, channels=kinds)


def _end_ns(chunk: AudioChunk) -> int:
    return chunk.pts_ns + len(chunk.samples) * NS_PER_S // chunk.sample_rate


def _timed(
    items: Iterator[Frame | AudioChunk], stages: StageTimes, stage: str
) -> Iterator[Frame | AudioChunk]:
    """Pass items on, recording how long each took to come."""
    while True:
        began = time.perf_counter()
        item = next(items, None)
        if item is None:
            return
        if isinstance(item, Frame):
            stages.record(stage, time.perf_counter() - began)
        yield item
