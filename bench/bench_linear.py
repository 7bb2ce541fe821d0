"""linear on one thread, in SmolLM2-135M's shapes: a decoded token, a 10-row step, a prefill chunk.

Yardsticks: GMAC/s against the CPU's integer dot peak, GB/s of weights against its read bandwidth. One matrix
is small enough to stay in cache; the decoder as a whole (bench_decoder) reads all weights from memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgevid.ops.dequantize import GgufType
from tests.ops.cases import normal, weights

SHAPES = {"qkv": (960, 576), "gate_up": (3072, 576), "down": (576, 1536)}


@pytest.mark.parametrize("rows", [1, 10, 256])
@pytest.mark.parametrize("name", SHAPES)
def test_q4_1(native: Any, timed: Any, name: str, rows: int) -> None:
    n, k = SHAPES[name]
    op = native.Linear([(int(GgufType.Q4_1), weights(GgufType.Q4_1, n, k))], k)
    x = normal(0, rows, k)
    timed(lambda: op(x), work=rows * n * k / 1e9, unit="GMAC/s")


@pytest.mark.parametrize("type_", list(GgufType), ids=lambda t: t.name)
def test_one_row_of_every_type(native: Any, timed: Any, type_: GgufType) -> None:
    op = native.Linear([(int(type_), weights(type_, 3072, 768))], 768)
    x = normal(0, 1, 768)
    timed(lambda: op(x), work=op.bytes / 1e9, unit="GB/s")


def test_head(native: Any, timed: Any) -> None:
    """The vocabulary's 49,152 rows of Q8_0: 30 MB, from memory."""
    block = weights(GgufType.Q8_0, 512, 576)
    op = native.Linear([(int(GgufType.Q8_0), np.tile(block, (96, 1)))], 576)
    x = normal(0, 1, 576)
    timed(lambda: op(x), work=op.bytes / 1e9, unit="GB/s")
