"""Mel-frequency cepstra as speech recognisers of old took them; ``LightAsd`` was trained on these.

Davis and Mermelstein, "Comparison of parametric representations for monosyllabic word recognition" (1980),
with the settings usual since: 25 ms of sound every 10 ms, first differences, 26 bands to 8 kHz, a cosine
transform of the log energies of which 13 are kept and lifted, the first of them replaced by the log energy
of the window. Samples count as 16-bit integers.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from edgevid.lipsync.nouns import Floats
from edgevid.perception.audio_intake import RATE

COEFFICIENTS = 13
PER_S = 100
_WINDOW, _HOP, _FFT = RATE // 40, RATE // PER_S, 512
_BANDS, _LIFTER, _EMPHASIS = 26, 22, 0.97
_FULL_SCALE = 32_768.0
_LEAST = float(np.finfo(np.float64).eps)

Doubles = npt.NDArray[np.float64]


def mfcc(samples: Floats) -> Floats:
    """float32 [windows, 13] of ``samples`` at 16 kHz, the first window at the first sample."""
    sound = np.asarray(samples, np.float64) * _FULL_SCALE
    sound = np.append(sound[:1], sound[1:] - _EMPHASIS * sound[:-1])
    count = 1 + max(0, -(-(len(sound) - _WINDOW) // _HOP))
    sound = np.pad(sound, (0, (count - 1) * _HOP + _WINDOW - len(sound)))
    windows = np.lib.stride_tricks.sliding_window_view(sound, _WINDOW)[::_HOP]
    power = np.abs(np.fft.rfft(windows, _FFT)) ** 2 / _FFT
    bands = np.log(np.maximum(power @ _mel_bands().T, _LEAST))
    cepstra = bands @ _cosines().T
    cepstra[:, 0] = np.log(np.maximum(power.sum(axis=1), _LEAST))
    return np.asarray(cepstra, np.float32)


@cache
def _mel_bands() -> Doubles:
    """[bands, bins]: triangles over whole bins, equally spaced in mel."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, top, _BANDS + 2) / 2595) - 1)
    edges = np.floor((_FFT + 1) * hertz / RATE)
    bins = np.arange(_FFT // 2 + 1)[None]
    low, middle, high = (edges[i : i + _BANDS, None] for i in range(3))
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    return np.asarray(np.maximum(np.minimum(rising, falling), 0))


@cache
def _cosines() -> Doubles:
    """[13, bands]: orthonormal DCT-II, lifted."""
    order, band = np.arange(COEFFICIENTS)[:, None], np.arange(_BANDS)[None]
    cosines = np.sqrt(2 / _BANDS) * np.cos(np.pi * order * (2 * band + 1) / (2 * _BANDS))
    cosines[0] /= np.sqrt(2)
    return np.asarray(cosines * (1 + _LIFTER / 2 * np.sin(np.pi * order / _LIFTER)))
