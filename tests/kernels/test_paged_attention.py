"""paged_attention, its mass, kv_append and the copy of kv_seal on a GPU, on the native kernels' cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgevid.ops.dequantize import Floats
from edgevid.ops.kv_pages import KvType
from edgevid.ops.paged_attention import AttentionRest, Extent, KvCache
from tests.ops.cases import AttentionCase, attention_cases, normal, paged_extents, scattered_extents
from tests.ops.test_paged_attention import BOUND, Filled, random_rest

Call = Callable[..., Any]
SHAPE: dict[str, Any] = {"num_pages": 4, "page_size": 16, "num_kv_heads": 2, "head_dim": 7}


def attend(case: AttentionCase, *, backend: str, **options: Any) -> Floats:
    """A case's attention; runs in the interpreter's process too."""
    return Filled(case, backend=backend, **options).attend()


CASES = [
    pytest.param(case, id=case.name(), marks=pytest.mark.soak if i % 3 else ())
    for i, case in enumerate(attention_cases())
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", ["f16", "int8"])
def test_equals_reference(on_gpu: Call, case: AttentionCase, dtype: KvType) -> None:
    got = on_gpu(attend, case, dtype=dtype)
    assert np.abs(got - attend(case, backend="numpy", dtype=dtype)).max() <= BOUND


@pytest.mark.parametrize("case", [AttentionCase(70, 2, 32, 1, 2, 65), AttentionCase(250, 9, 16, 1, 3, 64)])
def test_equals_reference_in_float32(on_gpu: Call, case: AttentionCase) -> None:
    got = on_gpu(attend, case, dtype="f32")
    assert np.abs(got - attend(case, backend="numpy", dtype="f32")).max() <= BOUND


def mass(case: AttentionCase, *, backend: str, dtype: KvType) -> tuple[Floats, Floats]:
    filled = Filled(case, backend=backend, dtype=dtype)
    return filled.cache.mass(filled.q, filled.extents, scale=filled.scale)


@pytest.mark.parametrize("case", list(attention_cases())[::8], ids=AttentionCase.name)
@pytest.mark.parametrize("dtype", ["f16", "int8"])
def test_mass_equals_reference(on_gpu: Call, case: AttentionCase, dtype: KvType) -> None:
    got_max, got_sum = on_gpu(mass, case, dtype=dtype)
    want_max, want_sum = mass(case, backend="numpy", dtype=dtype)
    assert got_max.shape == want_max.shape
    assert np.abs(got_max - want_max).max() <= BOUND
    assert (np.abs(got_sum - want_sum) <= 1e-4 * want_sum).all()


def attend_with_rest(case: AttentionCase, *, backend: str, dtype: KvType, empty: bool = False) -> Floats:
    filled = Filled(case, backend=backend, dtype=dtype)
    rest = random_rest(case)
    if empty:
        rest = AttentionRest(*(part * np.float32(np.nan) for part in rest))
        rest.sum[:] = 0
    return filled.cache.attend(filled.q, [filled.extents], scale=filled.scale, rest=rest)


@pytest.mark.parametrize("case", list(attention_cases())[::3], ids=AttentionCase.name)
@pytest.mark.parametrize("dtype", ["f16", "int8"])
def test_a_rest_joins_as_in_the_reference(on_gpu: Call, case: AttentionCase, dtype: KvType) -> None:
    got = on_gpu(attend_with_rest, case, dtype=dtype)
    assert np.abs(got - attend_with_rest(case, backend="numpy", dtype=dtype)).max() <= 2 * BOUND
    empty = on_gpu(attend_with_rest, case, dtype=dtype, empty=True)
    assert np.array_equal(empty, on_gpu(attend, case, dtype=dtype))


def attend_retrieved(*, backend: str, lengths: tuple[int, ...], dtype: KvType) -> Floats:
    """Every KV head sees sinks, a selection of its own, and what is recent."""
    case = AttentionCase(300, 2, 32, 3, 2, 64)
    filled = Filled(case, extents=paged_extents(case.tokens, page_size=32), backend=backend, dtype=dtype)
    sinks, recent = [Extent(0, 0, 4)], [Extent(8, 20, 12), Extent(9, 0, case.tokens - 288)]
    lists = [
        sinks + scattered_extents(length, num_pages=8, page_size=32, seed=h) + recent
        for h, length in enumerate(lengths)
    ]
    rest = random_rest(case)
    return filled.cache.attend(filled.q, lists, scale=filled.scale, rest=rest)


@pytest.mark.parametrize("lengths", [(100, 100, 100), (0, 40, 200)], ids=["one length", "each its own"])
@pytest.mark.parametrize("dtype", ["f16", "int8"])
def test_each_kv_head_may_see_its_own_tokens(on_gpu: Call, lengths: tuple[int, ...], dtype: KvType) -> None:
    lengths = tuple(max(1, length) for length in lengths)
    got = on_gpu(attend_retrieved, lengths=lengths, dtype=dtype)
    assert np.abs(got - attend_retrieved(backend="numpy", lengths=lengths, dtype=dtype)).max() <= BOUND


def attend_poisoned(poison: float | None, *, backend: str, keys: bool, dtype: KvType) -> Floats:
    """A token in the middle of the new rows holds a value that is no number."""
    case = AttentionCase(100, 12, 64, 1, 3, 64)
    filled = Filled(case, extents=paged_extents(case.tokens, page_size=64), backend=backend, dtype=dtype)
    if poison is not None:
        bad = np.full((1, 1, 64), poison, np.float32)
        filled.cache.append(bad if keys else filled.k[105:106], bad, [Extent(1, 105 - 64, 1)])
    return filled.attend()


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize("keys", [True, False], ids=["keys and values", "values"])
@pytest.mark.parametrize("dtype", ["f16", "int8"])
def test_tokens_a_row_does_not_see_cannot_touch_it(
    on_gpu: Call, poison: float, keys: bool, dtype: KvType
) -> None:
    clean, got = (on_gpu(attend_poisoned, p, keys=keys, dtype=dtype) for p in (None, poison))
    assert np.abs(got[:5] - clean[:5]).max() <= BOUND
    if keys or np.isnan(poison) or dtype == "int8":
        assert np.isnan(got[5:]).all()
    else:
        assert np.isposinf(got[5:]).all()


def stored(*, backend: str, sealed: bool, dtype: KvType) -> Floats:
    """Values of all sizes, some beyond what fits, appended, perhaps sealed, and read back one by one."""
    cache = KvCache(backend=backend, dtype=dtype, **SHAPE)  # type: ignore[arg-type]
    sizes = np.array([40000, 1e7, 1e-3, 1e-6, 1], np.float32)[:, None, None]
    k, v = normal(1, 5, 2, 7), normal(2, 5, 2, 7) * sizes
    slots = [Extent(2, 14, 2), Extent(0, 1, 3)]
    cache.append(k, v, slots)
    if sealed:
        target = [Extent(3, 0, 4), Extent(1, 2, 1)]
        cache.seal(slots, np.array([3, 0, 4, 2, 1], np.int32), target)
        slots = target
    each = [Extent(page, first + i, 1) for page, first, count in slots for i in range(count)]
    return np.concatenate([cache.attend(k[:1], [[one]], scale=1.0) for one in each])


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("dtype", ["f16", "int8"])
def test_tokens_are_stored_bit_for_bit(on_gpu: Call, sealed: bool, dtype: KvType) -> None:
    want = stored(backend="numpy", sealed=sealed, dtype=dtype)
    assert np.isinf(want).any() if dtype == "f16" else np.isnan(want).any()
    assert np.array_equal(on_gpu(stored, sealed=sealed, dtype=dtype), want, equal_nan=True)


def key_scores(*, backend: str) -> Floats:
    """Keys of all sizes, read with one-hot queries."""
    shape = {"num_pages": 1, "page_size": 16, "num_kv_heads": 1, "head_dim": 70}
    cache = KvCache(backend=backend, dtype="int8", **shape)  # type: ignore[arg-type]
    k = normal(1, 16, 1, 70) * np.ldexp(1.0, np.arange(-28, 20, 3)).astype(np.float32)[:, None, None]
    cache.append(k, k, [Extent(0, 0, 16)])
    one_hot = np.eye(70, dtype=np.float32)[:, None]
    return np.stack([cache.mass(one_hot, [Extent(0, i, 1)] * 70, scale=1.0)[0] for i in range(16)])


def test_keys_are_stored_bit_for_bit_in_int8(on_gpu: Call) -> None:
    assert np.array_equal(on_gpu(key_scores), key_scores(backend="numpy"))


def refuse(name: str, *, backend: str) -> None:
    cache = KvCache(backend=backend, **SHAPE)  # type: ignore[arg-type]
    row, wrong_rest = normal(0, 1, 2, 7), AttentionRest(*(normal(i, 2, 1, 7)[..., :i] for i in (1, 1, 7)))
    {
        "leaves": lambda: cache.append(row, row, [Extent(0, 16, 1)]),
        "differ in number": lambda: cache.append(row, row, [Extent(0, 0, 2)]),
        "fewer tokens": lambda: cache.attend(row, [[Extent(0, 0, 0)]], scale=1.0),
        "one for each": lambda: cache.attend(row, [[Extent(0, 0, 1)]] * 3, scale=1.0),
        "shapes disagree": lambda: cache.attend(row, [[Extent(0, 0, 1)]], scale=1.0, rest=wrong_rest),
        "permutation": lambda: cache.seal([Extent(0, 0, 1)], np.array([1], np.int32), [Extent(1, 0, 1)]),
    }[name]()


@pytest.mark.parametrize(
    "name", ["leaves", "differ in number", "fewer tokens", "one for each", "shapes disagree", "permutation"]
)
def test_wrong_arguments_are_refused(on_gpu: Call, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        on_gpu(refuse, name)
