"""Keeping up with the clock: how often an expensive channel may look."""

from __future__ import annotations

from collections import deque

_WINDOW = 8  # frames averaged before the stride may change; a multiple of every stride
_MAX_STRIDE = 8


class AdaptiveStride:
    """Lets a channel look at every ``stride``-th frame, so that all work on a frame fits its period.

    The stride doubles when the mean cost of the last frames exceeds ``high`` of the period, and halves when
    it would stay below ``low`` even if the channel ran twice as often.

    Args:
        period_s: time between two sampled frames.
        high, low: shares of the period; the gap between them keeps the stride from swinging.
    """

    def __init__(self, period_s: float, *, high: float = 0.8, low: float = 0.35) -> None:
        self.stride = 1
        self._period_s = period_s
        self._high = high
        self._low = low
        self._costs: deque[float] = deque(maxlen=_WINDOW)
        self._frame = 0

    def due(self) -> bool:
        """Whether the channel looks at the frame that comes now; call once per frame."""
        due = self._frame % self.stride == 0
        self._frame += 1
        return due

    def record(self, cost_s: float) -> None:
        """Tell what all work on the last frame cost."""
        self._costs.append(cost_s)
        if len(self._costs) < _WINDOW:
            return
        share = sum(self._costs) / _WINDOW / self._period_s
        if share > self._high and self.stride < _MAX_STRIDE:
            self.stride *= 2
            self._costs.clear()
        elif share < self._low and self.stride > 1:
            self.stride //= 2
            self._costs.clear()
