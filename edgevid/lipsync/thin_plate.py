"""The smoothest map of the plane that moves given points to given places: a thin-plate spline.

Bookstein, "Principal warps", IEEE PAMI 1989: f(p) = a + A p + sum_i w_i U(|p - p_i|), U(r) = r^2 log r^2.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevid.lipsync.nouns import Floats

_STIFFNESS = 1e-3  # of U at r = 1: keeps points that nearly coincide from tearing the plane


def thin_plate(points: Floats, places: Floats, at: Floats) -> Floats:
    """Where the map that takes ``points`` [n, 2] to ``places`` [n, 2] takes ``at`` [..., 2]."""
    middle = points.mean(axis=0, dtype=np.float64)
    scale = max(float(np.ptp(points, axis=0).max()), 1e-6)
    unit = (points - middle) / scale
    n = len(unit)
    system = np.zeros((n + 3, n + 3))
    system[:n, :n] = _kernel(unit, unit) + _STIFFNESS * np.eye(n)
    affine = np.column_stack([np.ones(n), unit])
    system[:n, n:], system[n:, :n] = affine, affine.T
    right = np.zeros((n + 3, 2))
    right[:n] = places
    solved = np.linalg.solve(system, right)
    asked = (at.reshape(-1, 2) - middle) / scale
    values = _kernel(asked, unit) @ solved[:n] + np.column_stack([np.ones(len(asked)), asked]) @ solved[n:]
    return np.asarray(values.reshape(at.shape), np.float32)


def _kernel(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    squared = ((a[:, None] - b) ** 2).sum(axis=-1)
    return np.asarray(squared * np.log(np.maximum(squared, 1e-20)))
