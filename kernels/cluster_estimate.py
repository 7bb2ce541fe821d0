"""cluster_estimate in Triton: weights of what is not attended times the int8 table of mean values."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from edgevid.kernels.build import Build, Shape, ceil_div, power_of_two
from edgevid.ops.cluster_estimate import LEAST_WEIGHT

BLOCK_R = 16
BLOCK_C = 64


@triton.jit
def estimate_rows(
    densities,
    counts,
    marks,
    means,
    scales,
    total,
    values,
    rows,
    stride,
    V_STRIDE: tl.constexpr,
    LEAST: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    head = tl.program_id(1)
    r = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    d = tl.arange(0, BLOCK_D)
    row = head * rows + r
    of_row = tl.zeros([BLOCK_R], tl.float32)
    out = tl.zeros([BLOCK_R, BLOCK_D], tl.float32)
    for start in range(0, stride, BLOCK_C):
        c = start + tl.arange(0, BLOCK_C)
        at = head * stride + c
        count = tl.load(counts + at, mask=c < stride, other=0)
        left = (count > 0) & (tl.load(marks + at, mask=c < stride, other=1) == 0)
        density = tl.load(
            densities + row[:, None] * stride + c[None, :],
            mask=(r < rows)[:, None] & left[None, :],
            other=0.0,
        )
        weight = density * count.to(tl.float32)[None, :]
        weight = tl.where(weight < LEAST, 0.0, weight)
        of_row += tl.sum(weight, 1)
        code = tl.load(
            means + at.to(tl.int64)[:, None] * V_STRIDE + d[None, :],
            mask=(c < stride)[:, None] & (d < V_STRIDE)[None, :],
            other=0,
        )
        scale = tl.load(scales + at, mask=left, other=0.0)
        value = code.to(tl.float32) * scale[:, None]
        out += tl.dot(weight, value, input_precision="ieee")
    tl.store(total + row, of_row, mask=r < rows)
    tl.store(
        values + row[:, None] * V_STRIDE + d[None, :], out, mask=(r < rows)[:, None] & (d < V_STRIDE)[None, :]
    )


def cluster_estimate(
    densities: torch.Tensor,
    counts: torch.Tensor,
    marks: torch.Tensor,
    means: torch.Tensor,
    scales: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """``(sum, values)`` of what has no mark, float32 [kv_heads, rows] and [kv_heads, rows, v_stride].

    Args:
        densities: float32 [kv_heads, rows, stride].
        counts: int32 [kv_heads, stride].
        marks: int8 [kv_heads, stride], as select_mass writes them.
        means: int8 [kv_heads, stride, v_stride].
        scales: float32 [kv_heads, stride].
    """
    heads, rows, stride = densities.shape
    v_stride = means.shape[2]
    total, values = densities.new_empty((heads, rows)), densities.new_empty((heads, rows, v_stride))
    if rows:
        estimate_rows[(ceil_div(rows, BLOCK_R), heads)](
            densities,
            counts,
            marks,
            means,
            scales,
            total,
            values,
            rows,
            stride,
            V_STRIDE=v_stride,
            LEAST=LEAST_WEIGHT,
            BLOCK_R=BLOCK_R,
            BLOCK_C=BLOCK_C,
            BLOCK_D=power_of_two(v_stride),
        )
    return total, values


def builds(shape: Shape) -> list[Build]:
    """For the shape's head size."""
    types = {
        **dict.fromkeys(("densities", "scales", "total", "values"), "*fp32"),
        "counts": "*i32",
        **dict.fromkeys(("marks", "means"), "*i8"),
        **dict.fromkeys(("rows", "stride"), "i32"),
    }
    constants = {
        "V_STRIDE": shape.v_stride,
        "LEAST": LEAST_WEIGHT,
        "BLOCK_R": BLOCK_R,
        "BLOCK_C": BLOCK_C,
        "BLOCK_D": power_of_two(shape.v_stride),
    }
    grid = ("ceil(rows / BLOCK_R)", "kv_heads", "1")
    return [Build("cluster_estimate", estimate_rows, types, constants, grid)]
