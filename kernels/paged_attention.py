"""paged_attention in Triton: split over tokens (as in flash-decoding), then joined.

::

    attend_split  grid (blocks of rows, KV heads, splits)   one online softmax over a split's tokens, in tiles
    join_splits   grid (rows, KV heads)                     the splits' partial results in order, then a rest

A row is one query head of one position: row r of a KV head's group is position ``r // GROUP``, query head
``r % GROUP``. Tokens come as ``slots`` int32 [lists, tokens], ``page * page_size + slot``: extents written
out, 4 bytes beside the 256 of a token's K and V. So tiles are full however short the extents are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl

from edgevid.kernels import pages
from edgevid.kernels.build import LANES, Build, Shape, ceil_div, power_of_two
from edgevid.kernels.pages import Pages, key_at, value_at
from edgevid.ops.kv_pages import KvType

BLOCK_T = 64
MIN_SPLIT = 256
"""Tokens per split at least, as the native kernel closes a partial result."""
MAX_SPLITS = 64


@triton.jit
def attend_split(
    q,
    keys,
    values,
    key_scales,
    value_scales,
    slots,
    part_max,
    part_sum,
    part_out,
    rows,
    tokens,
    list_stride,
    split_tokens,
    k_page_stride,
    v_page_stride,
    ks_page_stride,
    vs_page_stride,
    scale,
    HEADS: tl.constexpr,
    GROUP: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    PAGE_SIZE: tl.constexpr,
    V_STRIDE: tl.constexpr,
    KEY_SCALES: tl.constexpr,
    SCALE_DIMS: tl.constexpr,
    VALUES: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_T: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    head = tl.program_id(1)
    split = tl.program_id(2)
    r = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    position = r // GROUP
    seen = tokens - rows // GROUP + 1 + position
    d = tl.arange(0, BLOCK_D)
    in_row = d < HEAD_DIM
    q_at = ((position * HEADS + head) * GROUP + r % GROUP) * HEAD_DIM
    query = tl.load(q + q_at[:, None] + d[None, :], mask=(r < rows)[:, None] & in_row[None, :], other=0.0)

    largest = tl.full([BLOCK_R], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_R], tl.float32)
    out = tl.zeros([BLOCK_R, BLOCK_D], tl.float32)
    first = split * split_tokens
    last = tl.minimum(first + split_tokens, tokens)
    for start in range(first, last, BLOCK_T):
        t = start + tl.arange(0, BLOCK_T)
        listed = t < last
        slot = tl.load(slots + head * list_stride + t, mask=listed, other=0)
        k_at = key_at(slot, head, k_page_stride, HEAD_DIM, PAGE_SIZE)
        k_mask = in_row[:, None] & listed[None, :]
        key = tl.load(keys + k_at[None, :] + d[:, None] * PAGE_SIZE, mask=k_mask, other=0.0).to(tl.float32)
        if KEY_SCALES > 0:
            ks_at = key_at(slot, head, ks_page_stride, KEY_SCALES, PAGE_SIZE)
            lines = d[:, None] // SCALE_DIMS * PAGE_SIZE
            key *= tl.load(key_scales + ks_at[None, :] + lines, mask=k_mask, other=0.0).to(tl.float32)
        visible = (t[None, :] < seen[:, None]) & listed[None, :]
        scores = tl.where(visible, tl.dot(query, key, input_precision=PRECISION) * scale, float("-inf"))

        highest = tl.maximum(largest, tl.max(scores, 1))
        # A row that has seen nothing yet: exp(-inf - -inf) would be NaN.
        base = tl.where(highest == float("-inf"), 0.0, highest)
        kept = tl.exp(largest - base)
        weights = tl.exp(scores - base[:, None])
        largest = highest
        total = total * kept + tl.sum(weights, 1)
        if VALUES:
            v_at = value_at(slot, head, v_page_stride, PAGE_SIZE, V_STRIDE)
            v_mask = listed[:, None] & in_row[None, :]
            value = tl.load(values + v_at[:, None] + d[None, :], mask=v_mask, other=0.0).to(tl.float32)
            if KEY_SCALES > 0:
                vs_at = key_at(slot, head, vs_page_stride, 1, PAGE_SIZE)
                of_value = tl.load(value_scales + vs_at, mask=listed, other=0.0)
                value *= of_value.to(tl.float32)[:, None]
            out = out * kept[:, None]
            # A weight of 0 hides a token only while its values are finite; 0 * NaN is NaN. The slow way is
            # taken for tiles that hold such values alone.
            if tl.sum(((value - value) != 0.0).to(tl.int32)) == 0:
                out += tl.dot(weights, value, input_precision=PRECISION)
            else:
                for column in range(BLOCK_T):
                    here = tl.arange(0, BLOCK_T) == column
                    weight = tl.sum(tl.where(here[None, :], weights, 0.0), 1)
                    one = tl.sum(tl.where(here[:, None], value, 0.0), 0)
                    sees = tl.sum((here[None, :] & visible).to(tl.int32), 1) > 0
                    out += tl.where(sees[:, None], weight[:, None] * one[None, :], 0.0)

    part = (split * HEADS + head) * rows + r
    tl.store(part_max + part, largest, mask=r < rows)
    tl.store(part_sum + part, total, mask=r < rows)
    if VALUES:
        part_at = part.to(tl.int64) * HEAD_DIM
        tl.store(part_out + part_at[:, None] + d[None, :], out, mask=(r < rows)[:, None] & in_row[None, :])


@triton.jit
def join(largest, total, out, other_max, other_sum, other_out):
    """Two partial results of a softmax as one."""
    highest = tl.maximum(largest, other_max)
    base = tl.where(highest == float("-inf"), 0.0, highest)
    kept = tl.exp(largest - base)
    added = tl.exp(other_max - base)
    return highest, total * kept + other_sum * added, out * kept + other_out * added


@triton.jit
def join_splits(
    part_max,
    part_sum,
    part_out,
    rest_max,
    rest_sum,
    rest_values,
    out,
    mass_max,
    mass_sum,
    rows,
    splits,
    HEADS: tl.constexpr,
    GROUP: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    V_STRIDE: tl.constexpr,
    VALUES: tl.constexpr,
    REST: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    r = tl.program_id(0)
    head = tl.program_id(1)
    d = tl.arange(0, BLOCK_D)
    largest = tl.full([1], float("-inf"), tl.float32)
    total = tl.zeros([1], tl.float32)
    joined = tl.zeros([BLOCK_D], tl.float32)
    one = tl.arange(0, 1)
    for split in range(splits):
        part = (split * HEADS + head) * rows + r
        other = tl.zeros([BLOCK_D], tl.float32)
        if VALUES:
            other = tl.load(part_out + part.to(tl.int64) * HEAD_DIM + d, mask=d < HEAD_DIM, other=0.0)
        of_part = tl.load(part_sum + part + one)
        largest, total, joined = join(largest, total, joined, tl.load(part_max + part + one), of_part, other)
    if REST:
        row = head * rows + r
        of_rest = tl.load(rest_sum + row + one)
        top = tl.load(rest_max + row + one, mask=of_rest > 0, other=float("-inf"))
        known = (d < HEAD_DIM) & (of_rest > 0)  # what weighs nothing may hold anything
        other = tl.load(rest_values + row.to(tl.int64) * V_STRIDE + d, mask=known, other=0.0)
        largest, total, joined = join(largest, total, joined, top, of_rest, other)
    if VALUES:
        at = (((r // GROUP) * HEADS + head) * GROUP + r % GROUP) * HEAD_DIM
        tl.store(out + at + d, joined / total, mask=d < HEAD_DIM)
    else:
        tl.store(mass_max + head * rows + r + one, largest)
        tl.store(mass_sum + head * rows + r + one, total)


def attend(
    q: torch.Tensor,
    of: Pages,
    slots: torch.Tensor,
    rest: Sequence[torch.Tensor] | None = None,
    *,
    scale: float,
    precision: str = "ieee",
) -> torch.Tensor:
    """``q`` float32 [m, num_q_heads, head_dim] over the tokens ``slots`` int32 [1 or kv_heads, tokens].

    Args:
        rest: maxima, sums and values of what no list names, as AttentionRest in
            edgevid/ops/paged_attention.py.
        precision: of the products: ``ieee`` is float32; ``tf32x3`` runs on tensor cores, nearly as exact.
    """
    out = torch.empty_like(q)
    _launch(q, of, slots, scale, precision, out=out, rest=rest)
    return out


def mass(
    q: torch.Tensor, of: Pages, slots: torch.Tensor, *, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """``(max, sum)`` float32 [kv_heads, m, group]: the same attention without its values."""
    heads = of.keys.shape[1]
    shape = (heads, q.shape[0], q.shape[1] // heads)
    largest, total = q.new_empty(shape), q.new_empty(shape)
    _launch(q, of, slots, scale, "ieee", largest=largest, total=total)
    return largest, total


def _launch(
    q: torch.Tensor,
    of: Pages,
    slots: torch.Tensor,
    scale: float,
    precision: str,
    *,
    out: torch.Tensor | None = None,
    largest: torch.Tensor | None = None,
    total: torch.Tensor | None = None,
    rest: Sequence[torch.Tensor] | None = None,
) -> None:
    _, heads, head_dim, _ = of.keys.shape
    group = q.shape[1] // heads
    rows, tokens = q.shape[0] * group, slots.shape[1]
    split_tokens = MIN_SPLIT * max(1, ceil_div(tokens, MIN_SPLIT * MAX_SPLITS))
    splits = ceil_div(tokens, split_tokens)
    if rows == 0 or splits == 0:
        return
    block_r = min(64, power_of_two(rows))
    block_d = power_of_two(head_dim)
    part_max, part_sum = q.new_empty((2, splits, heads, rows)).unbind()
    with_values = out is not None
    part_out = q.new_empty((splits, heads, rows, head_dim)) if with_values else part_max
    constants: dict[str, Any] = {"HEADS": heads, "GROUP": group, "VALUES": with_values}
    attend_split[(ceil_div(rows, block_r), heads, splits)](
        q,
        *of,
        slots,
        part_max,
        part_sum,
        part_out,
        rows,
        tokens,
        tokens if slots.shape[0] > 1 else 0,
        split_tokens,
        *of.strides(),
        scale,
        **constants,
        **of.constants(),
        PRECISION=precision,
        BLOCK_R=block_r,
        BLOCK_T=BLOCK_T,
        BLOCK_D=block_d,
    )
    join_splits[(rows, heads)](
        part_max,
        part_sum,
        part_out,
        *(rest or (part_max, part_sum, part_out)),
        part_out if out is None else out,
        part_max if largest is None else largest,
        part_sum if total is None else total,
        rows,
        splits,
        **constants,
        HEAD_DIM=head_dim,
        V_STRIDE=ceil_div(head_dim, LANES) * LANES,
        REST=rest is not None,
        BLOCK_D=block_d,
    )


def builds(shape: Shape) -> list[Build]:
    """Decode (16 rows a block), frame (64 rows) and mass, of float16 and int8 pages; joining, also a rest."""
    heads = {"HEADS": shape.num_kv_heads, "GROUP": shape.group}
    block_d = power_of_two(shape.head_dim)
    parts = dict.fromkeys(("part_max", "part_sum", "part_out"), "*fp32")
    split_types = {
        **parts,
        "q": "*fp32",
        "slots": "*i32",
        **dict.fromkeys(("rows", "tokens", "list_stride", "split_tokens"), "i32"),
        "scale": "fp32",
    }
    join_types = {
        **parts,
        **dict.fromkeys(("rest_max", "rest_sum", "rest_values", "out", "mass_max", "mass_sum"), "*fp32"),
        "rows": "i32",
        "splits": "i32",
    }
    made = []
    kinds: tuple[tuple[str, KvType], ...] = (("", "f16"), ("_int8", "int8"))
    for name, with_values, block_r in (("decode", True, 16), ("frame", True, 64), ("mass", False, 64)):
        for suffix, dtype in kinds:
            constants = {
                **heads,
                **pages.constants(shape, dtype),
                "VALUES": with_values,
                "PRECISION": "ieee",
                "BLOCK_R": block_r,
                "BLOCK_T": BLOCK_T,
                "BLOCK_D": block_d,
            }
            types = {**split_types, **pages.types(dtype)}
            grid = ("ceil(rows / BLOCK_R)", "HEADS", "ceil(tokens / split_tokens)")
            made.append(Build(f"paged_attention_{name}{suffix}", attend_split, types, constants, grid))
    sizes = {"HEAD_DIM": shape.head_dim, "V_STRIDE": shape.v_stride, "BLOCK_D": block_d}
    for name, with_values, rest in (
        ("join", True, False),
        ("join_rest", True, True),
        ("mass_join", False, False),
    ):
        constants = {**heads, **sizes, "VALUES": with_values, "REST": rest}
        made.append(
            Build(f"paged_attention_{name}", join_splits, join_types, constants, ("rows", "HEADS", "1"), 1)
        )
    return made
