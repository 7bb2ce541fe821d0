"""How one speaker's lips lie: by how far the mouth is open and how the head is turned.

A ridge regression over the frames seen so far, drawn towards the lips of everybody (``LipBasis``) where the
speaker has shown little. What a turned head does to the lips of a flat picture is learnt with it.
"""

from __future__ import annotations

import numpy as np

from edgevid.lipsync.mouth_shape import LIPS, NUM_MEASURES, LipBasis, fit_speaker, measure
from edgevid.lipsync.nouns import Floats

_TURN_DEG = 30.0  # a turn of this size counts as one
_TRUST = 0.05  # of the prior, in squared units of the measures: a few frames outweigh it
_USUAL_TOP = 0.07  # 90th percentile of the openings asked for, over dubs in Spanish
_LEAST_TOP, _MOST_TOP = 0.07, 0.3  # of the speaker's own
_CONTRAST = 1.6
_USUAL_REST = np.array([0.975, 0.011], np.float32)  # width and protrusion asked for, mean over the same


class SpeakerLips:
    """One speaker's mouth.

    Args:
        lips: float32 [frames, 40, 2] of :func:`mouth_shape.lips_of`, closed mouths among them.
        turns: float32 [frames, 2], yaw and pitch of the head in degrees.

    Attributes:
        speaker: the neutral mouth.
    """

    def __init__(self, lips: Floats, turns: Floats, basis: LipBasis) -> None:
        self.speaker = fit_speaker(lips)
        measures = measure(lips, self.speaker)
        self._openings = np.quantile(measures[:, 0], [0.9, 0.95])
        self._middle = measures.mean(axis=0)
        moved = measures - self._middle
        self._slope = moved[:, 0] @ moved[:, 1:] / (moved[:, 0] @ moved[:, 0] + _TRUST)
        known = _known(measures, turns)
        prior = np.zeros((known.shape[1], 2 * len(LIPS)))
        prior[0] = basis.mean.ravel() * self.speaker.width
        prior[1 : 1 + NUM_MEASURES] = basis.directions[:NUM_MEASURES].reshape(NUM_MEASURES, -1)
        prior[1 : 1 + NUM_MEASURES] *= self.speaker.width
        rest = lips.reshape(len(lips), -1) - known @ prior
        trust = np.diag([1e-6] + [_TRUST] * (known.shape[1] - 1))
        self._weights = prior + np.linalg.solve(known.T @ known + trust, known.T @ rest)

    def lips(self, measures: Floats, yaw_deg: float, pitch_deg: float) -> Floats:
        """float32 [40, 2] of :func:`mouth_shape.lips_of` for opening, width, protrusion [3]."""
        known = _known(measures[None], np.array([[yaw_deg, pitch_deg]], np.float32))
        return np.asarray((known @ self._weights).reshape(len(LIPS), 2), np.float32)

    def manner(self, measures: Floats) -> Floats:
        """How much wider and further out, float32 [2], a mouth of ``measures`` [3] is than usual with this
        speaker at such an opening: a smile, a pout."""
        return measures[1:] - self._usual(measures[0])

    def wanted(self, asked: Floats, manner: Floats) -> Floats:
        """Opening, width and protrusion, float32 [3], with which this speaker in this ``manner`` would say
        what a mouth's curve ``asked`` for.

        Curves are a mean over speakers and sounds, and so move less than any of them: they are stretched to
        the speaker's range, wide openings more than small ones. An opening of 0 stays 0.
        """
        top = float(np.clip(self._openings[0], _LEAST_TOP, _MOST_TOP))
        most = max(top, float(self._openings[1]))
        opening = min(top * (max(float(asked[0]), 0.0) / _USUAL_TOP) ** _CONTRAST, most)
        rest = self._usual(opening) + manner + asked[1:NUM_MEASURES] - _USUAL_REST
        return np.array([opening, *rest], np.float32)

    def _usual(self, opening: float) -> Floats:
        return np.asarray(self._middle[1:] + self._slope * (opening - self._middle[0]), np.float32)


def _known(measures: Floats, turns: Floats) -> Floats:
    """[frames, 6]: 1, the measures about those of the neutral mouth, the turns."""
    moved = measures - np.array([0, 1, 0], np.float32)
    return np.column_stack([np.ones(len(moved)), moved, turns / _TURN_DEG])
