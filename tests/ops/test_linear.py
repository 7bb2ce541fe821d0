"""linear: activation codes exactly as specified, sums within float32 rounding, rows independent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgevid.ops.dequantize import BLOCKS, Floats, GgufType, dequantize_reference
from edgevid.ops.linear import fake_quantize, linear, linear_reference, quantize
from tests.ops.cases import EPS, POISON, ROWS, normal, weights

QUANTIZED = [t for t in GgufType if BLOCKS[t][0] > 1]
FLOAT = [t for t in GgufType if BLOCKS[t][0] == 1]


def rounding_bound(x: Floats, w: Floats) -> Floats:
    """Float32 rounding of a sum of k products in any order: k eps sum|x||w|; codes and mins count thrice."""
    return (
        x.shape[1] * EPS * (np.abs(x) @ (3 * np.abs(w).max(axis=1, keepdims=True) * np.ones_like(w)).T)
        + 1e-30
    )


@pytest.mark.parametrize("m", ROWS)
def test_activation_codes_equal_the_reference_exactly(isa: str, native: Any, m: int) -> None:
    x = normal(m, m, 96) * np.float32(10) ** normal(m + 1, m, 1)
    x[:, 32:64] *= np.float32(1e-35)
    codes, scales = native.quantize(x)
    want_codes, want_scales = quantize(x)
    assert np.array_equal(codes, want_codes)
    assert np.array_equal(scales, want_scales)


@pytest.mark.parametrize("type_", QUANTIZED, ids=lambda t: t.name)
@pytest.mark.parametrize("m", ROWS)
def test_quantized_weights(isa: str, type_: GgufType, m: int) -> None:
    for n in (1, 16, 17, 50):
        x, w = normal(m, m, 512), weights(type_, n, 512, seed=n)
        bias = normal(n, n)
        got = linear(x, w, type_, bias=bias)
        dense = dequantize_reference(type_, w)
        bound = rounding_bound(fake_quantize(x).astype(np.float32), dense)
        assert (np.abs(got - linear_reference(x, w, type_, bias=bias)) <= bound).all()


@pytest.mark.parametrize("type_", list(GgufType), ids=lambda t: t.name)
def test_float_weights_and_exact_mode(isa: str, type_: GgufType) -> None:
    x, w = normal(0, 13, 512), weights(type_, 33, 512)
    got = linear(x, w, type_, exact=True)
    want = linear_reference(x, w, type_, exact=True)
    assert (np.abs(got - want) <= rounding_bound(x, dequantize_reference(type_, w))).all()


@pytest.mark.parametrize("type_", FLOAT, ids=lambda t: t.name)
def test_float_weights_take_any_width(isa: str, type_: GgufType) -> None:
    for k in (1, 2, 31, 33):
        x, w = normal(k, 3, k), weights(type_, 17, k)
        want = linear_reference(x, w, type_)
        assert (np.abs(linear(x, w, type_) - want) <= rounding_bound(x, dequantize_reference(type_, w))).all()


@pytest.mark.parametrize("type_", list(GgufType), ids=lambda t: t.name)
def test_isas_agree_with_scalar(isa: str, native: Any, type_: GgufType) -> None:
    x, w = normal(5, 12, 256), weights(type_, 40, 256)
    got = linear(x, w, type_)
    native.use_isa("scalar")
    assert (np.abs(got - linear(x, w, type_)) <= rounding_bound(x, dequantize_reference(type_, w))).all()


@pytest.mark.parametrize("type_", list(GgufType), ids=lambda t: t.name)
def test_a_row_depends_neither_on_other_rows_nor_on_threads(isa: str, type_: GgufType) -> None:
    x, w = normal(1, 25, 256), weights(type_, 70, 256)
    together = linear(x, w, type_)
    one_by_one = np.concatenate([linear(x[i : i + 1], w, type_) for i in range(len(x))])
    assert np.array_equal(together, one_by_one)
    for threads in (2, 3, 4):
        assert np.array_equal(together, linear(x, w, type_, threads=threads))


def test_stacked_matrices_share_one_input(isa: str, native: Any) -> None:
    x = normal(2, 5, 256)
    parts = [(GgufType.Q4_1, 20), (GgufType.Q6_K, 16), (GgufType.F16, 3), (GgufType.Q4_K, 33)]
    stacked = [(int(t), weights(t, n, 256, seed=n)) for t, n in parts]
    bias = normal(3, sum(n for _, n in parts))
    got = native.Linear(stacked, 256, threads=2)(x, bias)
    want = np.concatenate([linear(x, w, GgufType(t)) for t, w in stacked], axis=1) + bias
    assert np.array_equal(got, want)


@pytest.mark.parametrize("poison", POISON)
def test_poison_stays_in_its_row(isa: str, poison: float) -> None:
    x, w = normal(0, 3, 64), weights(GgufType.Q4_1, 20, 64)
    clean = linear(x, w, GgufType.Q4_1)
    x[1, 40] = poison
    got = linear(x, w, GgufType.Q4_1)
    assert np.isnan(got[1]).all()
    assert np.array_equal(got[[0, 2]], clean[[0, 2]])


def test_extreme_codes_do_not_overflow(isa: str) -> None:
    """All codes at their largest and all activations at +-max: the sums the integer kernels must hold."""
    x = np.ones((2, 256), np.float32)
    x[1] = -1
    for type_ in (GgufType.Q4_0, GgufType.Q4_1, GgufType.Q8_0):
        for code in (0x00, 0x7F, 0x80, 0xFF):
            w = weights(type_, 16, 256)
            size = BLOCKS[type_][1]
            w.reshape(-1, size)[:, 4 if type_ is GgufType.Q4_1 else 2 :] = code
            dense = dequantize_reference(type_, w)
            assert np.abs(linear(x, w, type_) - x @ dense.T).max() <= 1e-4 * np.abs(dense).sum(axis=1).max()


def test_quantization_error_is_as_stated() -> None:
    x, w = normal(0, 200, 2048), normal(1, 64, 2048)
    y = linear_reference(x, w.view(np.uint8).reshape(64, -1), GgufType.F32)
    error = (fake_quantize(x) @ w.T - y).std() / y.std()
    assert 0.0052 < error < 0.0056  # "about 0.54 %"
    per_run = np.abs(fake_quantize(x) - x).reshape(200, -1, 32).max(axis=-1)
    assert (per_run <= np.abs(x).reshape(200, -1, 32).max(axis=-1) / 254 * 1.001).all()


def test_wrong_shapes_are_refused(native: Any) -> None:
    w = weights(GgufType.Q8_0, 4, 64)
    with pytest.raises(ValueError, match="wrong number of bytes"):
        native.Linear([(int(GgufType.Q8_0), w)], 32)
    with pytest.raises(ValueError, match="shapes disagree"):
        native.Linear([(int(GgufType.Q8_0), w)], 64)(normal(0, 1, 32))
    with pytest.raises(ValueError, match="one value per output"):
        native.Linear([(int(GgufType.Q8_0), w)], 64)(normal(0, 1, 64), normal(0, 5))
