"""kv_seal in Triton: tokens copied to new slots bit for bit, and each cluster's mean, scale and radius."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from edgevid.kernels import pages
from edgevid.kernels.build import LANES, Build, Shape, ceil_div, power_of_two
from edgevid.kernels.hash_codes import round_half_even
from edgevid.kernels.pages import Pages, key_at, value_at
from edgevid.ops.kv_pages import KvType

BLOCK_T = 16


@triton.jit
def copy_tokens(
    keys,
    values,
    key_scales,
    value_scales,
    sources,
    targets,
    tokens,
    k_page_stride,
    v_page_stride,
    ks_page_stride,
    vs_page_stride,
    HEAD_DIM: tl.constexpr,
    PAGE_SIZE: tl.constexpr,
    V_STRIDE: tl.constexpr,
    KEY_SCALES: tl.constexpr,
    SCALE_DIMS: tl.constexpr,
    BLOCK_T: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    head = tl.program_id(1)
    t = tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)
    d = tl.arange(0, BLOCK_D)[None, :]
    listed = t < tokens
    source = tl.load(sources + t, mask=listed, other=0)
    target = tl.load(targets + t, mask=listed, other=0)
    from_k = key_at(source, head, k_page_stride, HEAD_DIM, PAGE_SIZE)
    to_k = key_at(target, head, k_page_stride, HEAD_DIM, PAGE_SIZE)
    k_mask = listed[:, None] & (d < HEAD_DIM)
    key = tl.load(keys + from_k[:, None] + d * PAGE_SIZE, mask=k_mask)
    tl.store(keys + to_k[:, None] + d * PAGE_SIZE, key, mask=k_mask)
    from_v = value_at(source, head, v_page_stride, PAGE_SIZE, V_STRIDE)
    to_v = value_at(target, head, v_page_stride, PAGE_SIZE, V_STRIDE)
    v_mask = listed[:, None] & (d < V_STRIDE)
    value = tl.load(values + from_v[:, None] + d, mask=v_mask)
    tl.store(values + to_v[:, None] + d, value, mask=v_mask)
    if KEY_SCALES > 0:
        from_ks = key_at(source, head, ks_page_stride, KEY_SCALES, PAGE_SIZE)
        to_ks = key_at(target, head, ks_page_stride, KEY_SCALES, PAGE_SIZE)
        for block in tl.static_range(KEY_SCALES):
            scale = tl.load(key_scales + from_ks + block * PAGE_SIZE, mask=listed)
            tl.store(key_scales + to_ks + block * PAGE_SIZE, scale, mask=listed)
        scale = tl.load(value_scales + key_at(source, head, vs_page_stride, 1, PAGE_SIZE), mask=listed)
        tl.store(value_scales + key_at(target, head, vs_page_stride, 1, PAGE_SIZE), scale, mask=listed)


@triton.jit
def load_run(keys, start, last, head, d, HEADS: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_T: tl.constexpr):
    """A head's part of BLOCK_T rows before ``last``, 0 where there is none, and where there is one."""
    t = start + tl.arange(0, BLOCK_T)
    mask = (t < last)[:, None] & (d < HEAD_DIM)[None, :]
    row = (t.to(tl.int64) * HEADS + head) * HEAD_DIM
    return tl.load(keys + row[:, None] + d[None, :], mask=mask, other=0.0), mask


@triton.jit
def mean_codes(
    rows, first, last, head, d, HEADS: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_T: tl.constexpr
):
    """The mean of a run of a head's rows as whole numbers within +-127, and their scale."""
    total = tl.zeros(d.shape, tl.float32)
    for start in range(first, last, BLOCK_T):
        row, _ = load_run(rows, start, last, head, d, HEADS, HEAD_DIM, BLOCK_T)
        total += tl.sum(row, 0)
    mean = tl.div_rn(total, (last - first).to(tl.float32))
    scale = tl.div_rn(tl.max(tl.abs(mean)), 127.0)
    return round_half_even(tl.div_rn(mean, tl.where(scale > 0, scale, 1.0))), scale


@triton.jit
def summarise(
    keys,
    begin,
    means,
    scales,
    radii,
    stride,
    HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    SLACK: tl.constexpr,
    BLOCK_T: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    cluster = tl.program_id(0)
    head = tl.program_id(1)
    first = tl.load(begin + cluster)
    last = tl.load(begin + cluster + 1)
    d = tl.arange(0, BLOCK_D)
    codes, scale = mean_codes(keys, first, last, head, d, HEADS, HEAD_DIM, BLOCK_T)
    stored = codes * scale
    farthest = 0.0
    for start in range(first, last, BLOCK_T):
        key, mask = load_run(keys, start, last, head, d, HEADS, HEAD_DIM, BLOCK_T)
        apart = tl.where(mask, key - stored[None, :], 0.0)
        farthest = tl.maximum(farthest, tl.max(tl.sum(apart * apart, 1)))
    tl.store(means + (head * HEAD_DIM + d) * stride + cluster, codes.to(tl.int8), mask=d < HEAD_DIM)
    tl.store(scales + head * stride + cluster, scale)
    tl.store(radii + head * stride + cluster, tl.sqrt_rn(farthest) * SLACK)


def seal(of: Pages, sources: torch.Tensor, targets: torch.Tensor) -> None:
    """Copy the token in slot ``sources[j]`` to slot ``targets[j]``, int32 [tokens] each, on other pages."""
    _, heads, head_dim, _ = of.keys.shape
    tokens = sources.shape[0]
    if tokens:
        copy_tokens[(ceil_div(tokens, BLOCK_T), heads)](
            *of,
            sources,
            targets,
            tokens,
            *of.strides(),
            **of.constants(),
            BLOCK_T=BLOCK_T,
            BLOCK_D=power_of_two(max(head_dim, of.values.shape[3])),
        )


def cluster_summaries(
    keys: torch.Tensor, begin: torch.Tensor, *, num_kv_heads: int, slack: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """``(means, scales, radii)`` as in edgevid/ops/kv_seal.py, of ``keys`` float32 [n, kv_heads * head_dim];
    cluster c is the rows ``begin[c] .. begin[c + 1]``, int32 [clusters + 1]."""
    clusters = begin.shape[0] - 1
    stride = ceil_div(clusters, LANES) * LANES
    head_dim = keys.shape[1] // num_kv_heads
    means = torch.zeros((num_kv_heads, head_dim, stride), dtype=torch.int8, device=keys.device)
    scales, radii = keys.new_zeros((2, num_kv_heads, stride)).unbind()
    if clusters:
        summarise[(clusters, num_kv_heads)](
            keys,
            begin,
            means,
            scales,
            radii,
            stride,
            HEADS=num_kv_heads,
            HEAD_DIM=head_dim,
            SLACK=slack,
            BLOCK_T=BLOCK_T,
            BLOCK_D=power_of_two(head_dim),
        )
    return means, scales, radii


def builds(shape: Shape) -> list[Build]:
    """The copy of float16 and int8 pages, and the summaries."""
    copied = {"sources": "*i32", "targets": "*i32", "tokens": "i32"}
    kinds: tuple[tuple[str, KvType], ...] = (("kv_seal_copy", "f16"), ("kv_seal_copy_int8", "int8"))
    summed = {
        "keys": "*fp32",
        "begin": "*i32",
        "means": "*i8",
        "scales": "*fp32",
        "radii": "*fp32",
        "stride": "i32",
    }
    blocks = {"BLOCK_T": BLOCK_T, "BLOCK_D": power_of_two(shape.head_dim)}
    return [
        *(
            Build(
                name,
                copy_tokens,
                {**copied, **pages.types(dtype)},
                {**blocks, **pages.constants(shape, dtype)},
                ("ceil(tokens / BLOCK_T)", "kv_heads", "1"),
            )
            for name, dtype in kinds
        ),
        Build(
            "kv_seal_summaries",
            summarise,
            summed,
            {**blocks, "HEADS": shape.num_kv_heads, "HEAD_DIM": shape.head_dim, "SLACK": 1.0 + 2.0**-16},
            ("clusters", "HEADS", "1"),
        ),
    ]
