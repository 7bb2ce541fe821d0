"""What keys and values are kept as: float16, float32, or int8 codes with float16 scales.

In int8 a number is ``code * scale``. A scale is the least float16 that is at least ``max |x| / 127`` of what
it covers, a code ``x / scale`` rounded half to even, so no code exceeds 127 and the error is at most half a
scale. Numbers that are not all finite, or too large, get the scale NaN. A key has a scale for each
``SCALE_DIMS`` dims of a head, a value one for all (docs/DECISIONS/026).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgevid.ops.dequantize import Floats

KvType = Literal["f16", "f32", "int8"]
Halves = npt.NDArray[np.float16]

ELEMENTS: dict[KvType, type[np.generic]] = {"f16": np.float16, "f32": np.float32, "int8": np.int8}
SCALE_DIMS = 32
"""Dims of a key that share a scale."""


def element_type(dtype: KvType) -> type[np.generic]:
    """numpy's; ValueError when there is no such ``dtype``."""
    if dtype not in ELEMENTS:
        raise ValueError(f"keys and values are kept as f16, f32 or int8, not {dtype}")
    return ELEMENTS[dtype]


def key_scales(head_dim: int) -> int:
    """Scales of one head's key in int8."""
    return -(-head_dim // SCALE_DIMS)


def quantize(x: Floats, block: int) -> tuple[npt.NDArray[np.int8], Halves]:
    """``(codes, scales)`` of float32 [..., n]: int8 of the same shape, float16 [..., ceil(n / block)]."""
    starts = np.arange(0, x.shape[-1], block)
    wanted = np.maximum.reduceat(np.abs(x), starts, axis=-1) / np.float32(127)
    with np.errstate(over="ignore"):
        scales = wanted.astype(np.float16)
    scales = np.where(scales.astype(np.float32) < wanted, np.nextafter(scales, np.float16(np.inf)), scales)
    scales[~np.isfinite(scales)] = np.nan
    unit = spread(scales, block, x.shape[-1])
    usable = unit > 0
    codes = np.rint(np.divide(x, unit, out=np.zeros_like(x), where=usable))
    return codes.astype(np.int8), scales


def dequantize(codes: npt.NDArray[Any], scales: Halves, block: int) -> Floats:
    """float32 [..., n] of what :func:`quantize` gives; exact, for the product has fewer than 24 bits."""
    return codes * spread(scales, block, codes.shape[-1])


def spread(scales: Halves, block: int, n: int) -> Floats:
    """float32 [..., n]: the scale of each number."""
    return np.repeat(scales.astype(np.float32), block, axis=-1)[..., :n]


def stored_keys(k: Floats, dtype: KvType) -> Floats:
    """float32 keys [..., head_dim] as a page gives them back."""
    return _stored(k, dtype, SCALE_DIMS)


def stored_values(v: Floats, dtype: KvType) -> Floats:
    """The same of values."""
    return _stored(v, dtype, v.shape[-1])


def _stored(rows: Floats, dtype: KvType, dims: int) -> Floats:
    if dtype == "int8":
        return dequantize(*quantize(rows, dims), dims)
    with np.errstate(over="ignore"):
        return rows.astype(element_type(dtype)).astype(np.float32)
