"""rope on one thread, SmolLM2-135M's heads (9 query and 3 key heads of 64)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgevid.ops.rope import cos_sin, inv_freq, rope
from tests.ops.cases import normal


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("rows", [1, 10, 256])
def test_rope(native: Any, timed: Any, rows: int, interleaved: bool) -> None:
    x = normal(0, rows, 12, 64)
    cos, sin = cos_sin(np.arange(rows, dtype=np.int32), inv_freq(64, base=1e5))
    timed(
        lambda: rope(x, cos, sin, interleaved=interleaved, backend="native"),
        work=x.size / 1e9,
        unit="Gvalues/s",
    )
