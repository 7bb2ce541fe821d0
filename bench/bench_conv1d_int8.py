"""conv1d_int8 on one thread, VisemeNet's layers. Packing the weights, done once by a model, is timed too."""

from __future__ import annotations

from typing import Any

import pytest

from edgevid.ops.conv1d_int8 import conv1d_int8
from tests.ops.test_conv1d_int8 import layer_of, sound


@pytest.mark.parametrize("shape", [(64, 96, 4, 2, 1), (96, 96, 3, 1, 8), (96, 6, 1, 1, 1)], ids=str)
def test_conv1d_int8(native: Any, timed: Any, shape: tuple[int, ...]) -> None:
    layer, x = layer_of(shape, relu=True), sound(5000, shape[0])
    work = layer.rows_out(len(x)) * layer.weights.size / 1e9
    timed(lambda: conv1d_int8(x, layer, backend="native"), work=work, unit="GMAC/s")
