"""cluster_scores in Triton: the rows of every KV head's group times its int8 table of means."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from edgevid.kernels.build import Build, Shape, ceil_div, power_of_two

BLOCK_R = 16
BLOCK_C = 64


@triton.jit
def score_rows(
    q,
    means,
    scales,
    out,
    rows,
    clusters,
    stride,
    scale,
    HEAD_DIM: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    head = tl.program_id(2)
    r = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    d = tl.arange(0, BLOCK_D)
    row = head * rows + r
    query = tl.load(
        q + row[:, None] * HEAD_DIM + d[None, :],
        mask=(r < rows)[:, None] & (d < HEAD_DIM)[None, :],
        other=0.0,
    )
    table = (head * HEAD_DIM + d) * stride
    codes = tl.load(
        means + table[:, None] + c[None, :], mask=(d < HEAD_DIM)[:, None] & (c < stride)[None, :], other=0
    )
    factors = tl.load(scales + head * stride + c, mask=c < stride, other=0.0)
    scores = tl.dot(query, codes.to(tl.float32), input_precision="ieee") * (factors * scale)[None, :]
    scores = tl.where((c < clusters)[None, :], scores, float("-inf"))
    tl.store(
        out + row[:, None] * stride + c[None, :], scores, mask=(r < rows)[:, None] & (c < stride)[None, :]
    )


def cluster_scores(
    q: torch.Tensor, means: torch.Tensor, scales: torch.Tensor, *, clusters: int, scale: float
) -> torch.Tensor:
    """float32 [kv_heads, rows, stride] from ``q`` float32 [kv_heads, rows, head_dim], ``means`` int8
    [kv_heads, head_dim, stride], ``scales`` float32 [kv_heads, stride]; -inf past ``clusters``."""
    heads, rows, head_dim = q.shape
    stride = means.shape[2]
    out = q.new_empty((heads, rows, stride))
    if out.numel():
        score_rows[(ceil_div(rows, BLOCK_R), ceil_div(stride, BLOCK_C), heads)](
            q,
            means,
            scales,
            out,
            rows,
            clusters,
            stride,
            scale,
            HEAD_DIM=head_dim,
            BLOCK_R=BLOCK_R,
            BLOCK_C=BLOCK_C,
            BLOCK_D=power_of_two(head_dim),
        )
    return out


def builds(shape: Shape) -> list[Build]:
    """For the shape's head size."""
    types = {
        "q": "*fp32",
        "means": "*i8",
        "scales": "*fp32",
        "out": "*fp32",
        **dict.fromkeys(("rows", "clusters", "stride"), "i32"),
        "scale": "fp32",
    }
    constants = {
        "HEAD_DIM": shape.head_dim,
        "BLOCK_R": BLOCK_R,
        "BLOCK_C": BLOCK_C,
        "BLOCK_D": power_of_two(shape.head_dim),
    }
    grid = ("ceil(rows / BLOCK_R)", "ceil(stride / BLOCK_C)", "kv_heads")
    return [Build("cluster_scores", score_rows, types, constants, grid)]
