"""conv1d_int8 in Triton equals the reference bit for bit, on the cases of the native kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgevid.ops.conv1d_int8 import conv1d_int8
from tests.ops.test_conv1d_int8 import SHAPES, layer_of, sound


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_conv1d_int8(on_triton: Callable[..., Any], shape: tuple[int, ...]) -> None:
    for relu in (False, True):
        layer = layer_of(shape, relu=relu)
        for rows in (layer.reach - 1, layer.reach + 40):
            x = sound(rows, shape[0], seed=rows)
            got = on_triton(conv1d_int8, x, layer, backend="triton")
            assert np.array_equal(got, conv1d_int8(x, layer, backend="numpy"))
