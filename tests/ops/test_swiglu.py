"""swiglu against its reference; bound: 8 units in the last place (exp, sum, division, product)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgevid.ops.swiglu import swiglu, swiglu_reference
from tests.ops.cases import EPS, POISON, ROWS, WIDTHS, normal


@pytest.mark.parametrize("width", WIDTHS)
def test_swiglu(isa: str, width: int) -> None:
    for m in ROWS:
        x = normal(m, m, 2 * width) * 10
        want = swiglu_reference(x)
        assert (np.abs(swiglu(x) - want) <= 8 * EPS * np.abs(want)).all()


def test_extreme_gates(isa: str) -> None:
    gates = np.array([[-1e30, -200.0, -88.0, 0.0, 88.0, 1e30]], np.float32)
    got = swiglu(np.concatenate([gates, np.ones_like(gates)], axis=1))
    assert np.allclose(got, [[0, 0, 0, 0, 88.0, 1e30]], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("poison", POISON)
def test_poison_stays_in_its_element(isa: str, poison: float) -> None:
    x = normal(0, 2, 40)
    clean = swiglu(x)
    x[1, 25] = poison  # in `up` of element 5
    got = swiglu(x)
    assert not np.isfinite(got[1, 5])
    got[1, 5] = clean[1, 5]
    assert np.array_equal(got, clean)
    x[1, 25], x[1, 5] = 1.0, np.nan
    assert np.isnan(swiglu(x)[1, 5])


def test_odd_widths_are_refused(native: Any) -> None:
    with pytest.raises(ValueError, match="equal widths"):
        native.swiglu(normal(0, 2, 3))
