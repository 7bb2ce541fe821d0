"""Shot cuts, without a model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevid.core.nouns import Frame, Kind, Observation, TimeSpan
from edgevid.perception.scaling import resize

_SIDE = 64
_CELLS = 4  # the picture is compared in 4 x 4 cells, so that a moving object changes few of them
_BINS = 8
_FAINT = 3.0  # RMS of edges below which a picture is nearly blank; real scenes have 7 to 35

Look = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Colour histograms of the cells, and edges."""


class CutsChannel:
    """Says when the picture is another scene; made to look several times a second.

    Between two looks, ``difference`` combines how much the colours of 4 x 4 cells changed (the median over
    cells: motion changes some cells, a cut changes most) and how little the edges agree. A cut is a change
    of at least ``floor`` that is ``factor`` times larger than the changes just before and just after it: a
    shaking camera or a flash changes the picture several times in a row. So a cut is reported one look late,
    with its own time.
    """

    kind: Kind = "cut"
    model_id = "cut-histogram"

    def __init__(self, *, floor: float = 0.55, factor: float = 1.3) -> None:
        self._floor = floor
        self._factor = factor
        self._index: int | None = None
        self._look: Look | None = None
        self._before = 0.0
        self._pending: tuple[float, Frame] | None = None

    def reset(self) -> None:
        """See ``VisualChannel``."""
        self._index, self._look, self._before, self._pending = None, None, 0.0, None

    def observe(self, frame: Frame, *, period_ns: int) -> list[Observation]:
        """At most one observation, at the time of the frame that began the new scene."""
        del period_ns  # a cut is a point in time
        if frame.index == self._index:
            return []  # the same picture, sampled again
        look = _describe(frame.image)
        change = difference(self._look, look) if self._look is not None else 0.0
        found = self._judge(change)
        if self._look is not None:
            self._before = self._pending[0] if self._pending is not None else 0.0
            self._pending = (change, frame)
        self._index, self._look = frame.index, look
        return found

    def _judge(self, after: float) -> list[Observation]:
        """Decide about the pending change, now that the one after it is known."""
        if self._pending is None:
            return []
        change, frame = self._pending
        if change < self._floor or change < self._factor * max(self._before, after):
            return []
        span = TimeSpan(frame.pts_ns, frame.pts_ns)
        return [Observation("cut", "cut", span, change, model_id=self.model_id, wall_ns=frame.wall_ns)]


def difference(a: Look, b: Look) -> float:
    """0 for equal pictures, towards 1 for unrelated ones; less between nearly blank ones, so that the dark
    end of a fade is no cut."""
    histograms = np.median(np.abs(a[0] - b[0]).sum(axis=1) / 2)
    rms = [float(np.sqrt(np.mean(edges**2))) for edges in (a[1], b[1])]
    norm = rms[0] * rms[1]
    agreement = float(np.mean(a[1] * b[1])) / norm if norm > 1e-9 else 0.0
    return float(np.sqrt(histograms * (1.0 - max(agreement, 0.0))) * min(1.0, max(rms) / _FAINT))


def _describe(image: npt.NDArray[np.uint8]) -> Look:
    """Cell histograms [16, 24] (each channel's bins sum to 1/3) and blurred edges [63, 63]."""
    small = resize(image, _SIDE, _SIDE)
    step = _SIDE // _CELLS
    cells = small.reshape(_CELLS, step, _CELLS, step, 3).transpose(0, 2, 4, 1, 3).reshape(_CELLS**2, 3, -1)
    bins = (cells // (256 // _BINS)).astype(np.int64)
    histograms = np.stack([(bins == b).mean(axis=2) for b in range(_BINS)], axis=2)
    luma = small.astype(np.float32).mean(axis=2)
    edges = np.abs(np.diff(luma, axis=0)[:, :-1]) + np.abs(np.diff(luma, axis=1)[:-1])
    spread: npt.NDArray[np.float32] = (histograms.reshape(_CELLS**2, -1) / 3).astype(np.float32)
    return spread, (edges - edges.mean()).astype(np.float32)
