"""How high a voice speaks: the fundamental by normalised autocorrelation.

After Boersma, "Accurate short-term analysis of the fundamental frequency", 1993: the autocorrelation of a
windowed frame is divided by that of the window.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevid.lipsync.nouns import Floats

_FRAME_S, _HOP_S = 0.05, 0.02
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 420.0
_PERIODIC = 0.6  # least autocorrelation of a voiced frame
_NEAR_BEST = 0.9  # the shortest period this near the best peak is taken: multiples of it peak as well
_AUDIBLE_RMS = 1e-3
_ENOUGH_FRAMES = 5


def fundamentals(samples: Floats, rate: int) -> Floats:
    """Fundamental in Hz, float32 [voiced], of the voiced among the frames of 50 ms, one every 20 ms.

    Args:
        samples: float32 [n] mono; fewer than 50 ms give none.
        rate: Hz.
    """
    size, hop = round(_FRAME_S * rate), round(_HOP_S * rate)
    if len(samples) < size:
        return np.zeros(0, np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop].astype(np.float64)
    frames = frames - frames.mean(axis=1, keepdims=True)
    frames = frames[np.sqrt(np.mean(np.square(frames), axis=1)) > _AUDIBLE_RMS]
    window = np.hanning(size)
    shortest, longest = int(rate / _HIGHEST_HZ), int(rate / _LOWEST_HZ) + 1
    correlation = _autocorrelation(frames * window, longest + 2) / _autocorrelation(window[None], longest + 2)
    lags = _first_good_peak(correlation, shortest, longest)
    return np.asarray(rate / lags[lags > 0], np.float32)


def median_hz(samples: Floats, rate: int) -> float | None:
    """Median fundamental of float32 [n] ``samples``; None when hardly any of it is voiced."""
    found = fundamentals(samples, rate)
    return float(np.median(found)) if len(found) >= _ENOUGH_FRAMES else None


def _autocorrelation(frames: npt.NDArray[np.float64], lags: int) -> npt.NDArray[np.float64]:
    """[frames, lags], 1 at lag 0."""
    points = 1 << (frames.shape[1] + lags).bit_length()
    power = np.square(np.abs(np.fft.rfft(frames, points)))
    found = np.fft.irfft(power)[:, :lags]
    return np.asarray(found / found[:, :1])


def _first_good_peak(
    correlation: npt.NDArray[np.float64], shortest: int, longest: int
) -> npt.NDArray[np.float64]:
    """Per frame the lag of its first peak near the best, refined by a parabola; 0 where no peak is high."""
    left, here, right = (correlation[:, shortest + d : longest + d] for d in (-1, 0, 1))
    peaks = np.where((here >= left) & (here > right), here, 0.0)
    best = peaks.max(axis=1, initial=0.0)
    first = np.argmax(peaks >= np.maximum(_NEAR_BEST * best, _PERIODIC)[:, None], axis=1)
    rows = np.arange(len(peaks))
    a, b, c = left[rows, first], here[rows, first], right[rows, first]
    shift = np.divide(a - c, 2 * (a - 2 * b + c), out=np.zeros_like(a), where=a - 2 * b + c < 0)
    return np.where(best >= _PERIODIC, shortest + first + shift, 0.0)
