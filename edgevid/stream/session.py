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
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from edgevid.core.errors import BadInputError, UsageError
from edgevid.core.kv_config import KVConfig
from edgevid.core.limits import MediaLimits
from edgevid.core.nouns import NS_PER_S, Answer, Frame, Kind
from edgevid.media.uri import printable
from edgevid.memory.memory import Memory
from edgevid.runtime import CpuBudget
from edgevid.stream import channels as chosen
from edgevid.stream.events import Event
from edgevid.stream.kv_session import beside, kv_file
from edgevid.stream.source_watch import SourceWatch
from edgevid.stream.stats import StageTimes, channels_json, stats_json
from edgevid.stream.watcher import Watcher

if TYPE_CHECKING:
    from edgevid.media.info import SourceInfo
    from edgevid.media.source import Source
    from edgevid.models.llm import LanguageModel
    from edgevid.models.store import ModelStore
    from edgevid.runtime.trace import Trace
    from edgevid.stream.follower import Follower
    from edgevid.stream.senses import OnSeen

_LOOKS_PER_S = 8.0  # cuts are told from motion by looking this often, whatever the sampling rate


class StreamSession:
    """Follows videos and streams; one at a time, any number one after the other.

    Several sessions may run at once, each in a thread of its own, with one memory and one budget; while one
    watches, ``ask``, ``stats`` and ``stop`` may be called from any thread.

    Args:
        model: None (no decoder runs), "demo", a path to a GGUF file or to the Hugging Face folder of a video
            language model, or a loaded ``LanguageModel``.
        mmproj: the vision half of a GGUF file; without it, a GGUF file sees through the label connector.
        kv: bounds of the decoder's KV cache; with a session file, the decoder goes on where that ends.
        memory: where rows are kept; None keeps them in RAM. The caller closes a memory it passes.
        channels: kinds to watch for, each of which needs its model pack; None = all that can be had here.
        fps: frames looked at per second of video.
        threads: CPU threads for all of perception and decoding; 0 = all cores.
        store: model packs; None = the user's cache.
        budget: cores shared with other sessions; None = a budget of ``threads`` for this one alone.
        label: the user's name for the source, for its events and its row in memory.
        trace: how many of the newest steps of the pipeline to keep for ``trace.save``; 0 = none.

    Raises:
        MissingPartError: a channel's model pack is not installed.
        UsageError: an option is out of range.
    """

    def __init__(
        self,
        model: str | Path | LanguageModel | None = None,
        *,
        mmproj: str | Path | None = None,
        kv: KVConfig | None = None,
        memory: Memory | None = None,
        channels: Iterable[Kind] | None = None,
        fps: float = 2.0,
        threads: int = 0,
        store: ModelStore | None = None,
        budget: CpuBudget | None = None,
        label: str | None = None,
        trace: int = 0,
    ) -> None:
        from edgevid.models.store import ModelStore
        from edgevid.stream.answer.answerer import Answerer

        if not 0 < fps <= 240:
            raise UsageError(f"fps is {fps}", fix="choose a rate above 0, at most 240")
        self.fps = fps
        self.label = label
        self._budget = budget or CpuBudget(cores=threads or None)
        threads = self._budget.threads("soft", threads)
        store = store or ModelStore()
        self.channels, self._left_out = chosen.choose(store, channels)
        visual = chosen.visual(store, threads, self.channels)
        self._glancing = tuple(channel for channel in visual if channel.kind == "cut")
        self._looking = tuple(channel for channel in visual if channel.kind != "cut")
        self._listening = chosen.audio(store, self.channels)
        self.memory = memory or Memory()
        self._owns_memory = memory is None
        self._answerer = Answerer(self.memory, store=store)
        self._follower: Follower | None = None
        if model is not None:
            from edgevid.stream.follower import Follower

            self._follower = Follower.load(
                model,
                mmproj=mmproj,
                kv=kv or KVConfig(),
                store=store,
                threads=threads,
                vocabulary=self._answerer.vocabulary,
            )
        self._threads = threads
        self._trace = trace
        self._stages = StageTimes()
        self._newest: SourceWatch | None = None
        self._begun: SourceWatch | None = None  # the newest whose source could be opened
        self._video_id: int | None = None

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

    @classmethod
    def resume(cls, path: str | Path, **options: Any) -> StreamSession:
        """Open a timeline that ``save`` or ``edgevid watch --save`` wrote, to ask about its newest video.

        Further watching adds to the same file. ``options`` are those of the constructor. With a ``model`` the
        decoder goes on from what is beside the timeline (``PATH.kv``), and keeps that file from now on; a
        loaded one brings its own ``KVConfig``.

        Raises:
            BadInputError: no such file, not a memory file, or no video in it; the decoder's file is of
                another model or other settings, or in use.
        """
        if not Path(path).is_file():
            raise BadInputError(f"no session file '{path}'", fix="check the path")
        if options.get("model") is not None:
            options["kv"] = beside(Path(path), options.get("kv"))
        session = cls(memory=Memory(path), **options)
        session._owns_memory = True
        videos = session.memory.videos()
        if not videos:
            session.close()
            raise BadInputError(f"'{path}' holds no video", fix="watch one with --save")
        session._video_id = videos[-1].id
        if session._follower is not None:
            try:
                session._follower.begin(session.memory, session.video_id)
            except BaseException:
                session.close()
                raise
        return session

    def save(self, path: str | Path) -> None:
        """Write the whole timeline to a file, atomically; an existing file is replaced.

        What the decoder has seen goes beside it, to ``PATH.kv``.
        """
        if Path(path).resolve() != Path(self.memory.path).resolve():
            self.memory.copy_to(path)
        if self._follower is not None:
            self._follower.save(kv_file(Path(path)))

    @property
    def watched(self) -> bool:
        """Whether there is a video to ask about."""
        return self._video_id is not None

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
        live: bool = False,
        on_frame: Callable[[Frame], None] | None = None,
        on_seen: OnSeen | None = None,
    ) -> Generator[Event, None, None]:
        """Watch ``source`` to its end; yields an event as each new row of the timeline begins.

        Leaving the loop early (``break``, an exception, Ctrl-C) keeps every row recorded so far. The work is
        done by a pipeline of threads (watcher.py); the callbacks run in them.

        Args:
            source: a path or URI, or an open source, which is closed at the end.
            limits: what the source may cost.
            start_s, end_s: part of the source to watch.
            live: the newest frame wins; what cannot be looked at in time is dropped and counted. A source
                that is live itself is always watched so.
            on_frame: is shown every frame that is to be looked at (pictures to keep, a preview).
            on_seen: is told what was seen in each frame that was looked at.

        Raises:
            BadInputError: the source cannot be opened or nothing in it decodes.
        """
        looks = max(1, math.ceil(_LOOKS_PER_S / self.fps)) if self._glancing else 1

        def begin(info: SourceInfo, live: bool) -> Watcher:
            self._begun = watch
            return self._begin(info, looks, live=live, end_s=end_s, on_frame=on_frame, on_seen=on_seen)

        watch = self._newest = SourceWatch(
            source,
            begin,
            limits=limits or MediaLimits(),
            fps=self.fps * looks,
            start_s=start_s,
            end_s=end_s,
            live=live,
        )
        return self._follow(watch)

    def _follow(self, watch: SourceWatch) -> Generator[Event, None, None]:
        try:
            yield from watch.run()
        finally:
            if watch.watcher is not None:
                self.memory.set_watched(self.video_id, watch.watcher.media_ns)
                if self._follower is not None:
                    self._follower.checkpoint()

    def stop(self) -> None:
        """End the newest ``watch``, begun or not, as if its source had ended; from any thread."""
        if self._newest is not None:
            self._newest.stop()

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
                answer = self._follower.improve(answer, self.memory)
        return replace(answer, latency_ms=(time.perf_counter() - began) * 1e3)

    async def aask(self, question: str) -> Answer:
        """``ask`` for asyncio."""
        return await asyncio.to_thread(self.ask, question)

    @property
    def trace(self) -> Trace | None:
        """What ran when in the last watch, when the constructor was told to keep a trace."""
        watcher = self._begun.watcher if self._begun is not None else None
        return watcher.pipeline.trace if watcher is not None and self._trace else None

    def stage_histograms(self) -> dict[str, tuple[tuple[int, ...], float]]:
        """Run times of each stage over the session's life (``stats.BOUNDS_MS``), for metrics that add up."""
        return self._stages.histograms()

    def stats(self) -> dict[str, Any]:
        """The ``stats`` line: counts, rates, memory, per-stage latencies and queues of the last watch."""
        decoder = self._follower.stats() if self._follower is not None else {}
        begun = self._begun
        watcher = begun.watcher if begun is not None else None
        read = begun.read if begun is not None else None
        quality = watcher.quality if watcher is not None else None
        return stats_json(
            frames=watcher.frames if watcher else 0,
            media_s=watcher.media_ns / NS_PER_S if watcher else 0.0,
            elapsed_s=begun.elapsed_s if begun is not None else 0.0,
            kv_tokens=int(decoder.pop("kv_tokens", 0)),
            stages=self._stages,
            text_stride=watcher.text_stride if watcher else 1,
            warnings=[*self._left_out, *(begun.warnings if begun is not None else ())],
            channels=channels_json(watcher.pipeline.metrics()) if watcher else {},
            **({"source": self.label} if self.label else {}),
            **({"quality": asdict(quality.now)} if quality is not None else {}),
            **({"live": asdict(read.live)} if read is not None and read.live is not None else {}),
            **({"decoder": decoder} if decoder else {}),
        )

    def _begin(
        self,
        info: SourceInfo,
        looks: int,
        *,
        live: bool,
        end_s: float | None,
        on_frame: Callable[[Frame], None] | None,
        on_seen: OnSeen | None,
    ) -> Watcher:
        """Start a video in memory and, with a model, an empty past."""
        self._video_id = self.memory.add_video(
            printable(info.uri),
            width=info.width,
            height=info.height,
            has_audio=info.has_audio,
            channels=self.channels,
            label=None if self.label is None else printable(self.label),
        )
        for channel in (*self._glancing, *self._looking):
            channel.reset()
        if self._follower is not None:
            self._follower.begin(self.memory, self._video_id)
        return Watcher(
            self.memory,
            self._video_id,
            fps=self.fps,
            looks=looks,
            glancing=self._glancing,
            looking=self._looking,
            listening=self._listening if info.has_audio else (),
            follower=self._follower,
            stages=self._stages,
            budget=self._budget,
            eye_threads=self._threads,
            duration_s=info.duration_s,
            end_s=end_s,
            live=live,
            label=self.label,
            on_frame=on_frame,
            on_seen=on_seen,
            trace=self._trace,
        )
