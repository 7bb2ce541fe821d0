"""468 points of a face: FaceMesh (pack face-mesh; Kartynnik et al., arXiv 1907.06724).

The network sees an upright square around the face, 192 x 192 pixels; where the square lies comes from the
detector's eyes, or from the mesh of the picture before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgevid.models.session import Session
from edgevid.perception.face_detector import LEFT_EYE, RIGHT_EYE, FoundFace

PACK = "face-mesh"
NUM_POINTS = 468
_SIDE = 192
_MARGIN = 1.5  # side of the square to the longer side of the face's box
# Points of the mesh: outer corners of the eyes, cheeks beside the ears, top of the forehead, chin.
_RIGHT_EYE, _LEFT_EYE = 33, 263
_RIGHT_CHEEK, _LEFT_CHEEK, _FOREHEAD, _CHIN = 234, 454, 10, 152

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Region:
    """A square of the picture, turned: centre x, y and side in pixels, angle in radians (clockwise)."""

    x: float
    y: float
    side: float
    angle: float

    def axes(self) -> Floats:
        """[2, 2]: the steps in the picture for one pixel right and one down in the network's square."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.array([[c, s], [-s, c]], np.float32) * np.float32(self.side / _SIDE)


@dataclass(frozen=True, slots=True)
class Mesh:
    """``points`` [468, 2] in pixels of the picture; ``presence`` 0 to 1; head turned by ``yaw_deg``
    (positive: to the picture's right) and ``pitch_deg`` (positive: down)."""

    points: Floats
    presence: float
    yaw_deg: float
    pitch_deg: float


class FaceMesh:
    """Fits the mesh to one face."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, image: npt.NDArray[np.uint8], region: Region) -> Mesh:
        """The mesh in ``region`` of uint8 RGB [h, w, 3]."""
        crop = cut(image, region)
        raw, logit = self._session.run({"images": crop[None]}, ["points", "presence"])
        points = raw.reshape(NUM_POINTS, 3)
        yaw, pitch = head_angles(points)
        centre = np.array([region.x, region.y], np.float32)
        placed = (points[:, :2] - np.float32(_SIDE / 2)) @ region.axes() + centre
        presence = 1 / (1 + np.exp(-np.clip(float(logit.reshape(())), -50, 50)))
        return Mesh(placed, float(presence), yaw, pitch)


def region_of_detection(face: FoundFace) -> Region:
    """Where the mesh is looked for around a detected face."""
    centre = (face.box[:2] + face.box[2:]) / 2
    side = _MARGIN * float((face.box[2:] - face.box[:2]).max())
    return Region(
        float(centre[0]), float(centre[1]), side, _tilt(face.points[LEFT_EYE] - face.points[RIGHT_EYE])
    )


def region_of_mesh(points: Floats) -> Region:
    """Where the mesh is looked for in the next picture."""
    angle = _tilt(points[_LEFT_EYE] - points[_RIGHT_EYE])
    c, s = np.cos(angle), np.sin(angle)
    upright = points @ np.array([[c, -s], [s, c]], np.float32)
    low, high = upright.min(axis=0), upright.max(axis=0)
    x, y = (low + high) / 2
    side = _MARGIN * float((high - low).max())
    return Region(float(x * c - y * s), float(x * s + y * c), side, angle)


def head_angles(points: Floats) -> tuple[float, float]:
    """Yaw and pitch in degrees of a mesh [468, 3] (x right, y down, z away): the direction square to the
    lines cheek to cheek and forehead to chin."""
    across = points[_LEFT_CHEEK] - points[_RIGHT_CHEEK]
    down = points[_CHIN] - points[_FOREHEAD]
    ahead = -np.cross(across, down)
    yaw = np.degrees(np.arctan2(ahead[0], -ahead[2]))
    pitch = np.degrees(np.arctan2(ahead[1], np.hypot(ahead[0], ahead[2])))
    return float(yaw), float(pitch)


def cut(image: npt.NDArray[np.uint8], region: Region) -> Floats:
    """``region`` as float32 RGB [192, 192, 3], 0 to 1, bilinear, the picture's edge repeated outside it."""
    along = np.arange(_SIDE, dtype=np.float32) + np.float32(0.5 - _SIDE / 2)
    (right_x, right_y), (down_x, down_y) = region.axes()
    x = np.float32(region.x - 0.5) + along * right_x + along[:, None] * down_x
    y = np.float32(region.y - 0.5) + along * right_y + along[:, None] * down_y
    x = np.clip(x, 0, image.shape[1] - 1)
    y = np.clip(y, 0, image.shape[0] - 1)
    x0, y0 = x.astype(np.int32), y.astype(np.int32)
    x1, y1 = np.minimum(x0 + 1, image.shape[1] - 1), np.minimum(y0 + 1, image.shape[0] - 1)
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]
    top = image[y0, x0] * (1 - fx) + image[y0, x1] * fx
    bottom = image[y1, x0] * (1 - fx) + image[y1, x1] * fx
    return np.asarray((top * (1 - fy) + bottom * fy) / np.float32(255), np.float32)


def _tilt(eyes: Floats) -> float:
    return float(np.arctan2(eyes[1], eyes[0]))
