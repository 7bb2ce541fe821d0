"""Guesses how a mouth moves from its sound, and at which offset the mouth that is seen agrees best.

Ridge regression on random cosine features (Rahimi and Recht, "Random features for large-scale kernel
machines", 2007) of 0.5 s of coarse log-mel, half of it ahead: no network, no state, nothing to overfit to but
one matrix, learnt in seconds from a minute of speech. VisemeNet is a causal stack of int8 convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgevid.lipsync.mouth_shape import fit_speaker, measure
from edgevid.lipsync.nouns import Floats
from edgevid.perception.audio_intake import RATE
from edgevid.perception.yamnet import log_mel
from edgevid.train.viseme_net.clips import Clip

OFFSETS_MS = np.arange(-600, 601, 10)
"""Slides that are tried; + = the sound is late."""
_HOP, _WINDOW = RATE // 100, 400
_BANDS = 16
_REACH, _STRIDE = 24, 3  # rows of 10 ms before and after, every third
_COSINES, _SCALE = 800, 0.04
_LINEAR, _WAVY = 0.3, 3.0  # weights of both kinds of features
_RIDGE = 0.1  # of the number of frames
_FLOOR = -6.0  # of a band: what is softer is noise of the recording

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judge:
    """What was learnt: ``turns`` [inputs, 800], ``phases`` [800], ``weights`` [inputs + 800, 2]."""

    turns: Doubles
    phases: Doubles
    weights: Doubles

    def scores(self, clip: Clip) -> Doubles:
        """Agreement at each of ``OFFSETS_MS``: correlations of opening and of its speed, summed."""
        times, inputs = _inputs(clip.samples)
        guessed, seen = _features(inputs, self.turns, self.phases) @ self.weights, _movement(clip)
        return np.array(
            [
                np.mean(_standard(_at(times, guessed, clip.seconds + ms / 1000)) * seen, axis=0).sum()
                for ms in OFFSETS_MS
            ]
        )

    def offset_ms(self, clip: Clip) -> int:
        """How late the sound of ``clip`` is."""
        return int(OFFSETS_MS[np.argmax(self.scores(clip))])


def learn(clips: Sequence[Clip]) -> Judge:
    """A judge of what ``clips``, in sync, have in common."""
    pairs = [_inputs(clip.samples) for clip in clips]
    heard = np.concatenate([_at(*pair, clip.seconds) for pair, clip in zip(pairs, clips, strict=True)])
    seen = np.concatenate([_movement(clip) for clip in clips])
    random = np.random.default_rng(0)
    turns = random.normal(0, _SCALE, (heard.shape[1], _COSINES))
    phases = random.uniform(0, 2 * np.pi, _COSINES)
    features = _features(heard, turns, phases)
    ridge = _RIDGE * len(features) * np.eye(features.shape[1])
    return Judge(turns, phases, np.linalg.solve(features.T @ features + ridge, features.T @ seen))


def delayed(samples: Floats, ms: int) -> Floats:
    """``samples`` at 16 kHz, as long as before, late by ``ms`` (negative: early), silence where none are."""
    count = ms * RATE // 1000
    quiet = np.zeros(abs(count), np.float32)
    if count >= 0:
        return np.concatenate([quiet, samples])[: len(samples)]
    return np.concatenate([samples[-count:], quiet])


def _movement(clip: Clip) -> Doubles:
    """[frames, 2]: opening and its speed, in deviations of this clip."""
    opening = measure(clip.lips, fit_speaker(clip.lips))[:, 0].astype(np.float64)
    return _standard(np.stack([opening, np.gradient(opening)], axis=1))


def _inputs(samples: Floats) -> tuple[Doubles, Doubles]:
    """Middles [rows] in seconds of windows of 25 ms, and [rows, inputs] around each, in deviations."""
    rows = log_mel(np.pad(samples, _WINDOW)).astype(np.float64)
    rows = _standard(np.maximum(rows, _FLOOR).reshape(len(rows), _BANDS, -1).mean(axis=2))
    times = (np.arange(len(rows)) * _HOP - _WINDOW / 2) / RATE
    padded = np.pad(rows, ((_REACH, _REACH), (0, 0)), "edge")
    near = [padded[i : i + len(rows)] for i in range(0, 2 * _REACH + 1, _STRIDE)]
    return times, np.concatenate(near, axis=1)


def _features(inputs: Doubles, turns: Doubles, phases: Doubles) -> Doubles:
    waves = np.sqrt(2) * np.cos(inputs @ turns + phases)
    return np.concatenate([_LINEAR * inputs, _WAVY * waves], axis=1)


def _standard(columns: Doubles) -> Doubles:
    return np.asarray((columns - columns.mean(axis=0)) / (columns.std(axis=0) + 1e-6))


def _at(times: Doubles, columns: Doubles, wanted: Floats | Doubles) -> Doubles:
    return np.stack([np.interp(wanted, times, column) for column in columns.T], axis=1)
