"""A piece of one picture in another: its place, its light, and the pixels it must not touch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.patch import colours, lay, light_around

_ANGLES = np.linspace(0, 2 * np.pi, 16, endpoint=False)
_RING = np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)]).astype(np.float32)


def _outline(x: float, y: float, radius: float = 40.0) -> Floats:
    return _RING * np.float32(radius) + np.float32([x, y])


def _skin(gain: float = 1.0, slope: float = 0.0) -> npt.NDArray[np.uint8]:
    """Reddish, brighter to the right by ``slope`` a pixel."""
    x = np.arange(160)[None, :, None]
    colour = np.array([180, 120, 100]) * (gain + slope * (x - 80))
    return np.broadcast_to(colour, (120, 160, 3)).round().clip(0, 255).astype(np.uint8)


def _lay(picture: npt.NDArray[np.uint8], texture: npt.NDArray[np.uint8], opacity: float = 1.0) -> None:
    here, there = _outline(80, 60), _outline(70, 55)
    lay(
        picture,
        here,
        np.float32([[70, 60], [90, 60]]),
        light_around(picture, here),
        texture=texture,
        texture_outline=there,
        texture_points=np.float32([[55, 55], [85, 55]]),
        texture_light=light_around(texture, there),
        opacity=opacity,
    )


def test_points_come_to_lie_on_points() -> None:
    texture = _skin()
    texture[53:58, 53:58] = 255
    texture[53:58, 83:88] = 0
    picture = _skin()
    _lay(picture, texture)
    assert picture[60, 70].min() > 240 and picture[60, 90].max() < 15


def test_nothing_outside_the_outline_is_touched() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)
    before = picture.copy()
    _lay(picture, rng.integers(0, 256, (120, 160, 3), dtype=np.uint8))
    y, x = np.mgrid[0:120, 0:160]
    outside = np.hypot(x - 80, y - 60) > 40
    assert (picture[outside] == before[outside]).all()
    assert (picture[~outside] != before[~outside]).any(axis=1).mean() > 0.8


@pytest.mark.parametrize(("gain", "slope"), [(0.75, 0.0), (1.2, 0.0), (1.0, 0.004)])
def test_other_light_leaves_no_edge(gain: float, slope: float) -> None:
    picture = _skin(gain, slope)
    before = picture.astype(int)
    _lay(picture, _skin())
    assert np.abs(picture - before).max() <= 9  # unmended: 45, 36 and 29


def test_opacity_mixes_and_colours_are_means() -> None:
    picture, texture = _skin(), _skin()
    texture[53:58, 53:58] = 255
    _lay(picture, texture, opacity=0.5)
    assert picture[60, 70] == pytest.approx((_skin()[60, 70].astype(int) + 255) / 2, abs=4)
    checks = np.zeros((9, 9, 3), np.uint8)
    checks[::2] = 90
    assert colours(checks, np.float32([[4, 4], [-50, 4]]), 1.0) == pytest.approx(30, abs=1)
