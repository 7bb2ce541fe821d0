"""rope against its reference, against complex multiplication, and its tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgevid.ops.rope import cos_sin, inv_freq, llama3_factors, rope, rope_reference
from tests.ops.cases import EPS, ROWS, normal


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize(("head_dim", "rotary_dim"), [(2, 2), (64, 64), (65, 34), (80, 80), (96, 32)])
def test_rope(isa: str, interleaved: bool, head_dim: int, rotary_dim: int) -> None:
    for m in ROWS:
        x = normal(m, m, 3, head_dim)
        cos, sin = cos_sin(np.arange(m, dtype=np.int32) * 1000, inv_freq(rotary_dim, base=1e4))
        got = rope(x, cos, sin, interleaved=interleaved)
        assert np.allclose(
            got, rope_reference(x, cos, sin, interleaved=interleaved), rtol=0, atol=4 * EPS * 5
        )
        assert np.array_equal(got[..., rotary_dim:], x[..., rotary_dim:])


def test_interleaved_is_complex_multiplication() -> None:
    x = normal(0, 4, 2, 8)
    freq = inv_freq(8, base=1e4)
    positions = np.array([0, 1, 7, 8191], np.int32)
    turned = x.view(np.complex64) * np.exp(1j * positions[:, None, None] * freq)
    got = rope_reference(x, *cos_sin(positions, freq), interleaved=True)
    assert np.allclose(got.view(np.complex64), turned, atol=1e-5)


def test_scores_depend_on_distance_alone() -> None:
    q, k = normal(0, 1, 1, 64), normal(1, 1, 1, 64)
    freq = inv_freq(64, base=1e5)

    def score(at_q: int, at_k: int) -> float:
        a = rope_reference(q, *cos_sin(np.array([at_q], np.int32), freq), interleaved=False)
        b = rope_reference(k, *cos_sin(np.array([at_k], np.int32), freq), interleaved=False)
        return float((a * b).sum())

    assert score(100, 90) == pytest.approx(score(1_000_100, 1_000_090), abs=1e-4)


def test_native_tables_equal_reference(native: Any) -> None:
    factors = llama3_factors(64, base=5e5, factor=8.0, low_freq=1.0, high_freq=4.0, original_context=8192)
    assert factors[0] == 1.0 and factors[-1] == 8.0 and (np.diff(factors) >= 0).all()
    assert np.allclose(native.llama3_rope_factors(64, 5e5, 8.0, 1.0, 4.0, 8192), factors, rtol=2 * EPS)
    freq = inv_freq(64, base=5e5, factors=factors)
    assert np.allclose(native.rope_inv_freq(64, 5e5, list(factors)), freq, rtol=2 * EPS)
    positions = np.array([0, 1, 8191, 1_000_000], np.int32)
    for got, want in zip(native.rope_cos_sin(positions, list(freq)), cos_sin(positions, freq), strict=True):
        assert np.allclose(np.reshape(got, want.shape), want, rtol=0, atol=2 * EPS)


def test_wrong_shapes_are_refused(native: Any) -> None:
    x, table = normal(0, 2, 1, 8), normal(0, 2, 5)
    with pytest.raises(ValueError, match="wider than a head"):
        native.rope(x, table, table, interleaved=True)
    with pytest.raises(ValueError, match="cos and sin"):
        native.rope(x, table[:1], table, interleaved=True)
    with pytest.raises(ValueError, match="even rotary dimension"):
        native.rope_inv_freq(7, 1e4)
