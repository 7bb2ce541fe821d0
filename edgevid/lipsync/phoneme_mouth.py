"""A mouth from phoneme times alone: every sound has a mouth it aims at, and mouths glide into each other.

A curve is a weighted mean of the targets of the sounds around a moment, their weights Gaussian in time (a
linear form of coarticulation by dominance, Cohen and Massaro 1993). Targets come from a fit on real clips
(``edgevid/train/viseme_net/material.py``). What every speaker does is then held exactly: lips touch
throughout p, b and m, and almost touch the teeth in f and v.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgevid.lipsync.nouns import CURVE_STEP_NS, Floats, Phoneme

VISEMES = (
    "silence",
    "bilabial",
    "labiodental",
    "dental",
    "alveolar",
    "postalveolar",
    "back",
    "rounded glide",
    "rhotic",
    "close front",
    "mid front",
    "close rounded",
    "open",
    "mid rounded",
    "central",
)
SILENCE, BILABIAL, LABIODENTAL = range(3)
_SYMBOLS = (
    "",
    "pbmɓʙ",
    "fvɱɸβ",
    "θðt\u032ad\u032a",
    "tdnszlɾrɫʈɖɳɗʦʣɬ",
    "ʃʒɕʑʧʤçɲʎcɟʂʐ",
    "kgɡŋxɣhɦʔqχʁħʕɰ",
    "wʍɥʋ",
    "ɹɻɚɝ",
    "iɪj",
    "eɛ",
    "uʊyʏʉɯ",
    "aɑæɐʌɒ",
    "oɔøœɤɵ",
    "əɜɨɘɞ",
)
_OF_SYMBOL = {
    symbol: i for i, symbols in enumerate(_SYMBOLS) for symbol in symbols if not 0x300 <= ord(symbol) < 0x370
}
SIGMA_S = 0.045
"""Spread of a sound's weight in time; the best of 0.03 to 0.07 s on the clips of the fit."""
_CLOSED_MARGIN_S = 0.02  # lips meet this long before the sound and part as long after
_PART_S = 0.05  # and need as long to open
_TEETH_OPENING = 0.02


def visemes_of(symbol: str) -> tuple[int, ...]:
    """The mouths of an IPA symbol in their order, two for a diphthong or affricate; silence for a pause."""
    found = [_OF_SYMBOL[c] for c in symbol if c in _OF_SYMBOL]
    kept = [v for i, v in enumerate(found) if i == 0 or v != found[i - 1]]
    return tuple(kept) or (SILENCE,)


@dataclass(frozen=True, slots=True)
class Spans:
    """Sounds as stretches of time: ``viseme`` int [n], ``start`` and ``end`` in seconds [n]."""

    viseme: npt.NDArray[np.int64]
    start: npt.NDArray[np.float64]
    end: npt.NDArray[np.float64]


def spans_of(phonemes: Sequence[Phoneme]) -> Spans:
    """A phoneme of several mouths is cut into equal parts."""
    rows = []
    for phoneme in phonemes:
        mouths = visemes_of(phoneme.symbol)
        edges = np.linspace(phoneme.start_ns, phoneme.end_ns, len(mouths) + 1) / 1e9
        rows += [(v, edges[i], edges[i + 1]) for i, v in enumerate(mouths)]
    table = np.array(rows, np.float64).reshape(-1, 3)
    return Spans(table[:, 0].astype(np.int64), table[:, 1], table[:, 2])


def shares(spans: Spans, steps: int) -> Floats:
    """float32 [steps, len(VISEMES)]: how much each mouth weighs at each step of a curve; rows sum to 1, what
    no sound covers is silence."""
    times = np.arange(steps)[:, None] * (CURVE_STEP_NS / 1e9)
    weights = _normal_cdf((spans.end - times) / SIGMA_S) - _normal_cdf((spans.start - times) / SIGMA_S)
    out = np.zeros((steps, len(VISEMES)))
    for i, viseme in enumerate(spans.viseme):
        out[:, viseme] += weights[:, i]
    out[:, SILENCE] += np.maximum(1 - out.sum(axis=1), 0)
    return np.asarray(out / out.sum(axis=1, keepdims=True), np.float32)


def hold_closures(opening: Floats, spans: Spans) -> Floats:
    """``opening`` [steps] with lips that touch in p, b, m and stay near the teeth in f, v."""
    times = np.arange(len(opening)) * (CURVE_STEP_NS / 1e9)
    held = opening.copy()
    for viseme, start, end in zip(spans.viseme, spans.start, spans.end, strict=True):
        if viseme not in (BILABIAL, LABIODENTAL):
            continue
        outside = np.maximum(start - times, times - end) - _CLOSED_MARGIN_S
        free = np.clip(outside / _PART_S, 0, 1)
        least = 0.0 if viseme == BILABIAL else _TEETH_OPENING
        held = np.where(free < 1, np.minimum(held, least + free * np.maximum(opening - least, 0)), held)
    return held.astype(np.float32)


def _normal_cdf(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The logistic curve nearest to the Gaussian's integral (within 0.01)."""
    return 1 / (1 + np.exp(-np.clip(1.702 * x, -60, 60)))
