"""Real mouths of one speaker, to draw from: plain warping of a closed mouth smears the lips and has no teeth.

Mouths are kept by opening, width and turn of the head, of two alike the sharper one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgevid.lipsync.mouth_shape import LIPS, LipBasis, Speaker, lips_of, measure
from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.patch import colours, light_around
from edgevid.lipsync.seam import SHUT, redness
from edgevid.lipsync.speaker_lips import SpeakerLips
from edgevid.perception.faces import Face

_RIGHT_SIDE = (326, 423, 426, 436, 432, 422, 424, 431, 262, 428)
_LEFT_SIDE = (208, 32, 211, 204, 202, 212, 216, 206, 203, 97)
OUTLINE = (2, *_RIGHT_SIDE, 199, *_LEFT_SIDE)
"""Points of the mesh around mouth and chin, from the base of the nose to the picture's right and round: what
is drawn lies inside."""

_MAX_MOUTHS = 128
_MAX_FRAMES = 300  # of which the speaker's lips are learnt
_MIN_FRAMES = 25
_MIN_MOUTHS = 6
_APART = 0.012  # least difference of two mouths, in units of the distance between the eyes
_APART_DEG = 8.0  # or of two heads
_SHARPER = 1.2  # a mouth is replaced by one alike that is this much sharper
_RAW = Speaker(width=1.0, gap=0.0, thickness=0.0)
# Cost of a mouth: per width of opening, width and protrusion it lacks, per degree the head is turned
# otherwise, per relative difference of its looks from the last one drawn; what the last one is preferred by;
# per share of the usual sharpness it lacks.
_COST = np.array([1.0, 0.4, 0.2], np.float32)
_COST_DEG, _COST_LOOKS, _STAY, _COST_BLUR = 0.004, 0.15, 0.03, 0.15
_COST_TEETH = 1.5  # more for a mouth that is too far open: shut, it still shows its teeth
# Widths of opening below which lips shall touch, above which they shall not, and for lips that do otherwise.
_SHUT, _PARTED, _COST_WRONG = 0.02, 0.05, 0.2
_LOOKS_X, _LOOKS_Y = np.linspace(-0.5, 0.5, 11), np.linspace(-0.3, 0.4, 8)  # in widths of the mouth

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Mouth:
    """One real mouth.

    Attributes:
        texture: uint8 RGB [h, w, 3], the piece of picture around it.
        lips: float32 [40, 2] of :func:`lips_of`.
        lip_pixels, outline: float32 [40, 2] and [len(OUTLINE), 2] in pixels of ``texture``.
        light: float32 [len(OUTLINE), 3] of ``light_around``.
        looks: float32 [n], brightness on a grid over the lips about its mean.
        redness: of :func:`seam.redness`.
        sharpness: mean absolute second difference of its pixels: low when the head moved during the exposure.
        yaw_deg, pitch_deg: of the head.
    """

    texture: Image
    lips: Floats
    lip_pixels: Floats
    outline: Floats
    light: Floats
    looks: Floats
    redness: float
    sharpness: float
    yaw_deg: float
    pitch_deg: float

    @property
    def shut(self) -> bool:
        """Whether the lips touch, by their colour."""
        return self.redness >= SHUT


class MouthAtlas:
    """Collects mouths; bounded in number and memory."""

    def __init__(self, basis: LipBasis) -> None:
        self._basis = basis
        self.mouths: list[Mouth] = []
        self._measures: list[Floats] = []
        self._lips: list[Floats] = []
        self._turns: list[tuple[float, float]] = []
        self._shape: SpeakerLips | None = None
        self._key: Floats | None = None

    @property
    def ready(self) -> bool:
        """Whether there is enough to draw from."""
        return len(self._lips) >= _MIN_FRAMES and len(self.mouths) >= _MIN_MOUTHS

    @property
    def shape(self) -> SpeakerLips:
        """The speaker's lips, from the frames so far."""
        if self._shape is None:
            turns = np.array(self._turns, np.float32)
            self._shape = SpeakerLips(np.stack(self._lips), turns, self._basis)
        return self._shape

    def add(self, image: Image, face: Face) -> None:
        """See the mouth of ``face``, which must lie inside uint8 RGB ``image`` [h, w, 3]."""
        lips = lips_of(face.mesh)
        if len(self._lips) < _MAX_FRAMES:
            self._lips.append(lips)
            self._turns.append((face.yaw_deg, face.pitch_deg))
            self._shape = self._key = None
        outline = face.mesh[list(OUTLINE)]
        margin = np.ceil(0.1 * np.ptp(outline[:, 0]))
        limits = np.array([image.shape[1], image.shape[0]], np.float32)
        low = np.clip(np.floor(outline.min(axis=0)) - margin, 0, limits).astype(int)
        high = np.clip(np.ceil(outline.max(axis=0)) + margin + 1, 0, limits).astype(int)
        texture = image[low[1] : high[1], low[0] : high[0]].copy()
        if min(texture.shape[:2]) < 3:
            return
        corner = low.astype(np.float32)
        lip_pixels, outline = face.mesh[list(LIPS)] - corner, outline - corner
        mouth = Mouth(
            texture=texture,
            lips=lips,
            lip_pixels=lip_pixels,
            outline=outline,
            light=light_around(texture, outline),
            looks=_looks(texture, lip_pixels),
            redness=redness(texture, lip_pixels),
            sharpness=_sharpness(texture),
            yaw_deg=face.yaw_deg,
            pitch_deg=face.pitch_deg,
        )
        self._keep(mouth, measure(lips, _RAW))

    def _keep(self, mouth: Mouth, key: Floats) -> None:
        alike, apart = 0, np.inf
        for i, (known, other) in enumerate(zip(self._measures, self.mouths, strict=True)):
            shapes = float(np.abs(key - known)[:2].max()) / _APART
            distance = max(shapes, float(_turned(mouth, other)) / _APART_DEG)
            if distance < apart and mouth.shut == other.shut:
                alike, apart = i, distance
        if apart < 1:
            if mouth.sharpness > _SHARPER * self.mouths[alike].sharpness:
                self.mouths[alike], self._measures[alike] = mouth, key
                self._key = None
        elif len(self.mouths) < _MAX_MOUTHS:
            self.mouths.append(mouth)
            self._measures.append(key)
            self._key = None

    def nearest(self, wanted: Floats, face: Face, last: Mouth | None) -> Mouth:
        """The mouth nearest to ``wanted`` (opening, width, protrusion) on a head turned as that of ``face``;
        the ``last`` one drawn is preferred a little, and those that look like it: nothing flickers."""
        lacks = wanted - self._keys()
        cost = np.abs(lacks) @ _COST + _COST_TEETH * np.maximum(-lacks[:, 0], 0)
        shut = np.array([mouth.shut for mouth in self.mouths])
        if wanted[0] < _SHUT or wanted[0] > _PARTED:
            cost += _COST_WRONG * (shut != (wanted[0] < _SHUT))
        sharp = np.array([mouth.sharpness for mouth in self.mouths])
        cost += _COST_BLUR * np.maximum(1 - sharp / max(float(np.median(sharp)), 1e-6), 0)
        cost += np.array([_COST_DEG * _turned(mouth, face) for mouth in self.mouths], np.float32)
        if last is not None:
            looks = np.stack([mouth.looks for mouth in self.mouths])
            cost += _COST_LOOKS * np.abs(looks - last.looks).mean(axis=1)
            cost -= np.array([_STAY * (mouth is last) for mouth in self.mouths], np.float32)
        return self.mouths[int(cost.argmin())]

    def _keys(self) -> Floats:
        """Measures of the mouths, [n, 3]."""
        if self._key is None:
            self._key = measure(np.stack([mouth.lips for mouth in self.mouths]), self.shape.speaker)
        return self._key


def _turned(a: Mouth | Face, b: Mouth | Face) -> float:
    return abs(a.yaw_deg - b.yaw_deg) + abs(a.pitch_deg - b.pitch_deg)


def _looks(texture: Image, lips: Floats) -> Floats:
    right, left = lips[LIPS.index(61)], lips[LIPS.index(291)]
    across = left - right
    down = np.array([-across[1], across[0]], np.float32)
    places = (right + left) / 2 + _LOOKS_X[None, :, None] * across + _LOOKS_Y[:, None, None] * down
    reach = 0.03 * float(np.hypot(*across))
    bright = colours(texture, places.reshape(-1, 2).astype(np.float32), reach).mean(axis=1)
    return np.asarray(bright / max(float(bright.mean()), 1.0) - 1, np.float32)


def _sharpness(texture: Image) -> float:
    green = texture[..., 1].astype(np.float32)
    return float(np.abs(np.diff(green, 2, axis=0)).mean() + np.abs(np.diff(green, 2, axis=1)).mean())
