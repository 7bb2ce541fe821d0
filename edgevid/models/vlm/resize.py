"""Resizing as the Pillow library does it for 8-bit pictures, to the bit: the models were trained on its
output.

A separable filter, widened by the scale when it shrinks (so that it antialiases), evaluated at

    centre = (out + 0.5) * scale;  taps from int(centre - support + 0.5) to int(centre + support + 0.5),
    clipped

normalised in float64 and rounded to 22 fractional bits; each pass sums whole numbers, rounds and clips
to 8 bits. The scheme is that of Pillow's Resample.c (MIT-CMU licence), written anew in numpy; which axis goes
first is observed from Pillow 13 (up to 12 it was always the rows; pictures that shrink with their aspect
kept, and are not more than twice as high as wide, come out the same in both).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

Filter = Literal["lanczos", "bilinear", "bicubic"]
Picture = npt.NDArray[np.uint8]
_Doubles = npt.NDArray[np.float64]

_FRACTION_BITS = 22
_BLOCK = 64  # outputs of one matrix product


def resize(image: Picture, height: int, width: int, kind: Filter) -> Picture:
    """uint8 [height, width, channels] of uint8 [h, w, channels]."""
    tall, wide = image.shape[:2]
    columns_first = height < tall and tall - height > 2 * (wide - width)
    for axis in (0, 1) if columns_first else (1, 0):
        if axis == 1 and width != wide:
            image = _along_axis_1(image, width, kind)
        elif axis == 0 and height != tall:
            image = _along_axis_1(image.transpose(1, 0, 2), height, kind).transpose(1, 0, 2)
    return np.ascontiguousarray(image)


def _along_axis_1(image: Picture, size: int, kind: Filter) -> Picture:
    height, width, channels = image.shape
    lines = image.transpose(0, 2, 1).reshape(height * channels, width).astype(np.float64)
    total = np.empty((height * channels, size))
    for out, first, band in _bands(width, size, kind):
        total[:, out : out + band.shape[1]] = lines[:, first : first + len(band)] @ band
    total += 1 << (_FRACTION_BITS - 1)
    total *= 0.5**_FRACTION_BITS
    np.clip(np.floor(total, out=total), 0, 255, out=total)
    return total.reshape(height, channels, size).transpose(0, 2, 1).astype(np.uint8)


@lru_cache(maxsize=32)
def _bands(size_in: int, size_out: int, kind: Filter) -> list[tuple[int, int, _Doubles]]:
    """The weights as blocks [inputs, outputs], each with its first output and first input. Whole numbers in
    float64: their sums stay below 2^53, so a matrix product is exact in whatever order it adds."""
    first, weights = _taps(size_in, size_out, kind)
    bands = []
    for out in range(0, size_out, _BLOCK):
        stop = min(out + _BLOCK, size_out)
        begin = int(first[out])
        end = min(int(first[stop - 1]) + weights.shape[1], size_in)
        band = np.zeros((end - begin, stop - out))
        for column in range(out, stop):
            at = int(first[column])
            inside = min(weights.shape[1], size_in - at)
            band[at - begin : at - begin + inside, column - out] = weights[column, :inside]
        bands.append((out, begin, band))
    return bands


def _taps(size_in: int, size_out: int, kind: Filter) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """First input of each output int64 [out], and its weights int32 [out, taps] in 22-bit fractions."""
    function, radius = _FILTERS[kind]
    scale = size_in / size_out
    widening = max(scale, 1.0)
    support = radius * widening
    taps = math.ceil(support) * 2 + 1
    centre = (np.arange(size_out) + 0.5) * scale
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + support + 0.5).astype(np.int64), size_in)
    at = first[:, None] + np.arange(taps)
    weights = function((at - centre[:, None] + 0.5) * (1.0 / widening))
    weights[at >= last[:, None]] = 0.0
    total = np.zeros(size_out)
    for tap in range(taps):  # in order: the sum's rounding is part of the result
        total += weights[:, tap]
    weights *= (1.0 / total)[:, None]
    rounded = np.where(weights < 0, -0.5, 0.5) + weights * (1 << _FRACTION_BITS)
    return first, rounded.astype(np.int32)


def _bilinear(x: _Doubles) -> _Doubles:
    return np.maximum(1.0 - np.abs(x), 0.0)


def _bicubic(x: _Doubles) -> _Doubles:
    a = -0.5
    x = np.abs(x)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def _lanczos(x: _Doubles) -> _Doubles:
    return np.where((x >= -3.0) & (x < 3.0), _sinc(x) * _sinc(x / 3), 0.0)


def _sinc(x: _Doubles) -> _Doubles:
    turned = x * np.pi
    return np.divide(np.sin(turned), turned, out=np.ones_like(x), where=x != 0.0)


_FILTERS: dict[Filter, tuple[Callable[[_Doubles], _Doubles], float]] = {
    "lanczos": (_lanczos, 3.0),
    "bilinear": (_bilinear, 1.0),
    "bicubic": (_bicubic, 2.0),
}
