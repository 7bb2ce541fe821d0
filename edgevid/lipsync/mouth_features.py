"""What VisemeNet hears: YAMNet's log-mel bands, 100 rows a second, placed so that a step sees 80 ms ahead.

Row i holds the 25 ms from 10 i ms on. Step t of a curve, at 20 t ms, is computed from the rows before
``2 t + AHEAD_ROWS``, so from sound until 75 ms after it.
"""

from __future__ import annotations

import numpy as np

from edgevid.lipsync.nouns import CURVE_STEP_NS, Floats
from edgevid.perception.audio_intake import RATE
from edgevid.perception.yamnet import log_mel

BANDS = 64
ROWS_PER_STEP = 2
AHEAD_ROWS = 6
HOP = RATE // 100
WINDOW = 400
SILENT = float(np.log(np.float32(0.001)))
"""A band of digital silence."""
STEP_SAMPLES = RATE * CURVE_STEP_NS // 1_000_000_000


def steps_of(samples: int) -> int:
    """Steps of the curve over so many samples at 16 kHz: the last lies at or before their end."""
    return samples // STEP_SAMPLES + 1


def at_model_rate(samples: Floats, rate: int) -> Floats:
    """float32 [n] at 16 kHz; what is not finite counts as silence."""
    samples = np.nan_to_num(np.asarray(samples, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if rate == RATE or not len(samples):
        return samples
    import soxr

    return np.asarray(soxr.resample(samples, rate, RATE), np.float32)


def mel_rows(samples: Floats) -> Floats:
    """float32 [ROWS_PER_STEP * (steps - 1) + AHEAD_ROWS, 64] of samples at 16 kHz; silence follows them."""
    rows = ROWS_PER_STEP * (steps_of(len(samples)) - 1) + AHEAD_ROWS
    padded = np.zeros((rows - 1) * HOP + WINDOW, np.float32)
    kept = min(len(padded), len(samples))
    padded[:kept] = samples[:kept]
    return log_mel(padded)
