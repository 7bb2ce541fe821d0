"""A source of timestamped pictures and sound: the one way video comes into edgevid.

with open_source("clip.mp4") as source:
    for item in source.read(fps=1.0, max_side=512):
        ...  # Frame or AudioChunk, in order of time
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import chain
from types import TracebackType
from typing import TYPE_CHECKING

from edgevid.core.errors import LimitError, UsageError
from edgevid.core.limits import MediaLimits
from edgevid.core.nouns import NS_PER_S, AudioChunk, Frame
from edgevid.media.info import SourceInfo
from edgevid.media.passage import Passage, ReadPlan, ReadStats
from edgevid.media.reader import Reader, to_ns
from edgevid.media.sampler import FOREVER_NS

if TYPE_CHECKING:
    from edgevid.media.reader import Decoded

_SEEK_BACK_S = (0.0, 10.0, 60.0)
_SHORT_BY = 0.05

OpenReader = Callable[[bool], Reader]
"""Starts a new pass from the beginning; the argument is ``exact``."""


class Source:
    """An open source; use ``open_source`` to get one. A context manager.

    Each call of ``read``, ``frames`` or ``audio`` is a pass of its own from ``start_s`` on; passes may run
    at the same time in different threads. ``close`` may be called from any thread: running passes then end
    quietly.

    Attributes:
        info: facts from the headers and the first picture.
        warnings: one line per thing that is wrong with the source, complete after a pass has ended.
        stats: counts over all passes.
    """

    def __init__(
        self, info: SourceInfo, open_reader: OpenReader, *, limits: MediaLimits, warnings: list[str]
    ) -> None:
        self.info = info
        self.warnings = warnings
        self.stats = ReadStats()
        self._open_reader = open_reader
        self._limits = limits
        self._readers: list[Reader] = []
        self._lock = threading.Lock()
        self._closed = False

    def frames(
        self,
        *,
        fps: float | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
        max_side: int | None = None,
        exact: bool = True,
    ) -> Iterator[Frame]:
        """Pictures only; see ``read``. Empty when the source has no video."""
        items = self.read(fps=fps, start_s=start_s, end_s=end_s, max_side=max_side, exact=exact, audio=False)
        return (item for item in items if isinstance(item, Frame))

    def audio(
        self,
        *,
        sample_rate: int = 16000,
        chunk_s: float = 0.5,
        start_s: float = 0.0,
        end_s: float | None = None,
    ) -> Iterator[AudioChunk]:
        """Sound only; see ``read``. Empty when the source has no sound."""
        items = self.read(sample_rate=sample_rate, chunk_s=chunk_s, start_s=start_s, end_s=end_s, video=False)
        return (item for item in items if isinstance(item, AudioChunk))

    def read(
        self,
        *,
        fps: float | None = None,
        sample_rate: int = 16000,
        chunk_s: float = 0.5,
        start_s: float = 0.0,
        end_s: float | None = None,
        max_side: int | None = None,
        exact: bool = True,
        video: bool = True,
        audio: bool = True,
    ) -> Iterator[Frame | AudioChunk]:
        """Pictures and sound in order of time, in one pass over the source.

        Args:
            fps: pictures per second: at each tick ``start_s + k / fps`` the newest picture at or before it,
                with ``pts_ns`` the tick. None: every picture, with its own time.
            sample_rate: Hz of the mono sound.
            chunk_s: length of an ``AudioChunk``; the last one is shorter.
            start_s, end_s: the stretch of source time ``[start_s, end_s)``; 0 is the earliest picture or
                sample.
            max_side: scale so that the longer side is at most this many pixels (square pixels, never
                enlarged).
            exact: False lets the decoder skip pictures nothing else refers to, so a tick may get an older
                picture.
            video, audio: which tracks to deliver.

        Errors: UsageError for an argument out of range or a closed source; LimitError when the stretch is
        longer than allowed. Damage in the file is no error: it is counted in ``stats`` and told in
        ``warnings``.
        """
        plan = _check_plan(
            ReadPlan(
                video=video and self.info.has_video,
                audio=audio and self.info.has_audio,
                fps=fps,
                max_side=max_side,
                sample_rate=sample_rate,
                chunk_s=chunk_s,
                start_ns=round(start_s * NS_PER_S),
                end_ns=FOREVER_NS if end_s is None else round(end_s * NS_PER_S),
                exact=exact,
            )
        )
        if self._closed:
            raise UsageError(f"{self.info.uri}: the source is closed", fix="open it again")
        self._check_duration(plan)
        return self._pass(plan)

    def close(self) -> None:
        """End all running passes and free what they hold. May be called twice, and from any thread."""
        with self._lock:
            self._closed = True
            readers, self._readers = self._readers, []
        for reader in readers:
            reader.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _pass(self, plan: ReadPlan) -> Iterator[Frame | AudioChunk]:
        if not (plan.video or plan.audio):
            return
        reader = self._new_reader(plan)
        try:
            decoded, reader = self._start(reader, plan)
            passage = Passage(
                info=self.info,
                plan=plan,
                base_ns=reader.start_ns,
                max_duration_ns=round(self._limits.max_duration_s * NS_PER_S),
                stats=self.stats,
            )
            yield from passage.items(decoded)
            self._report(reader, plan, passage)
        finally:
            self._drop_reader(reader)

    def _new_reader(self, plan: ReadPlan) -> Reader:
        reader = self._open_reader(plan.exact)
        with self._lock:
            if not self._closed:
                self._readers.append(reader)
                return reader
        reader.close()
        return reader

    def _drop_reader(self, reader: Reader) -> None:
        with self._lock:
            if reader in self._readers:
                self._readers.remove(reader)
        reader.close()

    def _start(self, reader: Reader, plan: ReadPlan) -> tuple[Iterator[Decoded], Reader]:
        """Decoded frames from a point at or before the start of ``plan``, and the reader they come from."""
        if plan.start_ns:
            for back_s in _SEEK_BACK_S:
                if not reader.seek(max(0, plan.start_ns - round(back_s * NS_PER_S))):
                    break
                decoded = reader.decode(video=plan.video, audio=plan.audio)
                head = _until_main_track(decoded, plan)
                first_ns = to_ns(head[-1].pts, head[-1].time_base) if head else None
                if first_ns is not None and first_ns - reader.start_ns <= plan.start_ns:
                    return chain(head, decoded), reader
            # Many formats seek badly or not at all; from the beginning it is slow but right.
            self._drop_reader(reader)
            reader = self._new_reader(plan)
        return reader.decode(video=plan.video, audio=plan.audio), reader

    def _check_duration(self, plan: ReadPlan) -> None:
        length_s, limit_s = self.info.duration_s, self._limits.max_duration_s
        if length_s is not None and min(length_s, plan.end_ns / NS_PER_S) > limit_s:
            raise LimitError(
                f"{self.info.uri}: {length_s:.0f} s long, over the limit of {limit_s:g} s",
                fix="set end_s or raise max_duration_s",
            )

    def _report(self, reader: Reader, plan: ReadPlan, passage: Passage) -> None:
        self.stats.damaged += reader.report.damaged
        if reader.report.stopped:
            self._warn(f"reading stopped early: {reader.report.stopped}")
        if self.stats.damaged:
            self._warn("some parts are damaged and were skipped")
        end_s = max(passage.video_clock.next_ns, passage.audio_clock.next_ns) / NS_PER_S
        length_s = self.info.duration_s
        all_tracks = plan.video == self.info.has_video and plan.audio == self.info.has_audio
        if self._closed or not all_tracks or length_s is None or plan.end_ns != FOREVER_NS:
            return
        if end_s < length_s * (1 - _SHORT_BY) - 0.5:
            self._warn(
                f"ends at {end_s:.1f} s, not {length_s:.1f} s as its header says: cut off or mislabelled"
            )

    def _warn(self, text: str) -> None:
        line = f"{self.info.uri}: {text}"
        if line not in self.warnings:
            self.warnings.append(line)


def _until_main_track(decoded: Iterator[Decoded], plan: ReadPlan) -> list[Decoded]:
    """Frames up to and including the first one of the track that decides whether a seek went far enough
    back.
    """
    from av.video.frame import VideoFrame

    head: list[Decoded] = []
    for frame in decoded:
        head.append(frame)
        if isinstance(frame, VideoFrame) == plan.video:
            return head
    return []


def _check_plan(plan: ReadPlan) -> ReadPlan:
    for name, value, low, high in (
        ("fps", plan.fps, 1e-4, 1000.0),
        ("max_side", plan.max_side, 1, 1 << 16),
        ("sample_rate", plan.sample_rate, 1000, 384_000),
        ("chunk_s", plan.chunk_s, 0.001, 3600.0),
    ):
        if value is not None and not low <= value <= high:
            raise UsageError(
                f"{name}={value:g} is out of range", fix=f"choose {name} from {low:g} to {high:g}"
            )
    if not 0 <= plan.start_ns <= plan.end_ns:
        raise UsageError("start_s must not be negative nor after end_s", fix="give start_s < end_s")
    return plan
