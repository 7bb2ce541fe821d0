"""Real mouths of one speaker, to draw from: plain warping of a closed mouth smears the lips and has no teeth.

Mouths are kept by opening and width, of two alike the sharper one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgevid.lipsync.mouth_shape import LIPS, Speaker, fit_speaker, lips_of, measure
from edgevid.lipsync.nouns import Floats
from edgevid.perception.faces import Face

OUTLINE = (2, 326, 423, 426, 436, 432, 422, 424, 418, 421, 200, 201, 194, 204, 202, 212, 216, 206, 203, 97)
"""Points of the mesh around mouth and upper chin, from the base of the nose to the picture's right and round:
what is drawn lies inside."""

_MAX_MOUTHS = 96
_MAX_FRAMES = 300  # of which the speaker's neutral mouth is found
_MIN_FRAMES = 25
_MIN_MOUTHS = 6
_APART = 0.012  # least difference of two mouths, in units of the distance between the eyes
_SHARPER = 1.2  # a mouth is replaced by one alike that is this much sharper
_RAW = Speaker(width=1.0, gap=0.0, thickness=0.0)

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Mouth:
    """One real mouth.

    Attributes:
        texture: uint8 RGB [h, w, 3], the piece of picture around it.
        lips: float32 [40, 2] of :func:`lips_of`.
        lip_pixels, outline: float32 [40, 2] and [len(OUTLINE), 2] in pixels of ``texture``.
        yaw_deg, pitch_deg: of the head.
    """

    texture: Image
    lips: Floats
    lip_pixels: Floats
    outline: Floats
    yaw_deg: float
    pitch_deg: float


class MouthAtlas:
    """Collects mouths; bounded in number and memory."""

    def __init__(self) -> None:
        self.mouths: list[Mouth] = []
        self._measures: list[Floats] = []
        self._sharpness: list[float] = []
        self._seen: list[Floats] = []
        self._speaker: Speaker | None = None

    @property
    def ready(self) -> bool:
        """Whether there is enough to draw from."""
        return len(self._seen) >= _MIN_FRAMES and len(self.mouths) >= _MIN_MOUTHS

    @property
    def speaker(self) -> Speaker:
        """The speaker's neutral mouth, from the frames so far."""
        if self._speaker is None:
            self._speaker = fit_speaker(np.stack(self._seen))
        return self._speaker

    def add(self, image: Image, face: Face) -> None:
        """See the mouth of ``face``, which must lie inside uint8 RGB ``image`` [h, w, 3]."""
        lips = lips_of(face.landmarks)
        if len(self._seen) < _MAX_FRAMES:
            self._seen.append(lips)
            self._speaker = None
        outline = face.landmarks[list(OUTLINE)]
        margin = np.ceil(0.1 * np.ptp(outline[:, 0]))
        limits = np.array([image.shape[1], image.shape[0]], np.float32)
        low = np.clip(np.floor(outline.min(axis=0)) - margin, 0, limits).astype(int)
        high = np.clip(np.ceil(outline.max(axis=0)) + margin + 1, 0, limits).astype(int)
        texture = image[low[1] : high[1], low[0] : high[0]].copy()
        if min(texture.shape[:2]) < 3:
            return
        corner = low.astype(np.float32)
        lip_pixels = face.landmarks[list(LIPS)] - corner
        mouth = Mouth(texture, lips, lip_pixels, outline - corner, face.yaw_deg, face.pitch_deg)
        self._keep(mouth, measure(lips, _RAW), _sharpness(texture))

    def _keep(self, mouth: Mouth, key: Floats, sharpness: float) -> None:
        apart = [float(np.abs(key - known)[:2].max()) for known in self._measures]
        alike = int(np.argmin(apart)) if apart else 0
        if apart and apart[alike] < _APART:
            if sharpness > _SHARPER * self._sharpness[alike]:
                self.mouths[alike], self._measures[alike], self._sharpness[alike] = mouth, key, sharpness
        elif len(self.mouths) < _MAX_MOUTHS:
            self.mouths.append(mouth)
            self._measures.append(key)
            self._sharpness.append(sharpness)

    def nearest(self, wanted: Floats, face: Face, last: int | None) -> int:
        """Index of the mouth nearest to ``wanted`` (opening, width, protrusion) on a head turned as that of
        ``face``; the ``last`` one drawn is preferred a little, so that near ties do not flicker."""
        keys = measure(np.stack([mouth.lips for mouth in self.mouths]), self.speaker)
        far = np.abs(keys - wanted) @ np.array([1.0, 0.5, 0.2], np.float32)
        turned = np.array(
            [abs(m.yaw_deg - face.yaw_deg) + abs(m.pitch_deg - face.pitch_deg) for m in self.mouths]
        )
        cost = far + 0.004 * turned
        if last is not None:
            cost[last] -= 0.03
        return int(cost.argmin())


def _sharpness(texture: Image) -> float:
    """Mean absolute second difference of the green channel: low when the head moved during the exposure."""
    green = texture[..., 1].astype(np.float32)
    return float(np.abs(np.diff(green, 2, axis=0)).mean() + np.abs(np.diff(green, 2, axis=1)).mean())
