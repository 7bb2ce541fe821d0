"""Resizing against Pillow, bit for bit."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from edgevid.models.vlm.resize import Filter, resize

FILTERS: dict[Filter, int] = {"lanczos": 1, "bilinear": 2, "bicubic": 3}
# crc32 of resize(noise 37 x 53 of seed 5, 19, 90), made by Pillow 13.0.0.
RECORDED: dict[Filter, int] = {"lanczos": 371281767, "bilinear": 300409936, "bicubic": 2460590985}


@pytest.mark.parametrize("kind", FILTERS)
def test_equals_pillow(kind: Filter) -> None:
    image = pytest.importorskip("PIL.Image")
    if int(pytest.importorskip("PIL").__version__.split(".")[0]) < 13:
        pytest.skip("older Pillows resize along rows first, whatever the shape")
    rng = np.random.default_rng(0)
    for _ in range(60):
        height, width, to_height, to_width = (int(n) for n in rng.integers(1, 160, 4))
        noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        if width % 3 == 0:
            noise = np.where(noise > 128, 255, 0).astype(np.uint8)  # overshoot is clipped between the passes
        expected = np.asarray(image.fromarray(noise).resize((to_width, to_height), FILTERS[kind]))
        np.testing.assert_array_equal(resize(noise, to_height, to_width, kind), expected)


@pytest.mark.parametrize("kind", FILTERS)
def test_equals_what_pillow_gave(kind: Filter) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    assert zlib.crc32(resize(noise, 19, 90, kind).tobytes()) == RECORDED[kind]


def test_a_flat_picture_stays_flat() -> None:
    flat = np.full((31, 17, 3), 200, np.uint8)
    assert (resize(flat, 5, 80, "lanczos") == 200).all()
    assert resize(flat, 31, 17, "bicubic").tobytes() == flat.tobytes()
