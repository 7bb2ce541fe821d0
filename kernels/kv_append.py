"""kv_append in Triton: rows of keys and values into slots of pages, keys turned dim-major on the way."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from edgevid.kernels import pages
from edgevid.kernels.build import Build, Shape, ceil_div, power_of_two
from edgevid.kernels.pages import key_at, value_at

BLOCK_T = 16


@triton.jit
def append_rows(
    k,
    v,
    slots,
    keys,
    values,
    tokens,
    k_page_stride,
    v_page_stride,
    HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    PAGE_SIZE: tl.constexpr,
    V_STRIDE: tl.constexpr,
    BLOCK_T: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    head = tl.program_id(1)
    t = tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)
    d = tl.arange(0, BLOCK_D)
    slot = tl.load(slots + t, mask=t < tokens, other=0)
    row = (t.to(tl.int64) * HEADS + head) * HEAD_DIM
    mask = (t < tokens)[:, None] & (d < HEAD_DIM)[None, :]
    key = tl.load(k + row[:, None] + d[None, :], mask=mask, other=0.0)
    k_at = key_at(slot, head, k_page_stride, HEAD_DIM, PAGE_SIZE)
    tl.store(keys + k_at[:, None] + d[None, :] * PAGE_SIZE, key.to(keys.dtype.element_ty), mask=mask)
    value = tl.load(v + row[:, None] + d[None, :], mask=mask, other=0.0)
    v_at = value_at(slot, head, v_page_stride, PAGE_SIZE, V_STRIDE)
    padded = (t < tokens)[:, None] & (d < V_STRIDE)[None, :]
    tl.store(values + v_at[:, None] + d[None, :], value.to(values.dtype.element_ty), mask=padded)


def append(
    k: torch.Tensor, v: torch.Tensor, slots: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
) -> None:
    """``k``, ``v`` float32 [tokens, kv_heads, head_dim] into ``slots`` int32 [tokens] of the pages of
    :func:`edgevid.kernels.paged_attention.attend`."""
    tokens, heads, head_dim = k.shape
    if tokens == 0:
        return
    append_rows[(ceil_div(tokens, BLOCK_T), heads)](
        k,
        v,
        slots,
        keys,
        values,
        tokens,
        keys.stride(0),
        values.stride(0),
        HEADS=heads,
        HEAD_DIM=head_dim,
        PAGE_SIZE=keys.shape[3],
        V_STRIDE=values.shape[3],
        BLOCK_T=BLOCK_T,
        BLOCK_D=power_of_two(head_dim),
    )


def builds(shape: Shape) -> list[Build]:
    """For float16 pages."""
    types = {**pages.TYPES, "k": "*fp32", "v": "*fp32", "slots": "*i32", "tokens": "i32"}
    constants = {
        **pages.constants(shape),
        "HEADS": shape.num_kv_heads,
        "BLOCK_T": BLOCK_T,
        "BLOCK_D": power_of_two(shape.head_dim),
    }
    return [Build("kv_append", append_rows, types, constants, ("ceil(tokens / BLOCK_T)", "HEADS", "1"))]
