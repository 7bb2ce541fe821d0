"""cluster_moments in Triton: each cluster's mean value and spread of keys, then the variance of all keys."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from edgevid.kernels.build import LANES, Build, Shape, ceil_div, power_of_two
from edgevid.kernels.kv_seal import BLOCK_T, load_run, mean_codes

BLOCK_N = 64


@triton.jit
def measure(
    keys,
    values,
    begin,
    value_means,
    value_scales,
    spreads,
    squares,
    stride,
    HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    V_STRIDE: tl.constexpr,
    BLOCK_T: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    cluster = tl.program_id(0)
    head = tl.program_id(1)
    first = tl.load(begin + cluster)
    last = tl.load(begin + cluster + 1)
    d = tl.arange(0, BLOCK_D)
    at = head * stride + cluster
    codes, scale = mean_codes(values, first, last, head, d, HEADS, HEAD_DIM, BLOCK_T)
    tl.store(value_means + at.to(tl.int64) * V_STRIDE + d, codes.to(tl.int8), mask=d < V_STRIDE)
    tl.store(value_scales + at, scale)
    codes, scale = mean_codes(keys, first, last, head, d, HEADS, HEAD_DIM, BLOCK_T)
    stored = codes * scale
    total = tl.zeros([BLOCK_D], tl.float32)
    for start in range(first, last, BLOCK_T):
        key, mask = load_run(keys, start, last, head, d, HEADS, HEAD_DIM, BLOCK_T)
        apart = tl.where(mask, key - stored[None, :], 0.0)
        total += tl.sum(apart * apart, 0)
    of_cluster = (cluster * HEADS + head) * HEAD_DIM
    tl.store(squares + of_cluster + d, total, mask=d < HEAD_DIM)
    tl.store(spreads + at, tl.sum(total) / ((last - first) * HEAD_DIM).to(tl.float32))


@triton.jit
def average(squares, begin, variance, clusters, dims, BLOCK_C: tl.constexpr, BLOCK_N: tl.constexpr):
    n = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    total = tl.zeros([BLOCK_N], tl.float32)
    for start in range(0, clusters, BLOCK_C):
        c = start + tl.arange(0, BLOCK_C)
        mask = (c < clusters)[:, None] & (n < dims)[None, :]
        total += tl.sum(tl.load(squares + c[:, None] * dims + n[None, :], mask=mask, other=0.0), 0)
    tokens = tl.load(begin + clusters)
    tl.store(variance + n, total / tl.maximum(tokens, 1).to(tl.float32), mask=n < dims)


def cluster_moments(
    keys: torch.Tensor, values: torch.Tensor, begin: torch.Tensor, *, num_kv_heads: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """``(value_means, value_scales, spreads, variance)`` as in edgevid/ops/kv_seal.py, of ``keys`` and
    ``values`` float32 [n, kv_heads * head_dim]; cluster c is the rows ``begin[c] .. begin[c + 1]``, int32
    [clusters + 1]."""
    clusters, dims = begin.shape[0] - 1, keys.shape[1]
    head_dim = dims // num_kv_heads
    stride, v_stride = (ceil_div(n, LANES) * LANES for n in (clusters, head_dim))
    means = torch.zeros((num_kv_heads, stride, v_stride), dtype=torch.int8, device=keys.device)
    scales, spreads = keys.new_zeros((2, num_kv_heads, stride)).unbind()
    squares, variance = keys.new_empty((clusters, dims)), keys.new_zeros((num_kv_heads, head_dim))
    if clusters:
        measure[(clusters, num_kv_heads)](
            keys,
            values,
            begin,
            means,
            scales,
            spreads,
            squares,
            stride,
            HEADS=num_kv_heads,
            HEAD_DIM=head_dim,
            V_STRIDE=v_stride,
            BLOCK_T=BLOCK_T,
            BLOCK_D=power_of_two(head_dim),
        )
        average[(ceil_div(dims, BLOCK_N),)](
            squares, begin, variance, clusters, dims, BLOCK_C=BLOCK_T, BLOCK_N=BLOCK_N
        )
    return means, scales, spreads, variance


def builds(shape: Shape) -> list[Build]:
    """Both, for the shape's heads."""
    types = {
        **dict.fromkeys(("keys", "values", "value_scales", "spreads", "squares"), "*fp32"),
        "begin": "*i32",
        "value_means": "*i8",
        "stride": "i32",
    }
    constants = {
        "HEADS": shape.num_kv_heads,
        "HEAD_DIM": shape.head_dim,
        "V_STRIDE": shape.v_stride,
        "BLOCK_T": BLOCK_T,
        "BLOCK_D": power_of_two(shape.head_dim),
    }
    averaged = {"squares": "*fp32", "begin": "*i32", "variance": "*fp32", "clusters": "i32", "dims": "i32"}
    blocks = {"BLOCK_C": BLOCK_T, "BLOCK_N": BLOCK_N}
    return [
        Build("cluster_moments", measure, types, constants, ("clusters", "HEADS", "1")),
        Build("cluster_moments_variance", average, averaged, blocks, ("ceil(dims / BLOCK_N)", "1", "1")),
    ]
