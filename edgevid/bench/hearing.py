"""Scores of the audio channels: word error rate, and voice activity frame by frame."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgevid.core.nouns import NS_PER_S, TimeSpan

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_SPELT = {"mr": "mister", "mrs": "missis", "dr": "doctor"} | {str(n): word for n, word in enumerate(_DIGITS)}
_FRAMES_PER_S = 100


def spoken_words(text: str) -> list[str]:
    """Words as spoken: lower case, no punctuation, small numbers and titles spelt out."""
    return [_SPELT.get(word, word) for word in re.findall(r"[a-z0-9']+", text.lower())]


def word_errors(reference: Sequence[str], heard: Sequence[str]) -> int:
    """Fewest insertions, deletions and substitutions that turn ``heard`` into ``reference``."""
    costs = list(range(len(heard) + 1))
    for i, wanted in enumerate(reference, start=1):
        diagonal, costs[0] = costs[0], i
        for j, word in enumerate(heard, start=1):
            substituted = diagonal + (wanted != word)
            diagonal, costs[j] = costs[j], min(costs[j] + 1, costs[j - 1] + 1, substituted)
    return costs[-1]


@dataclass(frozen=True, slots=True)
class FrameScore:
    """Agreement of two sets of spans, counted in frames of 10 ms; scores of several recordings add up."""

    hits: int = 0
    false_alarms: int = 0
    misses: int = 0

    def __add__(self, other: FrameScore) -> FrameScore:
        return FrameScore(
            self.hits + other.hits, self.false_alarms + other.false_alarms, self.misses + other.misses
        )

    @property
    def precision(self) -> float:
        return self.hits / max(1, self.hits + self.false_alarms)

    @property
    def recall(self) -> float:
        return self.hits / max(1, self.hits + self.misses)

    @property
    def f1(self) -> float:
        return 2 * self.hits / max(1, 2 * self.hits + self.false_alarms + self.misses)


def frame_score(reference: Iterable[TimeSpan], found: Iterable[TimeSpan], *, duration_s: float) -> FrameScore:
    """Compare spans within ``[0, duration_s)``."""
    wanted, given = (_frames(spans, round(duration_s * _FRAMES_PER_S)) for spans in (reference, found))
    return FrameScore(int((wanted & given).sum()), int((given & ~wanted).sum()), int((wanted & ~given).sum()))


def read_rttm(text: str, *, recording: str) -> list[TimeSpan]:
    """Speaker turns of one recording in an RTTM file (SPEAKER name channel start duration ...)."""
    rows = (line.split() for line in text.splitlines())
    turns = [(float(row[3]), float(row[4])) for row in rows if row[:1] == ["SPEAKER"] and row[1] == recording]
    return [TimeSpan(round(a * NS_PER_S), round((a + length) * NS_PER_S)) for a, length in turns]


def _frames(spans: Iterable[TimeSpan], count: int) -> npt.NDArray[np.bool_]:
    frames = np.zeros(count, np.bool_)
    for span in spans:
        frames[round(span.start_s * _FRAMES_PER_S) : round(span.end_s * _FRAMES_PER_S)] = True
    return frames
