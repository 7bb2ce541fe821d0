"""Shot cuts between sampled frames, without a model."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from edgevid.core.nouns import Frame, Kind, Observation, TimeSpan
from edgevid.perception.scaling import resize

_SIDE = 64
_CELLS = 4  # the picture is compared in 4 x 4 cells, so that a moving object changes few of them
_BINS = 8
_HISTORY = 8


class CutsChannel:
    """Says when the picture is another scene.

    Two signs are combined, both in [0, 1]: how much the colour histograms of 4 x 4 cells differ (the median
    over cells: motion changes some cells, a cut changes most), and how little the fine structure of the two
    pictures agrees (1 - correlation of their edges). Their product must pass ``floor`` and stand out of the
    last frames by ``factor``: a shaking camera raises its own threshold.
    """

    kind: Kind = "cut"
    model_id = "cut-histogram"

    def __init__(self, *, floor: float = 0.25, factor: float = 2.0) -> None:
        self._floor = floor
        self._factor = factor
        self._before: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None = None
        self._usual: deque[float] = deque(maxlen=_HISTORY)

    def observe(self, frame: Frame, *, period_ns: int) -> list[Observation]:
        """One observation at ``frame.pts_ns`` when a new scene begins with this frame."""
        del period_ns  # a cut is a point in time
        now = _describe(frame.image)
        before, self._before = self._before, now
        if before is None:
            return []
        change = difference(before, now)
        usual = float(np.median(self._usual)) if self._usual else 0.0
        is_cut = change >= max(self._floor, self._factor * usual)
        self._usual.append(min(change, self._floor) if is_cut else change)
        if not is_cut:
            return []
        span = TimeSpan(frame.pts_ns, frame.pts_ns)
        return [
            Observation("cut", "cut", span, min(change, 1.0), model_id=self.model_id, wall_ns=frame.wall_ns)
        ]


def difference(
    a: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
    b: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
) -> float:
    """0 for equal pictures, towards 1 for unrelated ones."""
    histograms = np.median(np.abs(a[0] - b[0]).sum(axis=1) / 2)
    norm = float(np.linalg.norm(a[1]) * np.linalg.norm(b[1]))
    agreement = float((a[1] * b[1]).sum()) / norm if norm > 1e-6 else 0.0
    return float(np.sqrt(histograms * (1.0 - max(agreement, 0.0))))


def _describe(image: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Cell histograms [16, 24] (each channel's bins sum to 1/3) and blurred edges [63, 63]."""
    small = resize(image, _SIDE, _SIDE)
    step = _SIDE // _CELLS
    cells = small.reshape(_CELLS, step, _CELLS, step, 3).transpose(0, 2, 4, 1, 3).reshape(_CELLS**2, 3, -1)
    bins = (cells // (256 // _BINS)).astype(np.int64)
    histograms = np.stack([(bins == b).mean(axis=2) for b in range(_BINS)], axis=2)
    luma = small.astype(np.float32).mean(axis=2)
    edges = np.abs(np.diff(luma, axis=0)[:, :-1]) + np.abs(np.diff(luma, axis=1)[:-1])
    return histograms.reshape(_CELLS**2, -1).astype(np.float32) / 3, edges - edges.mean()
