"""YAMNet: which of 521 AudioSet sounds each 0.96 s holds. Log-mel features in numpy, an 8-bit network.

Features as in the model's definition (tensorflow/models, research/audioset/yamnet): magnitude spectrum of
25 ms Hann windows every 10 ms, 64 triangular mel bands from 125 to 7500 Hz, log(x + 0.001), patches of 96
frames.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import BadModelError
from edgevid.models.session import Session
from edgevid.perception.audio_intake import RATE

_FRAME, _STEP, _FFT = 400, 160, 512
_FRAMES, _BANDS = 96, 64
_LOW_HZ, _HIGH_HZ = 125.0, 7500.0
_FLOOR = 0.001

PATCH = (_FRAMES - 1) * _STEP + _FRAME
"""Samples the network looks at: 0.975 s."""

# Quantization of this export, both uint8: value = scale * (q - zero).
_INPUT_SCALE, _INPUT_ZERO = 0.047937885, 144
_OUTPUT_SCALE, _OUTPUT_ZERO = 0.7565417, 190


class Yamnet:
    """The network and its features.

    Args:
        session: the pack's ``model.onnx``: audio uint8 [1, 1, 96, 64] -> class_scores uint8 [1, 521], logits.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Probability of every class, float32 [521], in ``samples``, float32 [15600] at 16 kHz."""
        levels = np.rint(log_mel(samples) / _INPUT_SCALE) + _INPUT_ZERO
        patch = np.clip(levels, 0, 255).astype(np.uint8)[None, None]
        (scores,) = self._session.run({"audio": patch}, ("class_scores",))
        found: npt.NDArray[np.float32] = _probabilities()[scores[0]]
        return found


def log_mel(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Log-mel features, float32 [1 + (n - 400) // 160, 64], of float32 [n >= 400] at 16 kHz."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::_STEP]
    spectrum = np.abs(np.fft.rfft(frames * _hann(), _FFT)).astype(np.float32)
    features: npt.NDArray[np.float32] = np.log(spectrum @ _mel_bands() + np.float32(_FLOOR))
    return features


def read_class_names(path: Path) -> tuple[str, ...]:
    """AudioSet labels in the order of the network's outputs, from ``classes.csv`` (index, mid, display_name).

    Raises:
        BadModelError: the file is not such a table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            names = tuple(row["display_name"] for row in csv.DictReader(file))
    except (OSError, UnicodeDecodeError, KeyError, csv.Error) as error:
        raise BadModelError(f"{path}: cannot read the class names: {error}") from None
    if not names or not all(names):
        raise BadModelError(f"{path}: holds no class names")
    return names


@cache
def _probabilities() -> npt.NDArray[np.float32]:
    """The sigmoid of each of the 256 logits the network can give."""
    logits = (np.arange(256.0) - _OUTPUT_ZERO) * _OUTPUT_SCALE
    return (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)


@cache
def _hann() -> npt.NDArray[np.float32]:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FRAME) / _FRAME)).astype(np.float32)


@cache
def _mel_bands() -> npt.NDArray[np.float32]:
    """Weights [257, 64] from FFT bins to bands; triangles in mel, peak 1, the DC bin unused."""
    bins = _mel(np.linspace(0.0, RATE / 2, _FFT // 2 + 1))[:, None]
    low, high = _mel(np.array([_LOW_HZ, _HIGH_HZ]))
    edges = np.linspace(low, high, _BANDS + 2)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    weights = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre))
    weights[0] = 0.0
    return np.asarray(np.maximum(weights, 0.0), np.float32)


def _mel(hz: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    return np.asarray(1127.0 * np.log1p(hz / 700.0), np.float64)
