"""Whether anything shows between the lips, told by colour: teeth and the dark of a mouth are less red.

The face mesh alone cannot tell: it reads lips that part a little on a fast or tilted head as closed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevid.lipsync.mouth_shape import LIPS
from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.patch import colours

_UPPER = [[LIPS.index(i) for i in line] for line in ((82, 13, 312), (37, 0, 267))]  # inner, outer line
_LOWER = [[LIPS.index(i) for i in line] for line in ((87, 14, 317), (84, 17, 314))]
_ACROSS = np.array([0.2, 0.5, 0.8], np.float32)[:, None, None]
_REACH = 0.01  # of the mouth's width: half a spot
_LEAST_RED = 0.02  # of lips; below, the picture has no colour to go by

SHUT = 0.8
"""Redness at which lips touch: closed mouths of four looked-at clips have 0.84 and more, parted ones 0.78 and
less."""


def redness(image: npt.NDArray[np.uint8], lips: Floats) -> float:
    """How red the least red spot between the lips is, as a share of the lips' own redness: 0 to 1.

    ``lips`` [40, 2] in the order of ``mouth_shape.LIPS``, px of uint8 RGB ``image`` [h, w, 3]. 1 where the
    picture has no colour.
    """
    upper, upper_edge = (lips[line] for line in _UPPER)
    lower, lower_edge = (lips[line] for line in _LOWER)
    between = (upper + _ACROSS * (lower - upper)).reshape(-1, 2)
    flesh = np.concatenate([(upper + upper_edge) / 2, (lower + lower_edge) / 2])
    reach = _REACH * float(np.ptp(lips[:, 0]))
    own = float(_red(colours(image, flesh, reach)).mean())
    if own < _LEAST_RED:
        return 1.0
    return float(np.clip(_red(colours(image, between, reach)).min() / own, 0, 1))


def _red(colour: Floats) -> Floats:
    return np.asarray((colour[:, 0] - colour[:, 1]) / np.maximum(colour.sum(axis=1), 1), np.float32)
