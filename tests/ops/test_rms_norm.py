"""rms_norm against its reference; bound: float32 rounding of the mean, of its root and of two products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgevid.ops.rms_norm import add_rms_norm, rms_norm, rms_norm_reference
from tests.ops.cases import EPS, POISON, ROWS, WIDTHS, normal


def assert_close(got: Any, want: Any, width: int) -> None:
    assert got.shape == want.shape
    assert (np.abs(got - want) <= (4 + width / 16) * EPS * np.abs(want)).all()


@pytest.mark.parametrize("width", WIDTHS)
def test_rms_norm(isa: str, width: int) -> None:
    for m in ROWS:
        x, w = normal(m, m, width), normal(1, width)
        assert_close(rms_norm(x, w, eps=1e-5), rms_norm_reference(x, w, eps=1e-5), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_add_rms_norm_adds_exactly(isa: str, width: int) -> None:
    x, delta, w = normal(0, 5, width), normal(1, 5, width), normal(2, width)
    total, out = add_rms_norm(x, delta, w, eps=1e-6)
    assert np.array_equal(total, x + delta)
    assert np.array_equal(out, rms_norm(x + delta, w, eps=1e-6))


def test_zero_rows_give_zeros_and_threads_change_nothing(isa: str) -> None:
    x, w = normal(0, 200, 576), normal(1, 576)
    x[3] = 0
    got = rms_norm(x, w)
    assert not got[3].any()
    assert np.array_equal(got, rms_norm(x, w, threads=3))


@pytest.mark.parametrize("poison", POISON)
def test_poison_stays_in_its_row(isa: str, poison: float) -> None:
    x, w = normal(0, 3, 33), normal(1, 33)
    clean = rms_norm(x, w)
    x[1, 32] = poison
    got = rms_norm(x, w)
    assert np.isnan(got[1, 32])
    assert np.array_equal(got[[0, 2]], clean[[0, 2]])


def test_wrong_shapes_are_refused(native: Any) -> None:
    with pytest.raises(ValueError, match="one weight per column"):
        native.rms_norm(normal(0, 2, 3), normal(0, 4), 1e-5)
    with pytest.raises(ValueError, match="shapes disagree"):
        native.add_rms_norm(normal(0, 2, 3), normal(0, 1, 3), normal(0, 3), 1e-5)
