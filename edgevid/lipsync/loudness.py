"""Whether there is a voice to move a mouth, from the log-mel rows VisemeNet hears."""

from __future__ import annotations

import numpy as np

from edgevid.lipsync.mouth_features import AHEAD_ROWS, ROWS_PER_STEP
from edgevid.lipsync.nouns import Floats

_BEHIND_ROWS = 8  # a mouth may stay open 80 ms after the last sound
_QUIETEST_PEAK = 0.3  # mean band magnitude of soft speech: 20 dB below that of a close microphone
_SILENT_BELOW, _VOICED_ABOVE = 0.02, 0.05  # of the loudest sound so far
_KEPT = 0.5 ** (1 / 500)  # of the loudest sound, from step to step: it is halved in 10 s


class Loudness:
    """Of one sound that comes in pieces; how it is cut changes nothing."""

    def __init__(self) -> None:
        self._recent = np.zeros(_BEHIND_ROWS, np.float32)
        self._peak = _QUIETEST_PEAK

    def push(self, rows: Floats) -> Floats:
        """float32 [steps]: 1 with a voice, 0 in silence, between them in fading; for the steps that ``rows``
        [n, 64] complete."""
        self._recent = np.concatenate([self._recent, np.exp(rows).mean(axis=1)])
        span = _BEHIND_ROWS + AHEAD_ROWS
        voices = []
        for first in range(0, len(self._recent) - span + 1, ROWS_PER_STEP):
            seen = self._recent[first : first + span]
            loudest = float(seen.max())
            self._peak = max(self._peak * _KEPT, loudest, _QUIETEST_PEAK)
            share = loudest / self._peak
            voices.append((share - _SILENT_BELOW) / (_VOICED_ABOVE - _SILENT_BELOW))
        self._recent = self._recent[len(voices) * ROWS_PER_STEP :]
        return np.clip(np.array(voices, np.float32), 0, 1)
