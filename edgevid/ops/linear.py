"""y = x W^T + bias, W in any GGUF type.

``x`` float32 [m, k], ``W`` block rows of [n, k], ``y`` float32 [m, n]. Float weights multiply in float32.
Quantised weights (unless ``exact``) meet activations that are quantised too: each run of 32 of a row
becomes int8 codes with one scale ``max|x| / 127``, rounded half to even. Within one run the error of an
output is therefore at most ``max|x| / 254 * sum|w|``; on Gaussian data about 0.54 % of the output's
standard deviation. A run that holds NaN or infinity makes the row's outputs NaN.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevid.ops.backend import Backend, native_ops
from edgevid.ops.dequantize import BLOCKS, Bytes, Floats, GgufType, dequantize_reference

RUN = 32
"""Activations that share a scale."""


def linear(
    x: Floats,
    weights: Bytes,
    type_: GgufType,
    *,
    bias: Floats | None = None,
    exact: bool = False,
    threads: int = 1,
    backend: Backend = "auto",
) -> Floats:
    """See the module. ``weights`` uint8 [n, bytes per row], ``bias`` float32 [n].

    The weights are packed anew at every call; models pack theirs once, in C++.

    Raises:
        ValueError: shapes disagree.
    """
    if (native := native_ops(backend)) is not None:
        op = native.Linear([(int(type_), weights)], x.shape[1], exact=exact, threads=threads)
        out: Floats = op(x, bias)
        return out
    return linear_reference(x, weights, type_, bias=bias, exact=exact)


def linear_reference(
    x: Floats, weights: Bytes, type_: GgufType, *, bias: Floats | None = None, exact: bool = False
) -> Floats:
    """The specification, with sums in float64."""
    w = dequantize_reference(type_, weights).astype(np.float64)
    if w.shape[1] != x.shape[1]:
        raise ValueError(f"x has {x.shape[1]} columns, the weights {w.shape[1]}")
    quantized = BLOCKS[type_][0] > 1 and not exact
    rows = fake_quantize(x) if quantized else x.astype(np.float64)
    y = rows @ w.T
    return (y if bias is None else y + bias).astype(np.float32)


def quantize(x: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """int8 codes [m, k], float32 scales [m, k / 32]; runs with NaN or infinity get codes 0, scale NaN."""
    runs = x.reshape(x.shape[0], x.shape[1] // RUN, RUN)
    largest = np.abs(runs).max(axis=-1)
    finite = np.isfinite(runs).all(axis=-1)
    usable = finite & (largest > np.float32(1e-30))
    with np.errstate(all="ignore"):
        inverse = np.where(usable, np.float32(127) / largest, np.float32(0))
        codes = np.rint(np.where(usable[..., None], runs * inverse[..., None], 0)).astype(np.int8)
        scales = np.where(finite, largest / np.float32(127), np.float32(np.nan)).astype(np.float32)
    return codes.reshape(x.shape), scales


def fake_quantize(x: Floats) -> npt.NDArray[np.float64]:
    """Activations as the kernel sees them: codes times scales, in float64."""
    codes, scales = quantize(x)
    return codes.astype(np.float64) * np.repeat(scales.astype(np.float64), RUN, axis=1)
