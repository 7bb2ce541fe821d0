"""int8 keys and values: the promises of the scheme, on numbers of every size."""

from __future__ import annotations

import numpy as np
import pytest

from edgevid.ops.kv_pages import SCALE_DIMS, dequantize, quantize, spread, stored_keys
from tests.ops.cases import normal

SIZES = np.ldexp(1.0, np.arange(-40, 21)).astype(np.float32)[:, None]


@pytest.mark.parametrize("n", [1, 31, 32, 33, 64, 100])
def test_no_number_is_off_by_more_than_half_a_scale(n: int) -> None:
    x = normal(1, len(SIZES), n) * SIZES
    codes, scales = quantize(x, SCALE_DIMS)
    assert scales.shape == (len(SIZES), -(-n // SCALE_DIMS))
    assert np.abs(codes).max() <= 127
    unit = spread(scales, SCALE_DIMS, n)
    assert (np.abs(dequantize(codes, scales, SCALE_DIMS) - x) <= unit / 2).all()
    blocks = np.maximum.reduceat(np.abs(x), np.arange(0, n, SCALE_DIMS), axis=1)
    below = np.nextafter(scales, np.float16(0)).astype(np.float32)
    assert (scales.astype(np.float32) >= blocks / np.float32(127)).all()
    assert (below < blocks / np.float32(127)).all()  # the least that will do


def test_halves_round_to_even() -> None:
    x = np.array([[127, 0.5, 1.5, 2.5, -0.5, -1.5, -126.5]], np.float32)
    codes, scales = quantize(x, SCALE_DIMS)
    assert scales[0, 0] == 1
    assert codes[0].tolist() == [127, 0, 2, 2, 0, -2, -126]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e9])
def test_what_has_no_scale_reads_as_nan(bad: float) -> None:
    x = np.ones((2, 64), np.float32)
    x[1, 40] = bad
    kept = stored_keys(x, "int8")
    assert np.isnan(kept[1, 32:]).all()
    assert (np.abs(np.delete(kept.ravel(), np.arange(96, 128)) - 1) <= 0.5 / 127).all()


def test_zeros_stay_zeros_and_a_second_time_changes_nothing() -> None:
    assert not stored_keys(np.zeros((3, 40), np.float32), "int8").any()
    once = stored_keys(normal(2, 100, 64), "int8")
    assert np.array_equal(stored_keys(once, "int8"), once)
