"""One watch of one source: opened, followed to its end or stopped, and closed; and what that took."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid.core.limits import MediaLimits
from edgevid.stream.events import Event
from edgevid.stream.watcher import Watcher

if TYPE_CHECKING:
    from edgevid.media.info import SourceInfo
    from edgevid.media.passage import ReadStats
    from edgevid.media.source import Source

_SAMPLE_RATE = 16_000  # what every audio channel listens at
_CHUNK_S, _LIVE_CHUNK_S = 0.5, 0.2  # sound comes in pieces of this; live it must not come late
_MAX_SIDE = 960  # pixels; the finest channel (screen text) reads no more


class SourceWatch:
    """Runs once. ``stop`` and the properties may be used from any thread, at any time.

    Args:
        source: a path or URI, or an open source; closed at the end.
        begin: makes the watcher of the open source; is told whether it is watched live.
        limits: what the source may cost.
        fps: frames read per second.
        start_s, end_s: part of the source to watch.
        live: see ``StreamSession.watch``.

    Attributes:
        watcher: who follows the source; None before it is open.
    """

    def __init__(
        self,
        source: str | Path | Source,
        begin: Callable[[SourceInfo, bool], Watcher],
        *,
        limits: MediaLimits,
        fps: float,
        start_s: float,
        end_s: float | None,
        live: bool,
    ) -> None:
        self.watcher: Watcher | None = None
        self._source = source
        self._begin = begin
        self._limits = limits
        self._fps = fps
        self._start_s = start_s
        self._end_s = end_s
        self._live = live
        self._opened: Source | None = None
        self._stopping = False
        self._began_s: float | None = None
        self._ended_s: float | None = None

    @property
    def elapsed_s(self) -> float:
        """Wall time it has taken so far, or took in all."""
        if self._began_s is None:
            return 0.0
        return (time.perf_counter() if self._ended_s is None else self._ended_s) - self._began_s

    @property
    def read(self) -> ReadStats | None:
        """What reading the source was like; None before it is open."""
        return self._opened.stats if self._opened is not None else None

    @property
    def warnings(self) -> list[str]:
        """What the source told of itself."""
        return list(self._opened.warnings) if self._opened is not None else []

    def run(self) -> Generator[Event, None, None]:
        """Each row of the timeline as it begins."""
        self._began_s = time.perf_counter()
        try:
            with self._open() as opened:
                self._opened = opened
                if self._stopping:  # while it was opened
                    return
                live = self._live or opened.info.live
                items = opened.read(
                    fps=self._fps,
                    sample_rate=_SAMPLE_RATE,
                    start_s=self._start_s,
                    end_s=self._end_s,
                    max_side=_MAX_SIDE,
                    chunk_s=_LIVE_CHUNK_S if live else _CHUNK_S,
                )
                self.watcher = self._begin(self._part(opened.info), live)
                yield from self.watcher.follow(items, interrupt=opened.close)
        finally:
            self._ended_s = time.perf_counter()

    def stop(self) -> None:
        """End it, begun or not, as if its source had ended."""
        self._stopping = True
        if self._opened is not None:
            self._opened.close()

    def _part(self, info: SourceInfo) -> SourceInfo:
        """The source as if it ended where the watch does."""
        if self._end_s is None or info.live:
            return info
        return replace(info, duration_s=min(self._end_s, info.duration_s or self._end_s))

    def _open(self) -> Source:
        if not isinstance(self._source, str | Path):
            return self._source
        from edgevid.media.source import open_source

        return open_source(self._source, limits=self._limits)
