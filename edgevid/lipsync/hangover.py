"""How long to wait in a pause before the clause is taken to be over: by what was said, how, and how much.

Every cue multiplies the usual wait; the product is kept between ``shortest_ms`` and ``longest_ms``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.pitch import fundamentals

_TAIL_S, _LEAST_FRAMES = 0.2, 4

_DANGLING = {
    "en": (
        "a about across after although am an and are as at be because been before being between but "
        "by can could during each every for from has have how i if in into is its like my near no "
        "nor not of on or our over shall should since so some than that the their then these they "
        "this those though through to under unless until very was we were when where whether which "
        "while who whose will with without would your"
    ),
    "es": (
        "a al ante aunque como con contra cuando de del desde donde e el en entre es esta este han "
        "hasta he la las lo los más me mi mientras muy ni o para pero por porque que se según si "
        "sin sobre su sus tan te tu u un una uno unos y ya"
    ),
    "fr": (
        "a à au aux avec ce ces car chez comme dans de depuis des donc du elle en entre est et il "
        "ils je la le les leur lorsque mais mes mon ne ni nous on ou où par parce pendant pour puis "
        "quand que qui sa sans se ses si son sont sous sur ta très tu un une vers vous y"
    ),
    "de": (
        "aber als am an auf aus bei bis da dann das dass dem den der des die doch durch ein eine "
        "einen einer er es für gegen hat ich ihr im in ist mein mit nach nicht noch ob oder ohne "
        "sehr sein seit sich sie sind so über um und unter vom von vor war weil wenn wer wie wir zu "
        "zum zur zwischen"
    ),
}
_NUMBERS = frozenset(
    (
        "billion eighty fifty forty hundred million minus ninety plus point seventy sixty thirty "
        "thousand twenty"
    ).split()
)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class HangoverConfig:
    """Waits in ms and what cues make of them (factors), chosen in DECISIONS/014.

    Attributes:
        usual_ms: without any cue.
        dangling: the last word asks for more (a conjunction, preposition, article, number that may go on).
        ended: the words end with a mark that ends a clause.
        fell, fall: the pitch at the end is below ``fall`` of the clause's median: it sounds final.
        short, short_ms: less was said than ``short_ms``.
        long, long_ms: more was said than ``long_ms``: whoever listens waits already.
    """

    shortest_ms: int = 160
    usual_ms: int = 350
    longest_ms: int = 700
    dangling: float = 2.0
    ended: float = 0.75
    fell: float = 0.7
    fall: float = 0.88
    short: float = 1.25
    short_ms: int = 800
    long: float = 0.7
    long_ms: int = 5_000


class Hangover:
    """The wait that fits the clause at hand.

    Args:
        language: ISO 639-1; en, es, fr and de have lists of words that ask for more.
    """

    def __init__(self, *, language: str = "en", config: HangoverConfig | None = None) -> None:
        self._config = config or HangoverConfig()
        self._dangling = frozenset(_DANGLING.get(language.split("-")[0], "").split())

    def wait_ms(self, *, speech_ms: float, falls: bool, text: str | None) -> float:
        """How long a pause ends the clause.

        Args:
            speech_ms: length of the clause so far.
            falls: see ``pitch_falls``.
            text: its words, None while they are not known.
        """
        config, wait = self._config, float(self._config.usual_ms)
        if text is not None and self.is_dangling(text):
            wait *= config.dangling
        else:
            wait *= config.fell if falls else 1.0
            wait *= config.ended if text is not None and ends_clause(text) else 1.0
        if speech_ms < config.short_ms:
            wait *= config.short
        elif speech_ms > config.long_ms:
            wait *= config.long
        return min(max(wait, config.shortest_ms), config.longest_ms)

    def is_dangling(self, text: str) -> bool:
        """Whether the last word asks for another one."""
        words = _WORD.findall(text.lower())
        return bool(words) and (words[-1] in self._dangling or words[-1] in _NUMBERS)


def ends_clause(text: str) -> bool:
    """Whether the words close with a mark that ends a clause."""
    return text.rstrip().endswith((".", "!", "?", ";", ":", "…", "。", "？", "！"))


def pitch_falls(samples: Floats, rate: int, *, fall: float) -> bool:
    """Whether the last 0.2 s of voice are lower than ``fall`` times the median of all of it."""
    tones = fundamentals(samples, rate)
    last = fundamentals(samples[-round(_TAIL_S * rate) :], rate)
    if len(last) < _LEAST_FRAMES or len(tones) < 3 * _LEAST_FRAMES:
        return False
    return bool(np.median(last) < fall * np.median(tones))
