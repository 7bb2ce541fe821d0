"""Pages of keys and values as kernels see them: where a slot's token lies, and how Triton is told of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl

from edgevid.kernels.build import Shape
from edgevid.ops.kv_pages import SCALE_DIMS, KvType, key_scales

_ELEMENTS = {"f16": "*fp16", "f32": "*fp32", "int8": "*i8"}
_STRIDES = ("k_page_stride", "v_page_stride", "ks_page_stride", "vs_page_stride")


class Pages(NamedTuple):
    """One layer's tensors; shapes as in :mod:`edgevid.ops.paged_attention`, scales of int8 float16.

    Without scales (``key_scales`` has no lines) any tensors stand in for them.
    """

    keys: torch.Tensor
    values: torch.Tensor
    key_scales: torch.Tensor
    value_scales: torch.Tensor

    def of_head(self, head: int) -> Pages:
        """A view with this KV head only."""
        return Pages(*(tensor[:, head : head + 1] for tensor in self))

    def strides(self) -> tuple[int, int, int, int]:
        """Elements from page to page, of each tensor."""
        return (
            self.keys.stride(0),
            self.values.stride(0),
            self.key_scales.stride(0),
            self.value_scales.stride(0),
        )

    def constants(self) -> dict[str, Any]:
        """Of every kernel that reads or writes pages."""
        _, _, head_dim, page_size = self.keys.shape
        return {
            "HEAD_DIM": head_dim,
            "PAGE_SIZE": page_size,
            "V_STRIDE": self.values.shape[3],
            "KEY_SCALES": self.key_scales.shape[2],
            "SCALE_DIMS": SCALE_DIMS,
        }


def types(dtype: KvType) -> dict[str, str]:
    """Of the arguments that are pages, for the ahead-of-time compiler."""
    element = _ELEMENTS[dtype]
    return {
        **dict.fromkeys(("keys", "values"), element),
        **dict.fromkeys(("key_scales", "value_scales"), "*fp16"),
        **dict.fromkeys(_STRIDES, "i64"),
    }


def constants(shape: Shape, dtype: KvType) -> dict[str, Any]:
    """The same as :meth:`Pages.constants`."""
    return {
        "HEAD_DIM": shape.head_dim,
        "PAGE_SIZE": shape.page_size,
        "V_STRIDE": shape.v_stride,
        "KEY_SCALES": key_scales(shape.head_dim) if dtype == "int8" else 0,
        "SCALE_DIMS": SCALE_DIMS,
    }


@triton.jit
def key_at(slot, head, k_page_stride, HEAD_DIM: tl.constexpr, PAGE_SIZE: tl.constexpr):
    """Elements from the start of ``keys`` to a token's key, whose dims lie PAGE_SIZE apart; with KEY_SCALES
    as HEAD_DIM, to its scales; with 1, to its value's scale."""
    page = (slot // PAGE_SIZE).to(tl.int64)
    return page * k_page_stride + head * HEAD_DIM * PAGE_SIZE + slot % PAGE_SIZE


@triton.jit
def value_at(slot, head, v_page_stride, PAGE_SIZE: tl.constexpr, V_STRIDE: tl.constexpr):
    """Elements from the start of ``values`` to a token's value."""
    page = (slot // PAGE_SIZE).to(tl.int64)
    return page * v_page_stride + (head * PAGE_SIZE + slot % PAGE_SIZE) * V_STRIDE
