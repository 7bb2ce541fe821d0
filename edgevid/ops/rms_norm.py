"""RMSNorm (Zhang & Sennrich 2019): ``out = x / sqrt(mean(x^2) + eps) * weight`` over the last axis.

``x`` and ``delta`` float32 [m, n], ``weight`` float32 [n]. With ``delta``, ``x + delta`` is normed and
returned too: the residual connection and the norm after it in one pass.
"""

from __future__ import annotations

import numpy as np

from edgevid.ops.backend import Backend, native_ops
from edgevid.ops.dequantize import Floats


def rms_norm(
    x: Floats, weight: Floats, *, eps: float = 1e-5, threads: int = 1, backend: Backend = "auto"
) -> Floats:
    """float32 [m, n]; ValueError when shapes disagree."""
    if (native := native_ops(backend)) is not None:
        out: Floats = native.rms_norm(x, weight, eps, threads=threads)
        return out
    return rms_norm_reference(x, weight, eps=eps)


def add_rms_norm(
    x: Floats,
    delta: Floats,
    weight: Floats,
    *,
    eps: float = 1e-5,
    threads: int = 1,
    backend: Backend = "auto",
) -> tuple[Floats, Floats]:
    """``(x + delta, rms_norm(x + delta))``; ValueError when shapes disagree."""
    if (native := native_ops(backend)) is not None:
        total, out = native.add_rms_norm(x, delta, weight, eps, threads=threads)
        return total, out
    total = x + delta
    return total, rms_norm_reference(total, weight, eps=eps)


def rms_norm_reference(x: Floats, weight: Floats, *, eps: float = 1e-5) -> Floats:
    """The specification, with sums in float64."""
    mean = np.mean(np.square(x, dtype=np.float64), axis=-1, keepdims=True)
    out: Floats = (x / np.sqrt(mean + eps) * weight).astype(np.float32)
    return out
