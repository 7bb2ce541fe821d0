"""What VisemeNet learns from: log-mel rows and curves, of real clips and of synthetic speech, varied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgevid.lipsync.mouth_features import SILENT, at_model_rate, mel_rows, steps_of
from edgevid.lipsync.mouth_shape import LipBasis, Speaker, fit_basis, fit_speaker
from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.phoneme_mouth import SILENCE, hold_closures, shares, spans_of
from edgevid.lipsync.protocols import SpokenAudio
from edgevid.perception.audio_intake import RATE
from edgevid.train.viseme_net.clips import Clip, Lexicon, curve_of, resting
from edgevid.train.viseme_net.network import ROWS_BEFORE

_RIDGE = 5.0  # steps' worth of the mean mouth, for sounds that are rare in the clips
_LEADING_S = 0.3  # silence around synthetic speech


@dataclass(frozen=True, slots=True)
class Example:
    """``rows`` float32 [rows, 64] of log-mel, with the silence before; ``curve`` float32 [steps, 6]."""

    rows: Floats
    curve: Floats


def basis_of(clips: Sequence[Clip], speakers: dict[str, Speaker]) -> LipBasis:
    """The lip basis of all clips."""
    by_speaker = {n: np.concatenate([c.lips for c in clips if c.speaker == n]) for n in speakers}
    return fit_basis([(lips, fit_speaker(lips)) for lips in by_speaker.values()])


def real_curve(clip: Clip, basis: LipBasis, speaker: Speaker, lexicon: Lexicon) -> Floats:
    """The tracked mouth; at rest it closes, whatever this speaker's does, and lips touch in p, b, m, though
    the mesh of a picture every 40 ms may have missed it."""
    curve = curve_of(clip, basis, speaker)
    curve[:, 0] = hold_closures(curve[:, 0] * (1 - resting(clip)), spans_of(lexicon.phonemes(clip)))
    return curve


def fit_targets(clips: Sequence[Clip], curves: Sequence[Floats], lexicon: Lexicon) -> Floats:
    """float32 [visemes, 6]: the mouths whose weighted means come nearest to ``curves`` (least squares)."""
    known = [(clip, curve) for clip, curve in zip(clips, curves, strict=True) if clip.words]
    weights = np.concatenate([shares(spans_of(lexicon.phonemes(clip)), clip.steps) for clip, _ in known])
    wanted = np.concatenate([curve for _, curve in known])
    rest = _RIDGE * np.eye(weights.shape[1])
    solved = np.linalg.solve(weights.T @ weights + rest, weights.T @ wanted + _RIDGE * wanted.mean(axis=0))
    solved[SILENCE, 0] = 0
    return solved.astype(np.float32)


def synthetic(spoken: SpokenAudio, targets: Floats) -> tuple[Floats, Floats]:
    """Samples at 16 kHz and the curve [steps, 6] that ``targets`` give them, silence around both."""
    quiet = np.zeros(int(_LEADING_S * RATE), np.float32)
    samples = np.concatenate([quiet, at_model_rate(spoken.samples, spoken.rate), quiet])
    spans = spans_of(spoken.phonemes)
    spans.start[:] += _LEADING_S
    spans.end[:] += _LEADING_S
    curve = shares(spans, steps_of(len(samples))) @ targets
    curve[:, 0] = hold_closures(np.maximum(curve[:, 0], 0), spans)
    return samples, curve


def features(samples: Floats) -> Floats:
    """Log-mel rows with the silence that makes step 0 the first to come out."""
    before = np.full((ROWS_BEFORE, 64), SILENT, np.float32)
    return np.concatenate([before, mel_rows(samples)])


def varied(samples: Floats, curve: Floats, count: int, rng: np.random.Generator) -> Iterator[Example]:
    """The sound itself, then ``count - 1`` times faster or slower (and so higher or lower), louder or softer,
    tilted in colour, in noise."""
    for i in range(count):
        speed = float(np.exp(rng.uniform(-0.18, 0.18))) if i else 1.0
        sound = samples
        if i:
            places = np.arange(0, len(samples) - 1, speed)
            sound = _worn(np.interp(places, np.arange(len(samples)), samples), rng)
        at = np.arange(steps_of(len(sound))) * speed
        at = at[at <= len(curve) - 1]
        moved = np.stack([np.interp(at, np.arange(len(curve)), column) for column in curve.T], axis=1)
        rows = features(sound)[: ROWS_BEFORE + 6 + 2 * (len(at) - 1)]
        yield Example(rows.astype(np.float32), moved.astype(np.float32))


def _worn(clean: Floats, rng: np.random.Generator) -> Floats:
    tilt = float(rng.uniform(-0.5, 0.5))
    sound = clean + tilt * np.concatenate([[0], clean[:-1]])
    sound = sound * (0.1 * np.exp(rng.uniform(-1.2, 1.0)) / (np.sqrt(np.mean(sound**2)) + 1e-4))
    level = float(np.sqrt(np.mean(sound**2))) * 10 ** float(rng.uniform(-2.5, -0.7))
    noise = rng.standard_normal(len(sound))
    noise = np.cumsum(noise) if rng.random() < 0.3 else noise
    noise = noise - np.convolve(noise, np.ones(400) / 400, mode="same")
    return np.asarray(sound + level * noise / (noise.std() + 1e-9), np.float32)
