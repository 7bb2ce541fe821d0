"""paged_attention against its reference, and what its contract promises bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgevid.ops.dequantize import Floats
from edgevid.ops.kv_pages import ELEMENTS, KvType
from edgevid.ops.paged_attention import AttentionRest, Extent, KvCache, NumpyCache
from tests.ops.cases import AttentionCase, attention_cases, normal, paged_extents, scattered_extents

# Scores here are below 10, so rounding them in float32 moves a weight by at most about 1e-5 of itself.
BOUND = 2e-5


class Filled:
    """A case's random queries, keys and values, and a cache that holds them at `extents`."""

    def __init__(
        self,
        case: AttentionCase,
        *,
        extents: list[Extent] | None = None,
        backend: Any = "native",
        **options: Any,
    ) -> None:
        self.case = case
        self.q = normal(1, case.m, case.num_kv_heads * case.group, case.head_dim)
        self.k = normal(2, case.tokens, case.num_kv_heads, case.head_dim)
        self.v = normal(3, case.tokens, case.num_kv_heads, case.head_dim)
        self.extents = extents or scattered_extents(
            case.tokens, num_pages=case.num_pages, page_size=case.page_size
        )
        self.scale = case.head_dim**-0.5
        self.cache = KvCache(
            num_pages=case.num_pages,
            page_size=case.page_size,
            num_kv_heads=case.num_kv_heads,
            head_dim=case.head_dim,
            backend=backend,
            **options,
        )
        self.cache.append(self.k, self.v, self.extents)

    def attend(self) -> Floats:
        return self.cache.attend(self.q, [self.extents], scale=self.scale)


def random_rest(case: AttentionCase) -> AttentionRest:
    """A rest of every row but each third."""
    rows = (case.num_kv_heads, case.m * case.group)
    total = np.abs(normal(5, *rows))
    total[:, ::3] = 0
    return AttentionRest(normal(4, *rows), total, normal(6, *rows, -(-case.head_dim // 16) * 16))


@pytest.mark.parametrize("case", list(attention_cases()), ids=AttentionCase.name)
@pytest.mark.parametrize("dtype", ELEMENTS)
def test_equals_reference(isa: str, case: AttentionCase, dtype: KvType) -> None:
    want = Filled(case, dtype=dtype, backend="numpy").attend()
    assert np.abs(Filled(case, dtype=dtype).attend() - want).max() <= BOUND


@pytest.mark.parametrize("case", list(attention_cases()), ids=AttentionCase.name)
@pytest.mark.parametrize("dtype", ["f16", "int8"])
def test_threads_and_placement_change_nothing(isa: str, case: AttentionCase, dtype: KvType) -> None:
    alone = Filled(case, dtype=dtype).attend()
    for threads in (2, 3, 8):
        assert np.array_equal(alone, Filled(case, threads=threads, dtype=dtype).attend())
    for page_size in (16, 64, 256):
        moved = case._replace(page_size=page_size)
        straight = paged_extents(case.tokens, page_size=page_size)
        assert np.array_equal(alone, Filled(moved, extents=straight, threads=2, dtype=dtype).attend())


@pytest.mark.parametrize("step", [1, 7, 64])
@pytest.mark.parametrize("dtype", ["f16", "int8"])
def test_rows_together_equal_rows_in_steps(isa: str, step: int, dtype: KvType) -> None:
    case = AttentionCase(200, 130, 64, 2, 3, 64)
    together = Filled(case, extents=paged_extents(case.tokens, page_size=64), dtype=dtype)
    whole = together.attend()
    for first in range(0, case.m, step):
        last = min(first + step, case.m)
        seen = paged_extents(case.past + last, page_size=64)
        part = together.cache.attend(together.q[first:last], [seen], scale=together.scale)
        assert np.array_equal(part, whole[first:last])


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["f16", "int8"])
def test_tokens_a_row_does_not_see_cannot_touch_it(isa: str, poison: float, dtype: KvType) -> None:
    case = AttentionCase(100, 12, 64, 1, 3, 64)
    clean = Filled(case, extents=paged_extents(case.tokens, page_size=64), dtype=dtype)
    want = clean.attend()
    poisoned = Filled(case, extents=paged_extents(case.tokens, page_size=64), dtype=dtype)
    bad = np.full((1, 1, 64), poison, np.float32)
    at = 105  # the token of row 5
    poisoned.cache.append(bad, bad, [Extent(at // 64, at % 64, 1)])
    unused = Extent(1, case.tokens - 64, 128 - case.tokens)
    garbage = np.full((unused.count, 1, 64), np.nan, np.float32)
    poisoned.cache.append(garbage, garbage, [unused])
    got = poisoned.attend()
    assert np.array_equal(got[:5], want[:5])
    assert np.isnan(got[5:]).all()


@pytest.mark.parametrize("dtype", ["f16", "int8"])
def test_each_kv_head_may_see_its_own_tokens(isa: str, dtype: KvType) -> None:
    case = AttentionCase(300, 2, 32, 3, 2, 64)
    native, numpy = Filled(case, dtype=dtype), Filled(case, dtype=dtype, backend="numpy")
    lists = [
        scattered_extents(40 + 100 * h, num_pages=case.num_pages, page_size=32, seed=h)[1:]
        + native.extents[-1:]
        for h in range(3)
    ]
    got = native.cache.attend(native.q, lists, scale=native.scale)
    want = numpy.cache.attend(numpy.q, lists, scale=numpy.scale)
    assert np.abs(got - want).max() <= BOUND


def test_large_scores_stay_finite(isa: str) -> None:
    case = AttentionCase(500, 3, 64, 1, 1, 64)
    filled = Filled(case, dtype="f32")
    got = filled.cache.attend(filled.q * 1000, [filled.extents], scale=1.0)
    reference = NumpyCache(num_pages=case.num_pages, page_size=64, num_kv_heads=1, head_dim=64, dtype="f32")
    reference.append(filled.k, filled.v, filled.extents)
    assert np.allclose(got, reference.attend(filled.q * 1000, [filled.extents], 1.0), atol=1e-2)


def test_keys_and_values_round_half_to_even_and_overflow_to_infinity(isa: str) -> None:
    """One token: the output is its value, as stored."""
    cache = KvCache(num_pages=1, page_size=16, num_kv_heads=1, head_dim=16, backend="native")
    bits = np.random.default_rng(0).integers(0, 1 << 32, 16 * 4000, dtype=np.uint32)
    values = bits.view(np.float32)[np.isfinite(bits.view(np.float32))][: 16 * 3000].reshape(-1, 1, 16)
    edges = np.array(
        [65504, 65519.99, 65520, 1e-8, 2.98e-8, 5.97e-8, 6.1e-5, 1 + 2**-11, 1 + 3 * 2**-11], np.float32
    )
    values[0, 0, : len(edges)] = edges
    with np.errstate(over="ignore"):
        want = values.astype(np.float16).astype(np.float32)
    zero = np.zeros((1, 1, 16), np.float32)
    for value, stored in zip(values, want, strict=True):
        cache.append(zero, value[None], [Extent(0, 3, 1)])
        assert np.array_equal(cache.attend(zero, [[Extent(0, 3, 1)]], scale=1.0)[0], stored)


@pytest.mark.parametrize("head_dim", [1, 7, 16, 32, 33, 64, 80, 128])
def test_int8_is_stored_as_the_reference_says(isa: str, head_dim: int) -> None:
    """One token: its key is what one-hot queries score, its value is the output."""
    shape: dict[str, Any] = {"num_pages": 1, "page_size": 16, "num_kv_heads": 2, "head_dim": head_dim}
    cache, reference = KvCache(dtype="int8", backend="native", **shape), NumpyCache(dtype="int8", **shape)
    sizes = np.ldexp(1.0, np.arange(-30, 22)).astype(np.float32)[:, None, None]
    k, v = normal(1, len(sizes), 2, head_dim) * sizes, normal(2, len(sizes), 2, head_dim) * sizes
    k[7] = v[9] = 0
    v[5, :, -1], v[6, 0, 0], v[11, 1, 0] = -np.inf, np.nan, 1e9
    here, rows = [Extent(0, 5, 1)], [Extent(0, 5, 1)] * head_dim
    one_hot = np.repeat(np.eye(head_dim, dtype=np.float32)[:, None], 2, axis=1)
    for key, value in zip(k[:, None], v[:, None], strict=True):
        cache.append(key, value, here)
        reference.append(key, value, here)
        want_k, want_v = reference.stored(here)
        assert np.array_equal(cache.mass(one_hot, rows, scale=1.0)[0][:, :, 0], want_k[0])
        assert np.array_equal(cache.attend(key * 0, [here], scale=1.0), want_v, equal_nan=True)


def test_wrong_extents_are_refused_and_write_nothing(native: Any) -> None:
    filled = Filled(AttentionCase(10, 1, 16, 1, 1, 16))
    before = filled.attend()
    row = normal(9, 2, 1, 16)
    for bad in (
        [Extent(0, 15, 2)],
        [Extent(0, -1, 2)],
        [Extent(0, 0, -2)],
        [Extent(99, 0, 2)],
        [Extent(0, 0, 1)],
    ):
        with pytest.raises(ValueError):
            filled.cache.append(row, row, bad)
    assert np.array_equal(before, filled.attend())
    with pytest.raises(ValueError, match="fewer tokens than rows"):
        filled.cache.attend(normal(0, 3, 1, 16), [[Extent(0, 0, 2)]], scale=1.0)
    with pytest.raises(ValueError, match="multiple of 16"):
        KvCache(num_pages=1, page_size=24, num_kv_heads=1, head_dim=16)
    for backend in ("native", "numpy"):
        with pytest.raises(ValueError, match="kept as f16, f32 or int8, not int4"):
            KvCache(num_pages=1, page_size=16, num_kv_heads=1, head_dim=16, dtype="int4", backend=backend)  # type: ignore[arg-type]
