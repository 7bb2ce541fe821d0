"""What remains of a sound when its speech is taken away: the steady part, hum, rain, a held chord.

Spectral subtraction after Boll, "Suppression of acoustic noise in speech using spectral subtraction", 1979,
used the other way round: of every frequency the level it keeps in the quiet moments is the ambience; what
rises over it is speech and goes down to it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevid.lipsync.nouns import Floats

_WINDOW_S = 0.032
_OVERLAP = 4  # windows over each sample
_QUIET = 0.2  # share of the moments that are quiet: between words every frequency has some
_ABOVE = 1.5  # levels of steady noise vary: up to this much over the quiet moments' is ambience
_LEAST = 0.05


def without_speech(samples: Floats, rate: int, before: Floats) -> Floats:
    """float32 [n]: the steady part of ``samples`` [n].

    Args:
        rate: Hz.
        before: what was heard just before, float32 [m], best without speech; tells the level of the ambience.
    """
    size = 1 << round(np.log2(_WINDOW_S * rate))
    hop = size // _OVERLAP
    window = np.sqrt(np.hanning(size + 1)[:-1])
    spectra = _spectra(samples, size, hop, window)
    levels = np.abs(spectra)
    known = levels
    if before.size >= size:
        known = np.concatenate([levels, np.abs(_spectra(before, size, hop, window))[_OVERLAP:-_OVERLAP]])
    ambience = _ABOVE * np.quantile(known, _QUIET, axis=0)
    gains = np.clip(ambience / np.maximum(levels, 1e-9), _LEAST, 1.0)
    frames = np.fft.irfft(spectra * gains, size, axis=1) * (window * 2 / _OVERLAP)
    summed = np.zeros(size + hop * (len(frames) - 1))
    for n, frame in enumerate(frames):
        summed[n * hop : n * hop + size] += frame
    return summed[size : size + len(samples)].astype(np.float32)


def _spectra(
    samples: Floats, size: int, hop: int, window: npt.NDArray[np.float64]
) -> npt.NDArray[np.complex128]:
    """[frames, size / 2 + 1], of ``samples`` with a window of silence before and after."""
    padded = np.concatenate([np.zeros(size), samples, np.zeros(size + hop)])
    return np.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * window, axis=1)
