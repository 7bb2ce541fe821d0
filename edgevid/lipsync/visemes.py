"""VisemeNet: from sound to mouth, by a small int8 network that ships with edgevid.

The network hears log-mel rows and gives six parameters fifty times a second, 80 ms behind the sound. Two
things it cannot be trusted with are done by rule: in silence the mouth closes, and where phoneme times are
known the network's curve and that of the phonemes become one, whose lips touch in p, b and m.
"""

from __future__ import annotations

import importlib
from importlib import resources
from typing import Any

import numpy as np

from edgevid.core.errors import MissingPartError
from edgevid.lipsync.loudness import Loudness
from edgevid.lipsync.mouth_features import (
    AHEAD_ROWS,
    BANDS,
    HOP,
    ROWS_PER_STEP,
    SILENT,
    WINDOW,
    at_model_rate,
    steps_of,
)
from edgevid.lipsync.mouth_shape import LipBasis
from edgevid.lipsync.nouns import NUM_MOUTH_PARAMS, Floats, MouthCurve, Phoneme
from edgevid.lipsync.phoneme_mouth import hold_closures, shares, spans_of
from edgevid.perception.audio_intake import RATE
from edgevid.perception.yamnet import log_mel

_ROWS_BEFORE = 58
"""Rows of silence before the first sample: the network sees 64 rows, of a step's sound AHEAD_ROWS."""
_BLOCK = 10 * RATE  # samples at a time, so that an hour of sound needs no more memory than a minute
_NETWORK_SHARE = np.float32(0.5)
"""Of the network where phonemes are known too: both are about as right (docs/model_cards/viseme-net.md)."""


class VisemeNet:
    """A ``Mouth`` (protocols.py). Any thread may call.

    Args:
        weights: a weights file's bytes; default: those that ship.

    Raises:
        MissingPartError: the native core is not built.
        BadModelError: ``weights`` are not what they should be.
    """

    def __init__(self, weights: bytes | None = None) -> None:
        try:
            self._native = importlib.import_module("edgevid._native").lipsync
        except ImportError as error:
            raise MissingPartError(
                "VisemeNet needs the native core, which is not built",
                fix="pip install --force-reinstall edgevid",
            ) from error
        if weights is None:
            weights = resources.files("edgevid.lipsync").joinpath("weights", "viseme_net.bin").read_bytes()
        self._weights = self._native.VisemeWeights(weights)
        self.basis = LipBasis(self._weights.lip_mean, self._weights.lip_directions)
        """What the last three parameters mean."""
        self._targets: Floats = self._weights.targets

    def curve(self, samples: Floats, rate: int, phonemes: tuple[Phoneme, ...] = ()) -> MouthCurve:
        """See ``Mouth``: the steps from the first sample to the last, at any ``rate``."""
        stream = self.stream()
        sound = at_model_rate(samples, rate)
        blocks = (sound[first : first + _BLOCK] for first in range(0, len(sound), _BLOCK))
        params = np.concatenate([*(stream.push(block) for block in blocks), stream.flush()])
        if phonemes:
            params = self._corrected(params, phonemes)
        return MouthCurve(params)

    def stream(self) -> VisemeStream:
        """For sound that comes in pieces."""
        return VisemeStream(self._native.VisemeStream(self._weights))

    def curve_of_phonemes(self, phonemes: tuple[Phoneme, ...], steps: int) -> Floats:
        """float32 [steps, 6] from phoneme times alone."""
        spans = spans_of(phonemes)
        params = shares(spans, steps) @ self._targets
        params[:, 0] = hold_closures(np.maximum(params[:, 0], 0), spans)
        return np.asarray(params, np.float32)

    def close(self) -> None:
        """See ``Mouth``; there is nothing to give back."""

    def _corrected(self, params: Floats, phonemes: tuple[Phoneme, ...]) -> Floats:
        said = self.curve_of_phonemes(phonemes, len(params))
        both = _NETWORK_SHARE * params + (1 - _NETWORK_SHARE) * said
        both[:, 0] = hold_closures(both[:, 0], spans_of(phonemes))
        return np.asarray(both, np.float32)


class VisemeStream:
    """The curve of one sound that comes in pieces; how it is cut changes nothing but the last bits of the
    log-mel, whose sums a matrix library may order by size."""

    def __init__(self, native: Any) -> None:
        self._native = native
        self.reset()

    def reset(self) -> None:
        """Another sound begins."""
        self._native.reset()
        self._native.push(np.full((_ROWS_BEFORE, BANDS), SILENT, np.float32))
        self._loudness = Loudness()
        self._kept = np.zeros(0, np.float32)  # samples from that of the next row on
        self._rows = 0  # pushed so far
        self._samples = 0
        self._steps = 0

    def push(self, samples: Floats) -> Floats:
        """Take float32 [n] at 16 kHz; give float32 [steps, 6], the steps that are complete: all up to 75 ms
        before the end of the sound so far. The first is at 0 ms, the others every 20 ms."""
        self._kept = np.concatenate([self._kept, np.nan_to_num(np.asarray(samples, np.float32))])
        self._samples += len(samples)
        whole = (self._samples - WINDOW) // HOP + 1 - AHEAD_ROWS
        return self._up_to(whole // ROWS_PER_STEP + 1 if whole >= 0 else 0)

    def flush(self) -> Floats:
        """The remaining steps, the last at or before the end of the sound, which silence follows."""
        total = steps_of(self._samples)
        needed = (ROWS_PER_STEP * (total - 1) + AHEAD_ROWS - 1) * HOP + WINDOW
        self._kept = np.concatenate([self._kept, np.zeros(max(needed - self._samples, 0), np.float32)])
        return self._up_to(total)

    def _up_to(self, steps: int) -> Floats:
        """The steps not yet given below ``steps``, for which there is sound enough."""
        steps = max(steps, self._steps)
        if steps == self._steps:
            return np.zeros((0, NUM_MOUTH_PARAMS), np.float32)
        rows = ROWS_PER_STEP * (steps - 1) + AHEAD_ROWS - self._rows
        heard = log_mel(self._kept[: (rows - 1) * HOP + WINDOW])
        params: Floats = self._native.push(heard)
        self._kept = self._kept[rows * HOP :]
        self._rows += rows
        self._steps = steps
        params[:, 0] = np.maximum(params[:, 0], 0) * self._loudness.push(heard)
        return params


def at(curve: MouthCurve, pts_ns: int) -> Floats:
    """The six parameters at a moment on the curve's clock: linear between its steps, outside it those of its
    ends."""
    place = np.clip((pts_ns - curve.start_ns) / curve.step_ns, 0, len(curve.params) - 1)
    low = int(place)
    high = min(low + 1, len(curve.params) - 1)
    return np.asarray(curve.params[low] + np.float32(place - low) * (curve.params[high] - curve.params[low]))
