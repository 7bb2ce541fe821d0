"""A piece of one picture of a face, laid into another: where each pixel comes from, and in which light."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.thin_plate import thin_plate
from edgevid.models.native import native_library

STEP = 4  # px of the picture between points of the fields
_FEATHER = 0.12  # of the outline's width
_GAIN_LIMIT = 1.6
_INWARDS = 0.12  # of the way from the outline to its middle: where light is compared
_BLUR = 0.03  # of the outline's width: half the side of a compared spot

Image = npt.NDArray[np.uint8]


def lay(
    picture: Image,
    outline: Floats,
    points: Floats,
    light: Floats,
    *,
    texture: Image,
    texture_outline: Floats,
    texture_points: Floats,
    texture_light: Floats,
    opacity: float = 1.0,
) -> None:
    """Draw ``texture`` into uint8 RGB ``picture`` [h, w, 3], so that its outline and points come to lie on
    those given, in the light of the picture.

    Args:
        outline, texture_outline: float32 [n, 2], px; nothing outside the outline is touched.
        points, texture_points: float32 [m, 2], px.
        light, texture_light: float32 [n, 3] of :func:`light_around`.
        opacity: 0 to 1.
    """
    low = np.floor(outline.min(axis=0)).astype(int)
    columns, rows = (np.ceil(np.ptp(outline, axis=0)).astype(int) // STEP + 2).tolist()
    y, x = np.mgrid[0:rows, 0:columns] * STEP
    grid = np.stack([x + low[0], y + low[1]], axis=-1).astype(np.float32)
    here, there = np.concatenate([points, outline]), np.concatenate([texture_points, texture_outline])
    native_library().lipsync.composite(
        picture,
        texture=texture,
        field=thin_plate(here, there, grid),
        gain=_gains(_ratio(light, texture_light), outline, grid),
        origin=(int(low[0]), int(low[1]), STEP),
        outline=np.ascontiguousarray(outline),
        feather=float(_FEATHER * np.ptp(outline[:, 0])),
        opacity=opacity,
    )


def light_around(image: Image, outline: Floats) -> Floats:
    """Colour of the skin just inside each point of the outline, float32 [n, 3]."""
    inside = outline + np.float32(_INWARDS) * (outline.mean(axis=0) - outline)
    return colours(image, inside, _BLUR * float(np.ptp(outline[:, 0])))


def colours(image: Image, points: Floats, reach: float) -> Floats:
    """Mean colour, float32 [n, 3], of uint8 RGB ``image`` around ``points`` [n, 2], each from 9 pixels
    ``reach`` px apart."""
    steps = np.array([(dx, dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1)], np.float32) * np.float32(reach)
    places = np.rint(points[:, None] + steps).astype(int)
    x = np.clip(places[..., 0], 0, image.shape[1] - 1)
    y = np.clip(places[..., 1], 0, image.shape[0] - 1)
    return np.asarray(image[y, x].mean(axis=1), np.float32)


def _ratio(light: Floats, texture_light: Floats) -> Floats:
    return np.asarray(light / np.maximum(texture_light, 1), np.float32)


def _gains(ratio: Floats, outline: Floats, grid: Floats) -> Floats:
    """Factors at ``grid`` [rows, columns, 2] between those at the outline, by inverse squared distance."""
    smooth = (np.roll(ratio, 1, axis=0) + 2 * ratio + np.roll(ratio, -1, axis=0)) / 4
    smooth = np.clip(smooth, 1 / _GAIN_LIMIT, _GAIN_LIMIT)
    near = 1 / (((grid[:, :, None] - outline) ** 2).sum(axis=-1) + STEP**2)
    return np.asarray((near / near.sum(axis=-1, keepdims=True)) @ smooth, np.float32)
