"""Sealing moves tokens bit for bit; the mass of attention equals its reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgevid.ops.kv_pages import ELEMENTS, KvType
from edgevid.ops.kv_seal import seal_order
from edgevid.ops.paged_attention import Extent, KvCache
from tests.ops.cases import AttentionCase, attention_cases, normal, paged_extents
from tests.ops.test_paged_attention import BOUND, Filled


@pytest.mark.parametrize("tokens", [1, 15, 16, 17, 100])
@pytest.mark.parametrize("head_dim", [1, 7, 16, 65])
@pytest.mark.parametrize("dtype", ELEMENTS)
def test_a_sealed_cache_attends_as_if_filled_in_that_order(
    isa: str, tokens: int, head_dim: int, dtype: KvType
) -> None:
    shape: dict[str, Any] = {"page_size": 16, "num_kv_heads": 2, "head_dim": head_dim, "dtype": dtype}
    pages = -(-tokens // 16)
    ids = np.random.default_rng(0).integers(0, 9, tokens).astype(np.int32)
    order, begin = seal_order(ids, 9)
    assert np.array_equal(ids[order], np.sort(ids))
    assert np.array_equal(begin, np.searchsorted(np.sort(ids), np.arange(10)))
    k, v, q = normal(1, tokens, 2, head_dim), normal(2, tokens, 2, head_dim), normal(3, 1, 6, head_dim)
    sealed = KvCache(num_pages=2 * pages, backend="native", **shape)
    source = paged_extents(tokens, page_size=16)
    target = [Extent(page + pages, first, count) for page, first, count in source]
    sealed.append(k, v, source)
    sealed.seal(source, order, target)
    straight = KvCache(num_pages=pages, backend="native", **shape)
    straight.append(k[order], v[order], source)
    want = straight.attend(q, [source], scale=0.3)
    assert np.array_equal(sealed.attend(q, [target], scale=0.3), want)
    reference = KvCache(num_pages=2 * pages, backend="numpy", **shape)
    reference.append(k, v, source)
    reference.seal(source, order, target)
    assert np.abs(reference.attend(q, [target], scale=0.3) - want).max() <= BOUND


def test_wrong_orders_are_refused_and_write_nothing(native: Any) -> None:
    for backend in ("native", "numpy"):
        cache = KvCache(num_pages=2, page_size=16, num_kv_heads=1, head_dim=4, backend=backend)  # type: ignore[arg-type]
        cache.append(normal(1, 3, 1, 4), normal(2, 3, 1, 4), [Extent(0, 0, 3)])
        before = cache.attend(normal(3, 1, 1, 4), [[Extent(1, 0, 3)]], scale=1.0)
        for order in ([0, 1], [0, 1, 3], [0, 1, 1], [-1, 0, 1]):
            with pytest.raises(ValueError, match="kv_seal"):
                cache.seal([Extent(0, 0, 3)], np.array(order, np.int32), [Extent(1, 0, 3)])
        after = cache.attend(normal(3, 1, 1, 4), [[Extent(1, 0, 3)]], scale=1.0)
        assert np.array_equal(before, after)


@pytest.mark.parametrize("case", list(attention_cases()), ids=AttentionCase.name)
@pytest.mark.parametrize("dtype", ["f16", "int8"])
def test_mass_equals_reference(isa: str, case: AttentionCase, dtype: KvType) -> None:
    filled, reference = Filled(case, threads=2, dtype=dtype), Filled(case, backend="numpy", dtype=dtype)
    got_max, got_sum = filled.cache.mass(filled.q, filled.extents, scale=filled.scale)
    want_max, want_sum = reference.cache.mass(filled.q, filled.extents, scale=filled.scale)
    assert got_max.shape == want_max.shape == (case.num_kv_heads, case.m, case.group)
    assert np.abs(got_max - want_max).max() <= BOUND
    assert (np.abs(got_sum - want_sum) <= 1e-4 * want_sum).all()
