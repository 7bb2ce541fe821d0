"""A face drawn for tests, with the mesh that goes with it: no network needed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevid.lipsync.atlas import OUTLINE
from edgevid.lipsync.nouns import Floats
from edgevid.perception.faces import Face
from tests.lipsync.test_mouth_shape import face

SIDE = 240
SKIN, LIP, TEETH = (205, 165, 145), (190, 95, 105), (235, 230, 220)
_EYES = np.array([120, 60], np.float32)  # middle between them


def drawn_face(
    opening: float,
    *,
    width: float = 60.0,
    yaw_deg: float = 0.0,
    light: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> tuple[npt.NDArray[np.uint8], Face]:
    """uint8 RGB [SIDE, SIDE, 3] and its face, the mouth ``opening`` px open and ``width`` wide, with teeth
    between the lips."""
    at = _EYES + np.float32(shift)
    mesh = face(opening=opening, width=width)
    angles = np.pi / 2 - 2 * np.pi * np.arange(len(OUTLINE)) / len(OUTLINE)
    ring = np.column_stack([48 * np.cos(angles), 72 - 42 * np.sin(angles)])
    eyes = mesh[[33, 263]].copy()
    mesh[list(OUTLINE)] = ring
    mesh[[33, 263]] = eyes
    mesh[2] = (0, 45)
    mesh += at
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    image = np.empty((SIDE, SIDE, 3), np.float32)
    image[:] = SKIN
    image += 6 * np.sin(x / 9)[..., None]  # something to see on the skin
    across, down = x - at[0], y - at[1] - 70
    image[np.hypot(across / (width / 2), down / (opening / 2 + 10)) < 1] = LIP
    if opening > 0:
        image[np.hypot(across / (0.45 * width), down / (opening / 2)) < 1] = TEETH
    picture = (image * light).clip(0, 255).astype(np.uint8)
    low, high = mesh.min(axis=0), mesh.max(axis=0)
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return picture, Face(0, box, 1.0, mesh, yaw_deg, 0.0, mesh)


def speech(frames: int = 60, *, most: float = 16.0) -> Floats:
    """Openings in px of somebody who speaks."""
    return (most / 2 * (1 - np.cos(np.arange(frames) / 3))).astype(np.float32)
