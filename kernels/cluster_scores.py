"""cluster_scores in Triton: the rows of every KV head's group, rounded to 8 bits, times its int8 table of
means, summed in int32; half a score's variance is added where the spread of keys is given."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from edgevid.kernels.build import Build, Shape, ceil_div, power_of_two
from edgevid.kernels.hash_codes import round_half_even
from edgevid.ops.cluster_scores import MOST_SPREAD

BLOCK_R = 16
BLOCK_C = 64
LEAST_D = 32
"""Tensor cores take int8 in steps of so many dims."""


@triton.jit
def round_rows(query):
    """Codes int8 and scales of rows, as round_queries in edgevid/ops/cluster_scores.py."""
    size = tl.abs(query)
    finite = size < float("inf")
    largest = tl.max(tl.where(finite, size, 0.0), 1)
    whole = tl.min(finite.to(tl.int32), 1) != 0
    usable = whole & (largest > 1e-30)
    divisor = tl.where(usable, largest, 1.0)
    inverse = tl.where(usable, tl.div_rn(tl.full(divisor.shape, 127.0, tl.float32), divisor), 0.0)
    # Bounded although it lies within: no compiler may then fuse the product with the rounding's addition.
    product = tl.where(usable[:, None], query, 0.0) * inverse[:, None]
    codes = round_half_even(tl.minimum(tl.maximum(product, -127.0), 127.0)).to(tl.int8)
    scales = tl.where(usable, tl.div_rn(largest, 127.0), tl.where(whole, 0.0, float("nan")))
    return codes, scales


@triton.jit
def score_rows(
    q,
    means,
    scales,
    variance,
    spreads,
    out,
    rows,
    clusters,
    stride,
    scale,
    HEAD_DIM: tl.constexpr,
    SPREAD: tl.constexpr,
    MOST: tl.constexpr,
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
    codes, row_scales = round_rows(query)
    table = (head * HEAD_DIM + d) * stride
    mean = tl.load(
        means + table[:, None] + c[None, :], mask=(d < HEAD_DIM)[:, None] & (c < stride)[None, :], other=0
    )
    factors = tl.load(scales + head * stride + c, mask=c < stride, other=0.0)
    sums = tl.dot(codes, mean, out_dtype=tl.int32)
    scores = sums.to(tl.float32) * factors[None, :] * (row_scales * scale)[:, None]
    if SPREAD:
        of_dim = tl.load(variance + head * HEAD_DIM + d, mask=d < HEAD_DIM, other=0.0)
        average = tl.sum(of_dim) / HEAD_DIM
        weights = tl.where(average > 0, of_dim / tl.where(average > 0, average, 1.0), 0.0)
        scaled = query * scale
        terms = tl.sum(scaled * scaled * weights[None, :], 1) * 0.5
        of_cluster = tl.load(spreads + head * stride + c, mask=c < stride, other=0.0)
        scores += tl.minimum(terms[:, None] * of_cluster[None, :], MOST)
    scores = tl.where((c < clusters)[None, :], scores, float("-inf"))
    tl.store(
        out + row[:, None] * stride + c[None, :], scores, mask=(r < rows)[:, None] & (c < stride)[None, :]
    )


def cluster_scores(
    q: torch.Tensor,
    means: torch.Tensor,
    scales: torch.Tensor,
    spread: tuple[torch.Tensor, torch.Tensor] | None = None,
    *,
    clusters: int,
    scale: float,
) -> torch.Tensor:
    """float32 [kv_heads, rows, stride] from ``q`` float32 [kv_heads, rows, head_dim], ``means`` int8
    [kv_heads, head_dim, stride], ``scales`` float32 [kv_heads, stride]; -inf past ``clusters``. ``spread``:
    variance float32 [kv_heads, head_dim] and spreads float32 [kv_heads, stride]."""
    heads, rows, head_dim = q.shape
    stride = means.shape[2]
    out = q.new_empty((heads, rows, stride))
    if out.numel():
        score_rows[(ceil_div(rows, BLOCK_R), ceil_div(stride, BLOCK_C), heads)](
            q,
            means,
            scales,
            *(spread or (scales, scales)),
            out,
            rows,
            clusters,
            stride,
            scale,
            HEAD_DIM=head_dim,
            SPREAD=spread is not None,
            MOST=MOST_SPREAD,
            BLOCK_R=BLOCK_R,
            BLOCK_C=BLOCK_C,
            BLOCK_D=power_of_two(head_dim, least=LEAST_D),
        )
    return out


def builds(shape: Shape) -> list[Build]:
    """For the shape's head size, without spread (which is not read) and with it."""
    types = {
        "q": "*fp32",
        "means": "*i8",
        **dict.fromkeys(("scales", "variance", "spreads", "out"), "*fp32"),
        **dict.fromkeys(("rows", "clusters", "stride"), "i32"),
        "scale": "fp32",
    }
    constants = {
        "HEAD_DIM": shape.head_dim,
        "MOST": MOST_SPREAD,
        "BLOCK_R": BLOCK_R,
        "BLOCK_C": BLOCK_C,
        "BLOCK_D": power_of_two(shape.head_dim, least=LEAST_D),
    }
    grid = ("ceil(rows / BLOCK_R)", "ceil(stride / BLOCK_C)", "kv_heads")
    return [
        Build(name, score_rows, types, {**constants, "SPREAD": spread}, grid)
        for name, spread in (("cluster_scores", False), ("cluster_scores_spread", True))
    ]
