"""conv1d_int8 equals its reference bit for bit, on every instruction set and any number of threads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgevid.ops.conv1d_int8 import ConvLayer, Int8s, conv1d_int8, conv1d_int8_reference
from tests.ops.cases import normal

SHAPES = (  # channels, outputs, taps, stride, dilation
    (1, 1, 1, 1, 1),
    (3, 5, 2, 1, 1),
    (4, 16, 3, 2, 1),
    (6, 17, 3, 1, 4),
    (64, 96, 4, 2, 1),
    (96, 96, 3, 1, 8),
    (97, 33, 5, 3, 2),
    (96, 6, 1, 1, 1),
)


def layer_of(shape: tuple[int, ...], *, relu: bool = False, seed: int = 0) -> ConvLayer:
    """Random weights over the whole range, scales that use the whole of the output's."""
    channels, outputs, taps, stride, dilation = shape
    rng = np.random.default_rng(seed)
    weights = rng.integers(-127, 128, (outputs, channels, taps)).astype(np.int8)
    bias = rng.integers(-20000, 20001, outputs).astype(np.int32)
    scales = (0.01 / np.sqrt(channels * taps) * (1 + np.abs(normal(seed, outputs)))).astype(np.float32)
    return ConvLayer(weights, bias, scales, stride, dilation, relu)


def sound(rows: int, channels: int, seed: int = 0) -> Int8s:
    return np.random.default_rng(seed).integers(-127, 128, (rows, channels)).astype(np.int8)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_reference(isa: str, shape: tuple[int, ...], relu: bool) -> None:
    layer = layer_of(shape, relu=relu)
    for rows in (0, layer.reach - 1, layer.reach, layer.reach + 1, layer.reach + 40):
        x = sound(rows, shape[0], seed=rows)
        want = conv1d_int8_reference(x, layer)
        assert want.shape == (layer.rows_out(rows), shape[1])
        for threads in (1, 3):
            assert np.array_equal(conv1d_int8(x, layer, threads=threads), want)
    assert len(np.unique(want)) > 10 or shape[:2] == (1, 1)


def test_no_sum_saturates(isa: str) -> None:
    """Where pairs of products in 16 bits would: all numbers at their ends, x even one beyond."""
    for x_value in (-128, -127, 127):
        for w_value in (-127, 127):
            x = np.full((3, 64), x_value, np.int8)
            weights = np.full((16, 64, 2), w_value, np.int8)
            scales = np.full(16, 1 / (127 * 128), np.float32)
            layer = ConvLayer(weights, np.zeros(16, np.int32), scales)
            assert np.array_equal(conv1d_int8(x, layer), conv1d_int8_reference(x, layer))


def test_halves_round_to_even_and_large_values_are_held(isa: str) -> None:
    x = np.array([[-7], [-5], [-3], [-1], [1], [3], [5], [7], [100], [-100]], np.int8)
    layer = ConvLayer(np.ones((1, 1, 1), np.int8), np.zeros(1, np.int32), np.array([0.5], np.float32))
    assert conv1d_int8(x, layer)[:8, 0].tolist() == [-4, -2, -2, 0, 0, 2, 2, 4]
    for scale, ends in ((3e38, [127, -127]), (-3e38, [-127, 127])):
        held = replace(layer, scales=np.array([scale], np.float32))
        assert conv1d_int8(x, held)[8:, 0].tolist() == ends
        assert conv1d_int8(x, replace(held, relu=True))[8:, 0].tolist() == [max(v, 0) for v in ends]


def test_a_kernel_on_one_channel_is_a_known_sum(isa: str) -> None:
    x = np.arange(10, dtype=np.int8)[:, None]
    layer = ConvLayer(
        np.array([[[1, 10]]], np.int8), np.array([5], np.int32), np.ones(1, np.float32), stride=2, dilation=3
    )
    assert conv1d_int8(x, layer)[:, 0].tolist() == [t + 10 * (t + 3) + 5 for t in (0, 2, 4, 6)]


@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_broken_contracts_are_refused(native: Any, backend: Any) -> None:
    good, x = layer_of((4, 3, 2, 1, 1)), sound(5, 4)
    for bad in (
        replace(good, weights=np.full((3, 4, 2), -128, np.int8)),
        replace(good, bias=np.full(3, 1 << 30, np.int32)),
        replace(good, bias=good.bias[:2]),
        replace(good, scales=np.full(3, np.nan, np.float32)),
        replace(good, weights=good.weights[:, :, :0]),
        replace(good, stride=0),
        replace(good, dilation=-1),
    ):
        with pytest.raises(ValueError, match="conv1d_int8"):
            conv1d_int8(x, bad, backend=backend)
    with pytest.raises(ValueError, match="conv1d_int8"):
        conv1d_int8(x[:, :3], good, backend=backend)


def test_the_native_op_checks_for_itself(native: Any) -> None:
    good, x = layer_of((4, 3, 2, 1, 1)), sound(5, 4)
    numbers = {"weights": good.weights, "bias": good.bias, "scales": good.scales, "stride": 1, "dilation": 1}
    for change in (
        {"weights": np.full((3, 4, 2), -128, np.int8)},
        {"bias": np.full(3, -(1 << 30), np.int32)},
        {"scales": np.full(3, np.inf, np.float32)},
        {"stride": 0},
        {"dilation": 1 << 40},
        {"weights": good.weights[:, :2]},
    ):
        with pytest.raises(ValueError, match="conv1d_int8"):
            native.conv1d_int8(x, **{**numbers, **change})
