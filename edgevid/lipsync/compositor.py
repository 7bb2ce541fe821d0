"""A mouth of the speaker's own, drawn as the parameters want it, on a frame of the speaker.

Where the lips shall lie is asked of the speaker's own geometry (``SpeakerLips``) on a head turned as this
one, plus what this face does of its own, a smile say. The mouth of the atlas that fits best is bent there;
from one mouth to the next it is faded.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevid.lipsync.atlas import OUTLINE, Mouth, MouthAtlas
from edgevid.lipsync.mouth_shape import LipBasis, lips_of, measure
from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.patch import lay, light_around
from edgevid.perception.faces import Face

_MAX_YAW_DEG, _MAX_PITCH_DEG = 30.0, 35.0
_MIN_EYES = 20.0  # px between the outer corners of the eyes: below, a mouth is a few pixels
_RIGHT_EYE, _LEFT_EYE, _NOSE = 33, 263, 2
_STRETCH, _STRETCH_OPEN = 0.05, 0.4
"""A mouth is opened further by so many widths, and by this share of its own opening: a closed one has no
teeth to show, and teeth drawn out look like it."""
_PRESS, _PRESS_BELOW = 0.03, 0.05
"""Lips that shall be less than the second apart are pressed together, where they touch by the first: the face
around them, whose own mouth may be open, makes them look parted."""
_FADE = 0.5  # of the mouth before in the first frame of another
_EASE = 0.1  # share of a new frame in what is kept of the face's own expression
_LIGHT_EASE, _LIGHT_JUMP = 0.4, 0.15  # the same of the light, and the relative change that is taken at once

Image = npt.NDArray[np.uint8]


class MouthCompositor:
    """Learns one speaker's mouth and draws it. Not to be shared between threads."""

    def __init__(self, basis: LipBasis) -> None:
        self._atlas = MouthAtlas(basis)
        self._track: int | None = None
        self._last: Mouth | None = None
        self._forget()

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
            self._forget()
            return image, reason
        if face.track_id != self._track:
            self._forget()
            self._track = face.track_id
        self._follow(image, face)
        wanted = self._atlas.shape.wanted(params, self._manner)
        chosen = self._atlas.nearest(wanted, face, self._last)
        drawn = np.ascontiguousarray(image).copy()
        before, self._last = self._last, chosen
        if before is not None and before is not chosen and self._furthest(before) >= wanted[0]:
            self._lay(drawn, face, before, wanted)
            self._lay(drawn, face, chosen, wanted, opacity=1 - _FADE)
        else:
            self._lay(drawn, face, chosen, wanted)
        return drawn, ""

    def _forget(self) -> None:
        """Another face, or the same after a gap."""
        self._last = None
        self._expression: Floats | None = None
        self._manner: Floats = np.zeros(2, np.float32)
        self._light: Floats | None = None

    def _follow(self, image: Image, face: Face) -> None:
        """Take in what the face does besides speaking, and its light."""
        shape, own = self._atlas.shape, lips_of(face.mesh)
        measures = measure(own, shape.speaker)
        rest = own - shape.lips(measures, face.yaw_deg, face.pitch_deg)
        self._expression = _eased(self._expression, rest, _EASE)
        self._manner = _eased(self._manner, shape.manner(measures), _EASE)
        light = light_around(image, face.landmarks[list(OUTLINE)])
        if self._light is None or np.abs(light / np.maximum(self._light, 1) - 1).mean() > _LIGHT_JUMP:
            self._light = None
        self._light = _eased(self._light, light, _LIGHT_EASE)

    def _furthest(self, mouth: Mouth) -> float:
        """How far ``mouth`` may be opened."""
        opening = float(measure(mouth.lips, self._atlas.shape.speaker)[0])
        return opening + _STRETCH + _STRETCH_OPEN * opening

    def _lay(self, picture: Image, face: Face, mouth: Mouth, wanted: Floats, *, opacity: float = 1.0) -> None:
        assert self._expression is not None and self._light is not None
        reached = wanted.copy()
        reached[0] = min(wanted[0], self._furthest(mouth))
        reached[0] -= _PRESS * max(0.0, 1 - reached[0] / _PRESS_BELOW)
        lips = self._atlas.shape.lips(reached, face.yaw_deg, face.pitch_deg) + self._expression
        across = face.landmarks[_LEFT_EYE] - face.landmarks[_RIGHT_EYE]
        turn = np.array([[across[0], across[1]], [-across[1], across[0]]], np.float32)
        lay(
            picture,
            face.landmarks[list(OUTLINE)],
            lips @ turn + face.landmarks[_NOSE],
            self._light,
            texture=mouth.texture,
            texture_outline=mouth.outline,
            texture_points=mouth.lip_pixels,
            texture_light=mouth.light,
            opacity=opacity,
        )


def _eased(before: Floats | None, now: Floats, share: float) -> Floats:
    return now if before is None else np.asarray(before + np.float32(share) * (now - before), np.float32)


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
