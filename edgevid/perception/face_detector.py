"""Where faces are: BlazeFace short range (pack blazeface; Bazarevsky et al., arXiv 1907.05047).

The network looks at 128 x 128 pixels and gives, for each of 896 places, a score and the box and six points
of the face there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgevid.models.session import Session
from edgevid.perception.scaling import resize

PACK = "blazeface"
RIGHT_EYE, LEFT_EYE, NOSE, MOUTH = range(4)  # rows of FoundFace.points; right is the person's own
_SIDE = 128
_GRIDS = ((16, 2), (8, 6))  # cells along a side, places per cell
_FULL_LOGIT = 80.0  # beyond it exp overflows in float32

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FoundFace:
    """``box`` x0, y0, x1, y1 and ``points`` [6, 2] (eyes, nose tip, mouth, ears) in pixels of the picture."""

    box: Floats
    points: Floats
    score: float


class FaceDetector:
    """Finds faces in single pictures.

    The picture is seen whole, and, where that shows no face and it is not square, in squares along its longer
    side: a face of 130 pixels in a 1080 x 1920 picture is only 9 pixels high in the whole.
    """

    def __init__(self, session: Session, *, floor: float = 0.5) -> None:
        self._session = session
        self._floor = floor

    def __call__(self, image: npt.NDArray[np.uint8]) -> list[FoundFace]:
        """Faces in uint8 RGB [h, w, 3] above the floor, best first."""
        height, width = image.shape[:2]
        if found := self._look(image, 0, 0, max(height, width)):
            return found
        short, spare = min(height, width), abs(height - width)
        steps = -(-2 * spare // short)  # squares overlap by half
        starts = [round(spare * i / steps) for i in range(steps + 1)] if steps else []
        seen: list[FoundFace] = []
        for start in starts:
            top, left = (start, 0) if height > width else (0, start)
            seen += self._look(image, top, left, short)
        return _merge(seen)

    def _look(self, image: npt.NDArray[np.uint8], top: int, left: int, side: int) -> list[FoundFace]:
        part = image[top : top + side, left : left + side]
        rows, columns = (max(1, round(length * _SIDE / side)) for length in part.shape[:2])
        square = np.zeros((_SIDE, _SIDE, 3), np.uint8)
        square[:rows, :columns] = resize(part, rows, columns)
        inputs = square.astype(np.float32)[None] / 127.5 - 1.0
        boxes, scores = self._session.run({"images": inputs}, ["boxes", "scores"])
        found = decode(boxes[0], scores[0, :, 0], floor=self._floor)
        corner = np.array([left, top], np.float32)
        return [
            FoundFace(face.box * side + np.tile(corner, 2), face.points * side + corner, face.score)
            for face in found
        ]


def decode(raw: Floats, logits: Floats, *, floor: float) -> list[FoundFace]:
    """Faces, best first, in fractions of the square, of ``raw`` [896, 16] (centre, size and six points, in
    pixels from the place's centre) and ``logits`` [896]; what is not a finite number is none."""
    usable = np.isfinite(logits) & np.isfinite(raw).all(axis=1)
    clipped = np.clip(np.where(usable, logits, -_FULL_LOGIT), -_FULL_LOGIT, _FULL_LOGIT)
    scores = 1 / (1 + np.exp(-clipped))
    keep = np.flatnonzero(scores >= floor)
    centres = _PLACES[keep]
    centre = raw[keep, :2] / _SIDE + centres
    half = raw[keep, 2:4] / (2 * _SIDE)
    boxes = np.concatenate([centre - half, centre + half], axis=1)
    points = raw[keep, 4:].reshape(-1, 6, 2) / _SIDE + centres[:, None]
    found = [FoundFace(b, p, float(s)) for b, p, s in zip(boxes, points, scores[keep], strict=True)]
    return _merge([face for face in found if (face.box[2:] > face.box[:2]).all()])


def overlap(a: Floats, b: Floats) -> float:
    """Intersection over union of two boxes."""
    width, height = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    if width <= 0 or height <= 0:
        return 0.0
    area = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - width * height
    return float(width * height / area)


def _merge(faces: list[FoundFace]) -> list[FoundFace]:
    """One face per place: overlapping ones averaged by their scores, which steadies the box."""
    left = sorted(faces, key=lambda face: -face.score)
    merged: list[FoundFace] = []
    while left:
        group = [face for face in left if overlap(left[0].box, face.box) > 0.3]
        left = [face for face in left[1:] if not any(face is member for member in group)]
        weights = np.array([face.score for face in group], np.float32)
        weights /= weights.sum()
        box = np.tensordot(weights, np.stack([face.box for face in group]), 1)
        points = np.tensordot(weights, np.stack([face.points for face in group]), 1)
        merged.append(FoundFace(box, points, group[0].score))
    return merged


def _places() -> Floats:
    """Centres [896, 2] of the network's places in fractions of the square."""
    grids = []
    for cells, repeats in _GRIDS:
        along = (np.arange(cells) + 0.5) / cells
        x, y = np.meshgrid(along, along)
        grids.append(np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), repeats, axis=0))
    return np.concatenate(grids).astype(np.float32)


_PLACES = _places()
