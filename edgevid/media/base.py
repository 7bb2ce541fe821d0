"""What every source of timestamped pictures and sound offers, whatever it reads from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType

from edgevid.core.errors import LimitError, UsageError
from edgevid.core.limits import MediaLimits
from edgevid.core.nouns import NS_PER_S, AudioChunk, Frame
from edgevid.media.info import SourceInfo
from edgevid.media.passage import ReadPlan, ReadStats
from edgevid.media.sampler import FOREVER_NS


class Source(ABC):
    """An open source; use ``open_source`` to get one. A context manager.

    Each call of ``read``, ``frames`` or ``audio`` is a pass of its own from ``start_s`` on; passes may run
    at the same time in different threads. ``close`` may be called from any thread: running passes then end
    quietly.

    Attributes:
        info: facts from the headers and the first picture.
        warnings: one line per thing that is wrong with the source, complete after a pass has ended.
        stats: counts over all passes.
    """

    def __init__(self, info: SourceInfo, *, limits: MediaLimits, warnings: list[str]) -> None:
        self.info = info
        self.warnings = warnings
        self.stats = ReadStats()
        self._limits = limits
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
        for name, seconds in (("start_s", start_s), ("end_s", end_s)):
            if seconds is not None and not 0 <= seconds <= FOREVER_NS / NS_PER_S:
                raise UsageError(f"{name} is {seconds:g}", fix="choose a number of seconds, 0 or more")
        plan = ReadPlan(
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
        if self._closed:
            raise UsageError(f"{self.info.uri}: the source is closed", fix="open it again")
        self._check_duration(plan)
        return self._pass(plan)

    @abstractmethod
    def close(self) -> None:
        """End all running passes and free what they hold. May be called twice, and from any thread."""

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _pass(self, plan: ReadPlan) -> Iterator[Frame | AudioChunk]:
        """Deliver what ``plan`` asks for."""

    def _check_duration(self, plan: ReadPlan) -> None:
        length_s, limit_s = self.info.duration_s, self._limits.max_duration_s
        if length_s is not None and min(length_s, plan.end_ns / NS_PER_S) > limit_s:
            raise LimitError(
                f"{self.info.uri}: {length_s:.0f} s long, over the limit of {limit_s:g} s",
                fix="set end_s or raise max_duration_s",
            )

    def _warn(self, text: str) -> None:
        line = f"{self.info.uri}: {text}"
        if line not in self.warnings:
            self.warnings.append(line)
