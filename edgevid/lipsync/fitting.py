"""Speaks a translation in the time there is: at another speed, later, and in the end with fewer words.

::

    source   |---clause 1---|   |--clause 2--|        |---
    dub      |----1, faster----||---2, lag----|  1 ran into the pause; 2 begins late by its lag

The lag never grows past ``max_lag_s``: a clause that would end too late for that is condensed.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgevid.core.nouns import NS_PER_S
from edgevid.lipsync.condensing import condensed
from edgevid.lipsync.nouns import Clause, SpokenClause
from edgevid.lipsync.protocols import SpokenAudio, Voice

_NS_PER_CHARACTER = 65_000_000.0  # before the voice was heard: 15 characters a second
_LEARNING = 0.3  # least weight of the newest clause in the mean
_TRIES = 4


@dataclass(frozen=True, slots=True)
class FitConfig:
    """Bounds of the speed (factors of the voice's own) and of the lag; overrun that needs no hurry."""

    slowest: float = 0.9
    fastest: float = 1.35
    max_lag_s: float = 3.0
    slack_s: float = 0.3


class FittedVoice:
    """A voice that keeps up with a speaker. Not thread-safe; one per stream.

    Attributes:
        condensed: clauses of which words were left out.
        dropped_words: how many words.
        worst_lag_ns: latest start of a clause after it could have started.
    """

    def __init__(self, voice: Voice, *, config: FitConfig | None = None) -> None:
        self._voice = voice
        self._config = config or FitConfig()
        self._per_character = _NS_PER_CHARACTER
        self._heard = 0  # clauses
        self._free_ns: int | None = None
        self.condensed = self.dropped_words = self.worst_lag_ns = 0

    def speak(
        self,
        clause: Clause,
        text: str,
        *,
        language: str,
        pitch: float = 1.0,
        earliest_ns: int | None = None,
    ) -> SpokenClause:
        """Say ``text``, the translation of ``clause``, once what was said before is over.

        Args:
            earliest_ns: when it may be heard; default: where it starts in the source; live: now.

        Returns:
            ``text`` as spoken, which may be condensed; empty, without samples, when there was no time.
        """
        earliest = clause.start_ns if earliest_ns is None else earliest_ns
        start = earliest if self._free_ns is None else max(earliest, self._free_ns)
        lag, length = start - earliest, clause.end_ns - clause.start_ns
        longest = length + round(self._config.max_lag_s * NS_PER_S) - lag
        said, sound = self._say(text, language, pitch, wanted=length - lag, longest=longest)
        self._count(text, said, lag)
        spoken = SpokenClause(clause, said, language, sound.samples, sound.rate, sound.phonemes, start)
        self._free_ns = spoken.end_ns
        return spoken

    def reset(self) -> None:
        """What was to be heard is not (barge-in): the next clause waits for nothing."""
        self._free_ns = None

    def _say(
        self, text: str, language: str, pitch: float, *, wanted: int, longest: int
    ) -> tuple[str, SpokenAudio]:
        """Text and sound of at most ``longest`` ns, ``wanted`` if speed allows; by estimate, then trial."""
        natural = self._per_character * len(text)
        for _ in range(_TRIES):
            if natural > longest * self._config.fastest:
                keep = max(0.0, longest * self._config.fastest / natural)
                shorter = condensed(text, int(keep * len(text)), language=language)
                natural *= len(shorter) / max(1, len(text))
                text = shorter
            rate = self._rate(natural, wanted)
            sound = self._voice.speak(text, language=language, rate=rate, pitch=pitch)
            duration = len(sound.samples) * NS_PER_S / sound.rate
            natural = duration * rate
            if duration <= longest:
                break
        if text:
            self._heard += 1
            weight = max(_LEARNING, 1 / self._heard)
            self._per_character += weight * (natural / len(text) - self._per_character)
        return text, sound

    def _rate(self, natural: float, wanted: int) -> float:
        unhurried = max(1.0, wanted + self._config.slack_s * NS_PER_S)
        if natural > unhurried:
            return min(natural / unhurried, self._config.fastest)
        return max(min(1.0, natural / max(1, wanted)), self._config.slowest)

    def _count(self, text: str, said: str, lag: int) -> None:
        dropped = len(text.split()) - len(said.split())
        self.dropped_words += dropped
        self.condensed += dropped > 0
        self.worst_lag_ns = max(self.worst_lag_ns, lag)
