"""paged_attention and kv_append on one thread: SmolLM2-135M's 9 query and 3 KV heads of 64, float16 pages."""

from __future__ import annotations

from typing import Any

import pytest

from edgevid.ops.paged_attention import KvCache
from tests.ops.cases import normal, paged_extents

HEADS, KV_HEADS, DIM = 9, 3, 64


def filled(tokens: int) -> KvCache:
    cache = KvCache(
        num_pages=tokens // 64 + 1, page_size=64, num_kv_heads=KV_HEADS, head_dim=DIM, backend="native"
    )
    cache.append(
        normal(0, tokens, KV_HEADS, DIM),
        normal(1, tokens, KV_HEADS, DIM),
        paged_extents(tokens, page_size=64),
    )
    return cache


@pytest.mark.parametrize("rows", [1, 10, 256])
@pytest.mark.parametrize("depth", [512, 2048, 8192])
def test_attend(native: Any, timed: Any, depth: int, rows: int) -> None:
    cache = filled(depth + rows)
    q = normal(2, rows, HEADS, DIM)
    extents = [paged_extents(depth + rows, page_size=64)]
    seen = rows * depth + rows * (rows + 1) // 2
    timed(lambda: cache.attend(q, extents, scale=0.125), work=seen * HEADS * 2 * DIM / 1e9, unit="GMAC/s")


@pytest.mark.parametrize("rows", [1, 10, 256])
def test_append(native: Any, timed: Any, rows: int) -> None:
    cache = filled(rows)
    k, slots = normal(0, rows, KV_HEADS, DIM), paged_extents(rows, page_size=64)
    timed(lambda: cache.append(k, k, slots), work=rows * KV_HEADS * DIM * 2 / 1e9, unit="Gvalues/s")
