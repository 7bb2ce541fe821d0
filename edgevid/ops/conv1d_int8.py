"""Convolution along time in int8, fused with bias, ReLU and the way back to int8.

``x`` int8 [rows, channels], ``weights`` int8 [outputs, channels, taps] within +-127, ``bias`` int32 [outputs]
below 2^30, ``scales`` float32 [outputs]. With the int32 sum

    s[t, o] = bias[o] + sum over k, c of x[t * stride + k * dilation, c] * weights[o, c, k]

the result is ``clip(round_half_even(float32(s) * scales[o]), floor, 127)``, int8 [rows_out, outputs], where
``floor`` is 0 with ReLU, else -127. Nothing is padded: rows_out counts the t whose taps all lie in ``x``. The
sum is exact, and what follows is one rounding to float32 and one float32 product, so results are the same
everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgevid.ops.backend import Backend, native_ops
from edgevid.ops.dequantize import Floats

Int8s = npt.NDArray[np.int8]
Ints = npt.NDArray[np.int32]

LIMIT = 127
MAX_PRODUCTS = 65536
MAX_BIAS = 1 << 30


@dataclass(frozen=True, slots=True)
class ConvLayer:
    """One layer's numbers; arrays as in the module's text."""

    weights: Int8s
    bias: Ints
    scales: Floats
    stride: int = 1
    dilation: int = 1
    relu: bool = False

    @property
    def reach(self) -> int:
        """Rows of x from the first to the last tap."""
        return (int(self.weights.shape[2]) - 1) * self.dilation + 1

    def rows_out(self, rows: int) -> int:
        return max((rows - self.reach) // self.stride + 1, 0)


def conv1d_int8(x: Int8s, layer: ConvLayer, *, threads: int = 1, backend: Backend = "auto") -> Int8s:
    """int8 [rows_out, outputs]; ValueError when the layer or the shapes break the contract."""
    check_layer(layer)
    if x.ndim != 2 or x.shape[1] != layer.weights.shape[1]:
        raise ValueError("conv1d_int8: x is [rows, channels]")
    if (native := native_ops(backend)) is not None:
        out: Int8s = native.conv1d_int8(
            x,
            layer.weights,
            layer.bias,
            layer.scales,
            stride=layer.stride,
            dilation=layer.dilation,
            relu=layer.relu,
            threads=threads,
        )
        return out
    return conv1d_int8_reference(x, layer)


def check_layer(layer: ConvLayer) -> None:
    """ValueError unless it keeps the contract."""
    if layer.weights.ndim != 3 or not layer.weights.size or min(layer.stride, layer.dilation) < 1:
        raise ValueError("conv1d_int8: weights are [outputs, channels, taps], sizes are positive")
    outputs, channels, taps = layer.weights.shape
    if layer.bias.shape != (outputs,) or layer.scales.shape != (outputs,):
        raise ValueError("conv1d_int8: bias and scales are [outputs]")
    if channels * taps > MAX_PRODUCTS or max(outputs, layer.stride, layer.dilation) > MAX_PRODUCTS:
        raise ValueError(f"conv1d_int8: at most {MAX_PRODUCTS} products to a sum")
    if layer.weights.min() < -LIMIT:
        raise ValueError("conv1d_int8: weights lie within +-127")
    if np.abs(layer.bias.astype(np.int64)).max() >= MAX_BIAS or not np.isfinite(layer.scales).all():
        raise ValueError("conv1d_int8: a bias is below 2^30, scales are finite")


def conv1d_int8_reference(x: Int8s, layer: ConvLayer) -> Int8s:
    """The specification."""
    rows, taps = layer.rows_out(len(x)), layer.weights.shape[2]
    sums = np.tile(layer.bias.astype(np.int32), (rows, 1))
    for k in range(taps):
        first = k * layer.dilation
        seen = x[first : first + (rows - 1) * layer.stride + 1 : layer.stride] if rows else x[:0]
        sums += seen.astype(np.int32) @ layer.weights[:, :, k].T.astype(np.int32)
    with np.errstate(over="ignore"):
        scaled = np.rint(sums.astype(np.float32) * layer.scales)
    out: Int8s = np.clip(scaled, 0 if layer.relu else -LIMIT, LIMIT).astype(np.int8)
    return out
