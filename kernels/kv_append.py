"""kv_append in Triton: rows of keys and values into slots of pages, keys turned dim-major on the way."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from edgevid.kernels import pages
from edgevid.kernels.build import Build, Shape, ceil_div, power_of_two
from edgevid.kernels.hash_codes import round_half_even
from edgevid.kernels.pages import Pages, key_at, value_at
from edgevid.ops.kv_pages import KvType

BLOCK_T = 16


@triton.jit
def quantize(x, ROWS: tl.constexpr, BLOCKS: tl.constexpr, WIDTH: tl.constexpr):
    """int8 codes [ROWS, BLOCKS * WIDTH] of ``x``, and float16 scales [ROWS, BLOCKS]."""
    parts = tl.reshape(x, [ROWS, BLOCKS, WIDTH])
    wanted = tl.div_rn(tl.max(tl.abs(parts), 2), 127.0)
    near = wanted.to(tl.float16)
    bits = near.to(tl.int16, bitcast=True) + (near.to(tl.float32) < wanted).to(tl.int16)
    bad = tl.max(((parts - parts) != 0.0).to(tl.int32), 2) > 0
    bits = tl.where(bad | (bits >= 0x7C00), 0x7E00, bits).to(tl.int16)
    scales = bits.to(tl.float16, bitcast=True)
    unit = scales.to(tl.float32)[:, :, None]
    codes = round_half_even(tl.div_rn(parts, tl.where(unit > 0.0, unit, 1.0)))
    codes = tl.where(unit > 0.0, codes, 0.0)
    return tl.reshape(codes, [ROWS, BLOCKS * WIDTH]).to(tl.int8), scales


@triton.jit
def append_rows(
    k,
    v,
    slots,
    keys,
    values,
    key_scales,
    value_scales,
    tokens,
    k_page_stride,
    v_page_stride,
    ks_page_stride,
    vs_page_stride,
    HEADS: tl.constexpr,
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
    d = tl.arange(0, BLOCK_D)
    listed = t < tokens
    slot = tl.load(slots + t, mask=listed, other=0)
    row = (t.to(tl.int64) * HEADS + head) * HEAD_DIM
    mask = listed[:, None] & (d < HEAD_DIM)[None, :]
    key = tl.load(k + row[:, None] + d[None, :], mask=mask, other=0.0)
    value = tl.load(v + row[:, None] + d[None, :], mask=mask, other=0.0)
    if KEY_SCALES > 0:
        BLOCKS: tl.constexpr = BLOCK_D // SCALE_DIMS if BLOCK_D > SCALE_DIMS else 1
        key, of_key = quantize(key, BLOCK_T, BLOCKS, BLOCK_D // BLOCKS)
        value, of_value = quantize(value, BLOCK_T, 1, BLOCK_D)
        block = tl.arange(0, BLOCKS)
        ks_at = key_at(slot, head, ks_page_stride, KEY_SCALES, PAGE_SIZE)
        ks_mask = listed[:, None] & (block < KEY_SCALES)[None, :]
        tl.store(key_scales + ks_at[:, None] + block[None, :] * PAGE_SIZE, of_key, mask=ks_mask)
        vs_at = key_at(slot, head, vs_page_stride, 1, PAGE_SIZE)
        tl.store(value_scales + vs_at, tl.reshape(of_value, [BLOCK_T]), mask=listed)
    k_at = key_at(slot, head, k_page_stride, HEAD_DIM, PAGE_SIZE)
    tl.store(keys + k_at[:, None] + d[None, :] * PAGE_SIZE, key.to(keys.dtype.element_ty), mask=mask)
    v_at = value_at(slot, head, v_page_stride, PAGE_SIZE, V_STRIDE)
    padded = listed[:, None] & (d < V_STRIDE)[None, :]
    tl.store(values + v_at[:, None] + d[None, :], value.to(values.dtype.element_ty), mask=padded)


def append(k: torch.Tensor, v: torch.Tensor, slots: torch.Tensor, to: Pages) -> None:
    """``k``, ``v`` float32 [tokens, kv_heads, head_dim] into ``slots`` int32 [tokens]."""
    tokens, heads, head_dim = k.shape
    if tokens == 0:
        return
    append_rows[(ceil_div(tokens, BLOCK_T), heads)](
        k,
        v,
        slots,
        *to,
        tokens,
        *to.strides(),
        HEADS=heads,
        **to.constants(),
        BLOCK_T=BLOCK_T,
        BLOCK_D=power_of_two(head_dim),
    )


def builds(shape: Shape) -> list[Build]:
    """For float16 and int8 pages."""
    made = []
    kinds: tuple[tuple[str, KvType], ...] = (("kv_append", "f16"), ("kv_append_int8", "int8"))
    for name, dtype in kinds:
        types = {**pages.types(dtype), "k": "*fp32", "v": "*fp32", "slots": "*i32", "tokens": "i32"}
        constants = {
            **pages.constants(shape, dtype),
            "HEADS": shape.num_kv_heads,
            "BLOCK_T": BLOCK_T,
            "BLOCK_D": power_of_two(shape.head_dim),
        }
        made.append(Build(name, append_rows, types, constants, ("ceil(tokens / BLOCK_T)", "HEADS", "1")))
    return made
