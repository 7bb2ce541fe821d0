"""Rotary position embedding (Su et al. 2021, arXiv 2104.09864).

Pair i of a head is turned by ``position * inv_freq[i]``: ``(a, b) -> (a cos - b sin, a sin + b cos)``.
Pairs are ``(x[2i], x[2i + 1])`` when interleaved (GGUF's llama), else ``(x[i], x[i + rotary_dim / 2])``
(qwen2). What lies beyond ``rotary_dim`` in a head stays.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevid.ops.backend import Backend, native_ops
from edgevid.ops.dequantize import Floats


def inv_freq(rotary_dim: int, *, base: float, factors: Floats | None = None) -> Floats:
    """``base^(-2i / rotary_dim) / factors[i]``, float32 [rotary_dim / 2]."""
    freq = base ** (-2.0 * np.arange(rotary_dim // 2) / rotary_dim)
    return (freq if factors is None else freq / factors.astype(np.float64)).astype(np.float32)


def llama3_factors(
    rotary_dim: int, *, base: float, factor: float, low_freq: float, high_freq: float, original_context: float
) -> Floats:
    """Divisors of the frequencies in Llama 3.1's scaling (Hugging Face ``rope_type: llama3``).

    1 where the original context holds at least ``high_freq`` turns, ``factor`` where it holds at most
    ``low_freq``, and the harmonic blend of both between.
    """
    turns = original_context * base ** (-2.0 * np.arange(rotary_dim // 2) / rotary_dim) / (2 * np.pi)
    keep = np.clip((turns - low_freq) / (high_freq - low_freq), 0.0, 1.0)
    return (1.0 / ((1.0 - keep) / factor + keep)).astype(np.float32)


def cos_sin(positions: npt.NDArray[np.int32], freq: Floats) -> tuple[Floats, Floats]:
    """float32 [m, pairs] each; angles are formed in float64."""
    angles = positions[:, None].astype(np.float64) * freq[None, :]
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def rope(
    x: Floats, cos: Floats, sin: Floats, *, interleaved: bool, threads: int = 1, backend: Backend = "auto"
) -> Floats:
    """``x`` [m, heads, head_dim], ``cos``, ``sin`` [m, pairs], float32; ValueError when shapes disagree."""
    if (native := native_ops(backend)) is not None:
        out: Floats = native.rope(x, cos, sin, interleaved=interleaved, threads=threads)
        return out
    return rope_reference(x, cos, sin, interleaved=interleaved)


def rope_reference(x: Floats, cos: Floats, sin: Floats, *, interleaved: bool) -> Floats:
    """The specification."""
    pairs = cos.shape[1]
    first = slice(0, 2 * pairs, 2) if interleaved else slice(0, pairs)
    second = slice(1, 2 * pairs, 2) if interleaved else slice(pairs, 2 * pairs)
    a, b = x[..., first], x[..., second]
    c, s = cos[:, None, :], sin[:, None, :]
    out = x.copy()
    out[..., first] = a * c - b * s
    out[..., second] = a * s + b * c
    return out
