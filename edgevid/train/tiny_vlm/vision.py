"""Frames to rows: what the model sees of one second, in numpy; the torch network trains the same arrays.

::

    row[c] = W2 gelu(W1 pixels(c) + b1) + place[c] + time        c = 0..8, the cells row by row
    row[9] = mean over c of W2 gelu(...) + place[9] + time    the whole frame, last: it sees its cells
    time   = hundreds[h] + tens[t] + ones[o]                   of the frame's second
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from edgevid.train.tiny_vlm.world import CELL, CELLS, Floats, Ints

ROWS = CELLS + 1
PIXELS = (CELL // 2) ** 2 * 3
MAX_SECOND = 999


@dataclass(frozen=True, slots=True)
class Vision:
    """The encoder's weights, float32.

    Attributes:
        w1, b1, w2: [inner, PIXELS], [inner], [hidden, inner].
        place: [ROWS, hidden].
        hundreds, tens, ones: [10, hidden].
    """

    w1: Floats
    b1: Floats
    w2: Floats
    place: Floats
    hundreds: Floats
    tens: Floats
    ones: Floats

    def rows(self, cells: Floats, seconds: Ints) -> Floats:
        """float32 [F, ROWS, hidden] of ``cells`` [F, CELLS, CELL, CELL, 3] in [0, 1]."""
        inner = pixels(cells) @ self.w1.T + self.b1
        seen = _gelu(inner) @ self.w2.T
        rows = np.concatenate([seen, seen.mean(axis=1, keepdims=True)], axis=1) + self.place
        time = self.hundreds[seconds // 100] + self.tens[seconds // 10 % 10] + self.ones[seconds % 10]
        return (rows + time[:, None]).astype(np.float32)

    def save(self, path: str | Path) -> None:
        """One ``.npz``."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: str | Path) -> Vision:
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})


def pixels(cells: Floats) -> Floats:
    """Cells at half size, centred on 0: float32 [..., PIXELS]."""
    half = CELL // 2
    pooled = cells.reshape(*cells.shape[:-3], half, 2, half, 2, 3).mean(axis=(-4, -2))
    return np.asarray(pooled.reshape(*cells.shape[:-3], PIXELS) - 0.5, np.float32)


def _gelu(x: Floats) -> Floats:
    """The tanh form (Hendrycks and Gimpel, arXiv 1606.08415)."""
    return np.asarray(0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3))), np.float32)
