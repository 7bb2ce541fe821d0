"""conv1d_int8 in Triton: 32 rows against 32 outputs at a time, sums in int32."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from edgevid.kernels.build import Build, Shape, ceil_div
from edgevid.kernels.hash_codes import round_half_even

BLOCK_T = 32
BLOCK_O = 32
BLOCK_C = 32


@triton.jit
def conv_rows(
    x,
    weights,
    bias,
    scales,
    out,
    rows,
    channels,
    outputs,
    taps,
    stride,
    dilation,
    floor,
    BLOCK_T: tl.constexpr,
    BLOCK_O: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    t = tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)
    o = tl.program_id(1) * BLOCK_O + tl.arange(0, BLOCK_O)
    sums = tl.zeros([BLOCK_T, BLOCK_O], tl.int32)
    for k in range(taps):
        row = (t * stride + k * dilation).to(tl.int64)
        for start in range(0, channels, BLOCK_C):
            c = start + tl.arange(0, BLOCK_C)
            seen = (t < rows)[:, None] & (c < channels)[None, :]
            a = tl.load(x + row[:, None] * channels + c[None, :], mask=seen, other=0)
            known = (c < channels)[:, None] & (o < outputs)[None, :]
            at = (o[None, :].to(tl.int64) * channels + c[:, None]) * taps + k
            w = tl.load(weights + at, mask=known, other=0)
            sums = tl.dot(a, w, sums, out_dtype=tl.int32)
    sums += tl.load(bias + o, mask=o < outputs, other=0)[None, :]
    scaled = sums.to(tl.float32) * tl.load(scales + o, mask=o < outputs, other=0.0)[None, :]
    held = round_half_even(tl.minimum(tl.maximum(scaled, floor), 127.0)).to(tl.int8)
    kept = (t < rows)[:, None] & (o < outputs)[None, :]
    tl.store(out + t[:, None].to(tl.int64) * outputs + o[None, :], held, mask=kept)


def conv1d_int8(
    x: torch.Tensor,
    weights: torch.Tensor,
    bias: torch.Tensor,
    scales: torch.Tensor,
    *,
    stride: int,
    dilation: int,
    relu: bool,
) -> torch.Tensor:
    """Shapes and result as in edgevid/ops/conv1d_int8.py."""
    outputs, channels, taps = weights.shape
    rows = max((len(x) - (taps - 1) * dilation - 1) // stride + 1, 0)
    out = torch.empty((rows, outputs), dtype=torch.int8, device=x.device)
    if rows:
        grid = (ceil_div(rows, BLOCK_T), ceil_div(outputs, BLOCK_O))
        conv_rows[grid](
            x,
            weights,
            bias,
            scales,
            out,
            rows,
            channels,
            outputs,
            taps,
            stride,
            dilation,
            0.0 if relu else -127.0,
            BLOCK_T=BLOCK_T,
            BLOCK_O=BLOCK_O,
            BLOCK_C=BLOCK_C,
        )
    return out


def builds(shape: Shape) -> list[Build]:
    """One kernel for every layer; sizes are arguments."""
    types = {"x": "*i8", "weights": "*i8", "bias": "*i32", "scales": "*fp32", "out": "*i8"}
    types |= dict.fromkeys(("rows", "channels", "outputs", "taps", "stride", "dilation"), "i32")
    constants = {"BLOCK_T": BLOCK_T, "BLOCK_O": BLOCK_O, "BLOCK_C": BLOCK_C}
    grid = ("ceil(rows / BLOCK_T)", "ceil(outputs / BLOCK_O)", "1")
    return [Build("conv1d_int8", conv_rows, types | {"floor": "fp32"}, constants, grid)]
