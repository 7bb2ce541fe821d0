"""Pages of keys and values as kernels see them: where a slot's token lies, and how Triton is told of them."""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

from edgevid.kernels.build import Shape

TYPES = {"keys": "*fp16", "values": "*fp16", "k_page_stride": "i64", "v_page_stride": "i64"}


def constants(shape: Shape) -> dict[str, Any]:
    """Of every kernel that reads or writes pages."""
    return {"HEAD_DIM": shape.head_dim, "PAGE_SIZE": shape.page_size, "V_STRIDE": shape.v_stride}


@triton.jit
def key_at(slot, head, k_page_stride, HEAD_DIM: tl.constexpr, PAGE_SIZE: tl.constexpr):
    """Elements from the start of ``keys`` to a token's key, whose dims lie PAGE_SIZE apart."""
    page = (slot // PAGE_SIZE).to(tl.int64)
    return page * k_page_stride + head * HEAD_DIM * PAGE_SIZE + slot % PAGE_SIZE


@triton.jit
def value_at(slot, head, v_page_stride, PAGE_SIZE: tl.constexpr, V_STRIDE: tl.constexpr):
    """Elements from the start of ``values`` to a token's value."""
    page = (slot // PAGE_SIZE).to(tl.int64)
    return page * v_page_stride + (head * PAGE_SIZE + slot % PAGE_SIZE) * V_STRIDE
