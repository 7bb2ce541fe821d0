from __future__ import annotations

import numpy as np
import pytest

from edgevid.perception.scaling import resize


def test_the_same_size_is_not_touched() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    assert resize(image, 9, 7) is image


def test_shrinking_by_whole_steps_is_the_mean() -> None:
    image = np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    means = image.reshape(16, 4, 24, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(resize(image, 16, 24), means, atol=2)


def test_growing_keeps_a_ramp_a_ramp() -> None:
    ramp = np.linspace(0, 255, 16).astype(np.uint8)
    image = np.repeat(np.tile(ramp, (4, 1))[:, :, None], 3, axis=2)
    grown = resize(image, 8, 64)[4, :, 0].astype(int)
    assert (np.diff(grown) >= 0).all() and grown[0] <= 4 and grown[-1] >= 250


@pytest.mark.parametrize("shape", [(1, 1), (1, 2000), (2000, 1), (3, 5), (719, 1281)])
@pytest.mark.parametrize("target", [(16, 16), (64, 64), (224, 224), (33, 71)])
def test_any_size_to_any_size(shape: tuple[int, int], target: tuple[int, int]) -> None:
    image = np.full((*shape, 3), (200, 100, 50), np.uint8)
    made = resize(image, *target)
    assert made.shape == (*target, 3) and made.dtype == np.uint8
    assert np.abs(made.astype(int) - (200, 100, 50)).max() <= 2


def test_a_view_that_is_not_contiguous() -> None:
    image = np.random.default_rng(2).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize(image[::2, ::-1], 10, 10), resize(image[::2, ::-1].copy(), 10, 10))
