"""swiglu on one thread, SmolLM2-135M's width."""

from __future__ import annotations

from typing import Any

import pytest

from edgevid.ops.swiglu import swiglu
from tests.ops.cases import normal


@pytest.mark.parametrize("rows", [1, 10, 256])
def test_swiglu(native: Any, timed: Any, rows: int) -> None:
    gate_up = normal(0, rows, 3072)
    timed(lambda: swiglu(gate_up, backend="native"), work=rows * 1536 / 1e9, unit="Gvalues/s")
