"""A mouth of the speaker's own, drawn as the parameters want it, on a frame of the speaker.

The nearest mouth of the atlas is bent by a thin-plate field to the wanted lip points; its surroundings are
pinned to the frame's own face. One native pass remaps, matches colours and blends.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevid.lipsync.atlas import OUTLINE, Mouth, MouthAtlas
from edgevid.lipsync.mouth_shape import NUM_MEASURES, LipBasis, measure
from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.thin_plate import thin_plate
from edgevid.models.native import native_library
from edgevid.perception.faces import Face

_MAX_YAW_DEG, _MAX_PITCH_DEG = 30.0, 35.0
_MIN_EYES = 20.0  # px between the outer corners of the eyes: below, a mouth is a few pixels
_RIGHT_EYE, _LEFT_EYE, _NOSE = 33, 263, 2
_MAX_STRETCH = 0.05  # of the neutral width: teeth drawn out further look like it
_STEP = 4  # px of the picture between points of the field
_FEATHER = 0.12  # of the outline's width
_GAIN_LIMIT = 1.5

Image = npt.NDArray[np.uint8]


class MouthCompositor:
    """Learns one speaker's mouth and draws it. Not to be shared between threads."""

    def __init__(self, basis: LipBasis) -> None:
        self._basis = basis
        self._atlas = MouthAtlas()
        self._last: int | None = None

    def learn(self, image: Image, face: Face) -> None:
        """See the speaker's own mouth in uint8 RGB [h, w, 3]; faces that could not be drawn are passed by."""
        if not _unfit(image, face):
            self._atlas.add(image, face)

    def draw(self, image: Image, face: Face, params: Floats) -> tuple[Image, str]:
        """A copy of uint8 RGB ``image`` [h, w, 3] with the mouth of ``params`` [NUM_MOUTH_PARAMS], and ""; or
        ``image`` itself and why: ``turned head``, ``leaving the picture``, ``small face``, ``learning the
        mouth``."""
        reason = _unfit(image, face) or ("" if self._atlas.ready else "learning the mouth")
        if reason:
            return image, reason
        wanted = params[:NUM_MEASURES]
        self._last = self._atlas.nearest(wanted, face, self._last)
        mouth = self._atlas.mouths[self._last]
        drawn = np.ascontiguousarray(image).copy()
        _lay(drawn, face, mouth, self._lips(mouth, wanted, face))
        return drawn, ""

    def _lips(self, mouth: Mouth, wanted: Floats, face: Face) -> Floats:
        """Where the lips shall be, [40, 2] in pixels: those of ``mouth``, moved by what it lacks."""
        speaker = self._atlas.speaker
        lacks = wanted - measure(mouth.lips, speaker)
        lacks[0] = min(lacks[0], _MAX_STRETCH)
        moved = np.einsum("k,kpc->pc", lacks, self._basis.directions[:NUM_MEASURES]) * speaker.width
        across = face.landmarks[_LEFT_EYE] - face.landmarks[_RIGHT_EYE]
        turn = np.array([[across[0], across[1]], [-across[1], across[0]]], np.float32)
        return np.asarray((mouth.lips + moved) @ turn + face.landmarks[_NOSE], np.float32)


def _lay(picture: Image, face: Face, mouth: Mouth, lips: Floats) -> None:
    outline = np.ascontiguousarray(face.landmarks[list(OUTLINE)])
    low = np.floor(outline.min(axis=0)).astype(int)
    columns, rows = (np.ceil(np.ptp(outline, axis=0)).astype(int) // _STEP + 2).tolist()
    y, x = np.mgrid[0:rows, 0:columns] * _STEP
    grid = np.stack([x + low[0], y + low[1]], axis=-1).astype(np.float32)
    points = np.concatenate([lips, outline])
    field = thin_plate(points, np.concatenate([mouth.lip_pixels, mouth.outline]), grid)
    native_library().lipsync.composite(
        picture,
        texture=mouth.texture,
        field=field,
        origin=(int(low[0]), int(low[1]), _STEP),
        outline=outline,
        feather=float(_FEATHER * np.ptp(outline[:, 0])),
        gain=_gain(_around(picture, outline), _around(mouth.texture, mouth.outline)),
    )


def _gain(target: Floats, source: Floats) -> tuple[float, float, float]:
    red, green, blue = np.clip(target / np.maximum(source, 1.0), 1 / _GAIN_LIMIT, _GAIN_LIMIT)
    return float(red), float(green), float(blue)


def _around(image: Image, outline: Floats) -> Floats:
    """Mean colour [3] of the skin just inside the outline."""
    middle = outline.mean(axis=0)
    x, y = np.round(outline + 0.1 * (middle - outline)).astype(int).T
    x, y = np.clip(x, 1, image.shape[1] - 2), np.clip(y, 1, image.shape[0] - 2)
    pixels = [image[y + dy, x + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return np.asarray(np.concatenate(pixels).mean(axis=0), np.float32)


def _unfit(image: Image, face: Face) -> str:
    """Why no mouth can be drawn on ``face``; "" when one can."""
    if abs(face.yaw_deg) > _MAX_YAW_DEG or abs(face.pitch_deg) > _MAX_PITCH_DEG:
        return "turned head"
    eyes = face.landmarks[_LEFT_EYE] - face.landmarks[_RIGHT_EYE]
    if float(np.hypot(*eyes)) < _MIN_EYES:
        return "small face"
    outline = face.landmarks[list(OUTLINE)]
    limits = np.array([image.shape[1], image.shape[0]], np.float32)
    if (outline < 2).any() or (outline > limits - 3).any():
        return "leaving the picture"
    return ""
