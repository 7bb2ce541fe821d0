"""Block formats: native equals numpy bit for bit, and both equal the gguf package where that is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgevid.ops.dequantize import BLOCKS, GgufType, dequantize, dequantize_reference, row_bytes
from tests.ops.cases import weights


@pytest.mark.parametrize("type_", GgufType, ids=lambda t: t.name)
def test_native_equals_reference(native: Any, type_: GgufType) -> None:
    for rows in (0, 1, 5):
        packed = weights(type_, rows, 512, seed=rows)
        assert np.array_equal(dequantize(type_, packed, cols=512), dequantize_reference(type_, packed))


@pytest.mark.parametrize("type_", GgufType, ids=lambda t: t.name)
def test_reference_equals_gguf_package(type_: GgufType) -> None:
    gguf = pytest.importorskip("gguf")
    packed = weights(type_, 7, 768, seed=1)
    expected = gguf.quants.dequantize(packed, gguf.GGMLQuantizationType(int(type_)))
    assert np.array_equal(dequantize_reference(type_, packed), expected)


def test_every_bit_pattern_of_float16_is_read_right(native: Any) -> None:
    patterns = np.arange(65536, dtype=np.uint16)
    expected = patterns.view(np.float16).astype(np.float32)
    got = dequantize(GgufType.F16, patterns.view(np.uint8).reshape(1, -1), cols=65536)[0]
    finite = ~np.isnan(expected)
    assert np.array_equal(got[finite].view(np.uint32), expected[finite].view(np.uint32))
    assert np.isnan(got[~finite]).all()


def test_gather_rows_looks_rows_up_and_refuses_foreign_ids(native: Any) -> None:
    table = weights(GgufType.Q8_0, 100, 64)
    ids = np.array([99, 0, 7, 7], np.int32)
    expected = dequantize_reference(GgufType.Q8_0, table)[ids]
    assert np.array_equal(native.gather_rows(int(GgufType.Q8_0), table, 64, ids), expected)
    for bad in (-1, 100):
        with pytest.raises(ValueError, match=f"{bad} is outside"):
            native.gather_rows(int(GgufType.Q8_0), table, 64, np.array([bad], np.int32))


def test_rows_that_do_not_fill_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="does not fill blocks of Q4_1"):
        row_bytes(GgufType.Q4_1, 33)
    with pytest.raises(ValueError, match="bytes a row"):
        dequantize(GgufType.F32, np.zeros((1, 7), np.uint8), cols=2)
    assert row_bytes(GgufType.Q6_K, 512) == 2 * BLOCKS[GgufType.Q6_K][1]
