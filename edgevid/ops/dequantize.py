"""GGUF block rows to float32.

A row of a quantised type is a run of blocks; multi-byte numbers are little-endian, ``d``, ``m`` and
``dmin`` float16::

    Q4_0   32 weights:  d | 16 B nibbles                      w = d (q - 8)
    Q4_1   32 weights:  d | m | 16 B nibbles                  w = d q + m
    Q8_0   32 weights:  d | 32 x int8                         w = d q
    Q4_K  256 weights:  d | dmin | 12 B scales | 128 B        w = (d s_g) q - dmin m_g     g: group of 32
    Q6_K  256 weights:  128 B low 4 bits | 64 B high 2 bits | 16 x int8 s | d
                                                              w = (d s_h) (q - 32)   h: group of 16

In Q4_0 and Q4_1 byte i holds weights i (low nibble) and i + 16 (high). Source of the formats: the GGML
reference quantisation; the values agree with the ``gguf`` package bit for bit.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from edgevid.ops.backend import Backend, native_ops

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


class GgufType(IntEnum):
    """Weight types, with GGUF's numbers."""

    F32 = 0
    F16 = 1
    Q4_0 = 2
    Q4_1 = 3
    Q8_0 = 8
    Q4_K = 12
    Q6_K = 14
    BF16 = 30


BLOCKS: dict[GgufType, tuple[int, int]] = {
    GgufType.F32: (1, 4),
    GgufType.F16: (1, 2),
    GgufType.BF16: (1, 2),
    GgufType.Q4_0: (32, 18),
    GgufType.Q4_1: (32, 20),
    GgufType.Q8_0: (32, 34),
    GgufType.Q4_K: (256, 144),
    GgufType.Q6_K: (256, 210),
}
"""Elements and bytes per block."""


def row_bytes(type_: GgufType, cols: int) -> int:
    """Bytes of a row of ``cols`` elements; ValueError when they do not fill blocks."""
    elements, size = BLOCKS[type_]
    if cols % elements:
        raise ValueError(f"a row of {cols} elements does not fill blocks of {type_.name} ({elements})")
    return cols // elements * size


def dequantize(type_: GgufType, rows: Bytes, *, cols: int, backend: Backend = "auto") -> Floats:
    """Weights as float32 [n, cols] from block rows uint8 [n, row_bytes(type_, cols)].

    Raises:
        ValueError: the shape does not fit the type.
    """
    if rows.ndim != 2 or rows.shape[1] != row_bytes(type_, cols):
        raise ValueError(f"{cols} columns of {type_.name} take {row_bytes(type_, cols)} bytes a row")
    if (native := native_ops(backend)) is not None:
        out: Floats = native.dequantize(int(type_), rows, cols)
        return out
    return dequantize_reference(type_, rows)


def dequantize_reference(type_: GgufType, rows: Bytes) -> Floats:
    """The specification: float32 [n, cols]."""
    rows = np.ascontiguousarray(rows)
    match type_:
        case GgufType.F32:
            return rows.view("<f4").astype(np.float32)
        case GgufType.F16:
            return rows.view("<f2").astype(np.float32)
        case GgufType.BF16:
            return (rows.view("<u2").astype(np.uint32) << 16).view(np.float32)
    elements, size = BLOCKS[type_]
    blocks = rows.reshape(rows.size // size, size)
    weights: Floats = _READERS[type_](blocks)
    return weights.reshape(rows.shape[0], rows.shape[1] // size * elements)


def _half(blocks: Bytes, at: int) -> Floats:
    return np.ascontiguousarray(blocks[:, at : at + 2]).view("<f2").astype(np.float32)


def _nibbles(packed: Bytes) -> Floats:
    return np.concatenate([packed & 15, packed >> 4], axis=-1).astype(np.float32)


def _q4_0(b: Bytes) -> Floats:
    return _half(b, 0) * (_nibbles(b[:, 2:]) - 8)


def _q4_1(b: Bytes) -> Floats:
    return _half(b, 0) * _nibbles(b[:, 4:]) + _half(b, 2)


def _q8_0(b: Bytes) -> Floats:
    return _half(b, 0) * b[:, 2:].view(np.int8).astype(np.float32)


def _q4_k(b: Bytes) -> Floats:
    low, mid, high = b[:, 4:8], b[:, 8:12], b[:, 12:16]
    scales = np.concatenate([low & 63, (high & 15) | ((low >> 6) << 4)], axis=1).astype(np.float32)
    mins = np.concatenate([mid & 63, (high >> 4) | ((mid >> 6) << 4)], axis=1).astype(np.float32)
    quads = b[:, 16:].reshape(len(b), 4, 1, 32)
    q = np.concatenate([quads & 15, quads >> 4], axis=2).reshape(len(b), 8, 32).astype(np.float32)
    w: Floats = (_half(b, 0) * scales)[..., None] * q - (_half(b, 2) * mins)[..., None]
    return w


def _q6_k(b: Bytes) -> Floats:
    low = b[:, :128].reshape(len(b), 2, 1, 64)
    high = b[:, 128:192].reshape(len(b), 2, 1, 32)
    nibbles = np.concatenate([low & 15, low >> 4], axis=2).reshape(len(b), 2, 4, 32)
    pairs = np.concatenate([(high >> shift) & 3 for shift in (0, 2, 4, 6)], axis=2)
    q = (nibbles | (pairs << 4)).reshape(len(b), 16, 16).astype(np.float32) - 32
    scales = _half(b, 208) * b[:, 192:208].view(np.int8).astype(np.float32)
    w: Floats = scales[..., None] * q
    return w


_READERS: dict[GgufType, Any] = {
    GgufType.Q4_0: _q4_0,
    GgufType.Q4_1: _q4_1,
    GgufType.Q8_0: _q8_0,
    GgufType.Q4_K: _q4_k,
    GgufType.Q6_K: _q6_k,
}
