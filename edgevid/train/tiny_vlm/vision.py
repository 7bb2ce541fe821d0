"""Frames to rows: what the model sees of one second, in numpy; the torch network trains the same arrays.

::

    row[c] = W2 gelu(W1 pixels(c) + b1) + place[c] + time[t]        c = 0..8, the cells row by row
    row[9] = mean over c of W2 gelu(...) + place[9] + time[t]       the whole frame, last: it sees its cells
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from edgevid.train.tiny_vlm.world import CELL, CELLS, Floats, Ints

ROWS = CELLS + 1
PIXELS = (CELL // 2) ** 2 * 3
MAX_SECOND = 999
SECONDS = MAX_SECOND + 1
CODE = 24


@dataclass(frozen=True, slots=True)
class Vision:
    """The encoder's weights, float32.

    Attributes:
        w1, b1, w2: [inner, PIXELS], [inner], [hidden, inner].
        place: [ROWS, hidden].
        time: [SECONDS, hidden].
    """

    w1: Floats
    b1: Floats
    w2: Floats
    place: Floats
    time: Floats

    def rows(self, cells: Floats, seconds: Ints) -> Floats:
        """float32 [F, ROWS, hidden] of ``cells`` [F, CELLS, CELL, CELL, 3] in [0, 1]."""
        inner = pixels(cells) @ self.w1.T + self.b1
        seen = _gelu(inner) @ self.w2.T
        rows = np.concatenate([seen, seen.mean(axis=1, keepdims=True)], axis=1) + self.place
        return (rows + self.time[seconds][:, None]).astype(np.float32)

    def save(self, path: str | Path) -> None:
        """One ``.npz``."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: str | Path) -> Vision:
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})


def second_codes() -> Floats:
    """A unit vector for each second, float32 [SECONDS, CODE], from which ``time`` is made.

    Random Fourier features (Rahimi and Recht, 2007): of many sets of frequencies the one whose vectors look
    least alike, however far apart. A sum of digits' vectors, tried before, is half right with half the digits
    right, and training stayed there.
    """
    rng = np.random.default_rng(0)
    apart = np.arange(1, SECONDS)[:, None]
    sets = rng.uniform(0, np.pi, (1000, CODE // 2))
    best = min(sets, key=lambda frequencies: np.cos(apart * frequencies).mean(axis=1).max())
    angles = np.arange(SECONDS)[:, None] * best
    return np.asarray(np.hstack([np.cos(angles), np.sin(angles)]) / (CODE // 2) ** 0.5, np.float32)


def pixels(cells: Floats) -> Floats:
    """Cells at half size, centred on 0: float32 [..., PIXELS]."""
    half = CELL // 2
    pooled = cells.reshape(*cells.shape[:-3], half, 2, half, 2, 3).mean(axis=(-4, -2))
    return np.asarray(pooled.reshape(*cells.shape[:-3], PIXELS) - 0.5, np.float32)


def _gelu(x: Floats) -> Floats:
    """The tanh form (Hendrycks and Gimpel, arXiv 1606.08415)."""
    return np.asarray(0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3))), np.float32)
