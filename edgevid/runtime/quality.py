"""Adaptive quality: fewer and smaller frames while a device is too busy, more again when it is not.

The load of a stage is the share of time it works or waits for cores, over windows of a second. Above ``HIGH``
for ``down_after_s`` the quality steps down. It steps up when, by the costs of both levels, the load would be
below ``LOW`` there, for ``up_after_s``; each step up that had to be taken back soon doubles that time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from edgevid.runtime.message import now_ns


class _Timed(Protocol):
    @property
    def pts_ns(self) -> int: ...


T = TypeVar("T", bound=_Timed)

HIGH, LOW = 0.9, 0.7
_WINDOW_NS = 1_000_000_000
_SOON = 3  # a step up that lasts less than so many times ``up_after_s`` was wrong
_MOST_PATIENCE = 16  # times ``up_after_s``


@dataclass(frozen=True, slots=True)
class Quality:
    """Frames per second, and their height in pixels (None: as they come)."""

    fps: float
    height: int | None = None


class AdaptiveQuality:
    """Chooses among ``levels``, best first. Thread-safe.

    Give it to the stages whose load counts (``Pipeline.stage(quality=...)``), draw the source through
    ``paced``, and scale to ``now.height``.
    """

    def __init__(
        self, levels: Sequence[Quality], *, down_after_s: float = 2.0, up_after_s: float = 10.0
    ) -> None:
        if not levels:
            raise ValueError("levels is empty")
        if len({level.height is None for level in levels}) > 1:
            raise ValueError("either all levels have a height or none has")
        self._levels = tuple(levels)
        self._down_ns, self._up_ns = int(down_after_s * 1e9), int(up_after_s * 1e9)
        self._lock = threading.Lock()
        self._level = 0
        self._windows: dict[str, tuple[int, int]] = {}  # stage -> begin, time spent since
        self._loads: dict[str, float] = {}
        self._since_ns: int | None = None  # how long the load has been too high or low enough
        self._rising = False
        self._stepped_up_ns: int | None = None
        self._patience = 1

    @property
    def now(self) -> Quality:
        """The quality to work at."""
        return self._levels[self._level]

    def paced(self, frames: Iterable[T]) -> Iterator[T]:
        """Those of ``frames`` (by their ``pts_ns``) that the frame rate of the moment leaves."""
        next_ns: int | None = None
        for frame in frames:
            period_ns = int(1e9 / self.now.fps)
            if next_ns is None or frame.pts_ns >= next_ns - period_ns // 10:  # sources jitter
                behind = next_ns is None or frame.pts_ns - next_ns >= period_ns
                next_ns = (frame.pts_ns if behind or next_ns is None else next_ns) + period_ns
                yield frame

    def observe(self, stage: str, spent_ns: int, at_ns: int | None = None) -> None:
        """``stage`` has worked, or waited for cores, for ``spent_ns`` until now."""
        at_ns = now_ns() if at_ns is None else at_ns
        with self._lock:
            began_ns, so_far_ns = self._windows.get(stage, (at_ns - spent_ns, 0))
            self._windows[stage] = (began_ns, so_far_ns + spent_ns)
            if at_ns - began_ns >= _WINDOW_NS:
                self._loads[stage] = (so_far_ns + spent_ns) / (at_ns - began_ns)
                self._windows[stage] = (at_ns, 0)
                self._decide(max(self._loads.values()), at_ns)

    def _decide(self, load: float, at_ns: int) -> None:
        can_rise = self._level > 0 and load * self._cost(self._level - 1) / self._cost(self._level) < LOW
        can_fall = self._level + 1 < len(self._levels) and load > HIGH
        if not (can_rise or can_fall):
            self._since_ns = None
        elif self._since_ns is None or self._rising != can_rise:
            self._since_ns, self._rising = at_ns, can_rise
        elif at_ns - self._since_ns >= (self._patience * self._up_ns if can_rise else self._down_ns):
            self._step(-1 if can_rise else 1, at_ns)

    def _step(self, by: int, at_ns: int) -> None:
        lasted_ns = None if self._stepped_up_ns is None else at_ns - self._stepped_up_ns
        if by < 0:
            self._stepped_up_ns = at_ns
        elif lasted_ns is not None:
            was_wrong = lasted_ns < _SOON * self._up_ns
            self._patience = min(2 * self._patience, _MOST_PATIENCE) if was_wrong else 1
            self._stepped_up_ns = None
        self._level += by
        self._since_ns = None
        self._windows.clear()
        self._loads.clear()

    def _cost(self, level: int) -> float:
        quality = self._levels[level]
        return quality.fps * (quality.height or 1) ** 2
