"""Lips of a face mesh as numbers that do not depend on where, how large or how tilted the face is.

Lip points are measured from the base of the nose, along and square to the line through the outer corners of
the eyes, in units of the speaker's neutral mouth width. ``LipBasis`` turns them into the six parameters of
``MouthCurve`` and back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgevid.lipsync.nouns import NUM_MOUTH_PARAMS, Floats

# Points of the mesh: outer corners of the eyes, base of the nose.
_RIGHT_EYE, _LEFT_EYE, _NOSE = 33, 263, 2
OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
LIPS = OUTER + INNER
"""The lips in FaceMesh's numbering: the outer line from the right corner along the lower lip and back along
the upper one, then the inner line in the same order."""

_CORNERS = LIPS.index(61), LIPS.index(291)
_UPPER_INNER = [LIPS.index(i) for i in (82, 13, 312)]
_LOWER_INNER = [LIPS.index(i) for i in (87, 14, 317)]
_UPPER_OUTER = [LIPS.index(i) for i in (37, 0, 267)]
_LOWER_OUTER = [LIPS.index(i) for i in (84, 17, 314)]
NUM_MEASURES = 3


@dataclass(frozen=True, slots=True)
class Speaker:
    """What is particular to a face.

    Attributes:
        width: of the neutral mouth, in units of the distance between the outer corners of the eyes.
        gap, thickness: between and of the lips as the mesh shows them when closed, in units of ``width``.
    """

    width: float
    gap: float
    thickness: float


def lips_of(landmarks: Floats) -> Floats:
    """Lip points [40, 2] of a mesh [468, 2] in pixels, in units of the distance between the eyes."""
    across = landmarks[_LEFT_EYE] - landmarks[_RIGHT_EYE]
    unit = max(float(across @ across), 1e-6)
    turn = np.array([[across[0], -across[1]], [across[1], across[0]]], np.float32) / np.float32(unit)
    return np.asarray((landmarks[list(LIPS)] - landmarks[_NOSE]) @ turn, np.float32)


def fit_speaker(lips: Floats) -> Speaker:
    """From some seconds of ``lips`` [frames, 40, 2] of :func:`lips_of` that hold closed mouths too."""
    gap = _gap(lips)
    closed = gap <= np.quantile(gap, 0.15)
    width = float(np.median(_width(lips[closed])))
    return Speaker(
        width, float(np.median(gap[closed])) / width, float(np.median(_thickness(lips[closed]))) / width
    )


def measure(lips: Floats, speaker: Speaker) -> Floats:
    """Opening, width and protrusion, float32 [..., 3], of ``lips`` [..., 40, 2].

    Protrusion is what a frontal picture shows of it: how much thicker both lips are than when closed.
    """
    gap, width, thickness = (of(lips) / speaker.width for of in (_gap, _width, _thickness))
    opening = np.maximum(gap - speaker.gap, 0)
    return np.stack([opening, width, thickness - speaker.thickness], axis=-1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class LipBasis:
    """Lip points as a linear function of the six parameters.

    Attributes:
        mean: float32 [40, 2], at opening 0, width 1, protrusion 0 and no weights.
        directions: float32 [NUM_MOUTH_PARAMS, 40, 2]; the last three are orthonormal.
    """

    mean: Floats
    directions: Floats

    def params(self, lips: Floats, speaker: Speaker) -> Floats:
        """float32 [..., NUM_MOUTH_PARAMS] of ``lips`` [..., 40, 2] of :func:`lips_of`."""
        measures = measure(lips, speaker)
        rest = lips / np.float32(speaker.width) - self._measured(measures)
        weights = np.einsum("...pc,kpc->...k", rest, self.directions[NUM_MEASURES:])
        return np.concatenate([measures, weights], axis=-1).astype(np.float32)

    def lips(self, params: Floats, speaker: Speaker) -> Floats:
        """Lip points [..., 40, 2] as :func:`lips_of` gives them, of ``params`` [..., NUM_MOUTH_PARAMS]."""
        shape = self._measured(params[..., :NUM_MEASURES])
        shape = shape + np.einsum(
            "...k,kpc->...pc", params[..., NUM_MEASURES:], self.directions[NUM_MEASURES:]
        )
        return np.asarray(shape * np.float32(speaker.width), np.float32)

    def _measured(self, measures: Floats) -> Floats:
        moved = measures - np.array([0, 1, 0], np.float32)
        return np.asarray(self.mean + np.einsum("...k,kpc->...pc", moved, self.directions[:NUM_MEASURES]))


def fit_basis(tracks: list[tuple[Floats, Speaker]]) -> LipBasis:
    """Least squares of lip points on the measures, then the main axes of what is left, over ``tracks`` of
    lips [frames, 40, 2]; every track's own middle is taken out of the second step."""
    points = [(lips / np.float32(speaker.width)).reshape(len(lips), -1) for lips, speaker in tracks]
    moved = [measure(lips, speaker) - np.array([0, 1, 0], np.float32) for lips, speaker in tracks]
    known = np.concatenate([np.column_stack([np.ones(len(m)), m]) for m in moved])
    solved = np.linalg.lstsq(known, np.concatenate(points), rcond=None)[0]
    rest = [p - np.column_stack([np.ones(len(m)), m]) @ solved for p, m in zip(points, moved, strict=True)]
    axes = np.linalg.svd(np.concatenate([r - r.mean(axis=0) for r in rest]), full_matrices=False)[2]
    directions = np.concatenate([solved[1:], axes[: NUM_MOUTH_PARAMS - NUM_MEASURES]])
    shape = (-1, len(LIPS), 2)
    return LipBasis(
        solved[0].reshape(shape)[0].astype(np.float32), directions.reshape(shape).astype(np.float32)
    )


def _gap(lips: Floats) -> Floats:
    return np.asarray((lips[..., _LOWER_INNER, 1] - lips[..., _UPPER_INNER, 1]).mean(axis=-1))


def _width(lips: Floats) -> Floats:
    return np.asarray(np.linalg.norm(lips[..., _CORNERS[1], :] - lips[..., _CORNERS[0], :], axis=-1))


def _thickness(lips: Floats) -> Floats:
    upper = lips[..., _UPPER_INNER, 1] - lips[..., _UPPER_OUTER, 1]
    lower = lips[..., _LOWER_OUTER, 1] - lips[..., _LOWER_INNER, 1]
    return np.asarray((upper + lower).mean(axis=-1) / 2)
