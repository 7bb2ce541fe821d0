"""rms_norm on one thread, SmolLM2-135M's width."""

from __future__ import annotations

from typing import Any

import pytest

from edgevid.ops.rms_norm import add_rms_norm
from tests.ops.cases import normal


@pytest.mark.parametrize("rows", [1, 10, 256])
def test_add_rms_norm(native: Any, timed: Any, rows: int) -> None:
    x, delta, weight = normal(0, rows, 576), normal(1, rows, 576), normal(2, 576)
    timed(lambda: add_rms_norm(x, delta, weight, backend="native"), work=x.size / 1e9, unit="Gvalues/s")
