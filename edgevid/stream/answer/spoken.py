"""Words in speech and on screen: where a phrase stands in the rows, and when about it is said.

The recogniser times utterances, not words. A word's time is taken from its place among the letters of its
utterance; answers call it "about".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from edgevid.core.nouns import Evidence, TimeSpan
from edgevid.memory.memory import Row
from edgevid.stream.answer.normal import root, stems

_ALIKE = 0.8  # a recogniser's slip of a letter or two in a longer word
_MISHEARD = 0.76  # the same over a phrase of two words or more: "ask not" and "as not"
_LONG = 5  # letters from which a slip is forgiven
_WHOLE_NS = 3_000_000_000  # an utterance this short is its own time
_DIGITS = "zero one two thre four fiv six seven eight nin ten"  # as root() leaves them
# Words a recogniser cannot tell apart by ear alone, under one spelling.
_SOUND_ALIKE = {
    "read": "red",
    "been": "bin",
    "blew": "blue",
    "buy": "by",
    "bye": "by",
    "ate": "eight",
    "won": "one",
}
_SOUND_ALIKE |= {"too": "two", "to": "two", "for": "four", "writ": "right", "knew": "new", "hear": "here"}
_SOUND_ALIKE |= dict(zip("0 1 2 3 4 5 6 7 8 9 10".split(), _DIGITS.split(), strict=True))
_SENTENCES = re.compile(r"(?<=[a-z][.!?])(?<!Mr\.)(?<!Mrs\.)(?<!Dr\.)(?<!St\.) +")  # "J. three" goes on
_GLUED = re.compile(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])(?!st\b|nd\b|rd\b|th\b|s\b)")
_SMALL = frozenset("a an the of to in on at and or is are be was were it that this".split())


@dataclass(frozen=True, slots=True)
class Place:
    """A phrase in one row: the row, and the phrase's first and last word among the row's words."""

    row: Row
    first: int
    last: int
    words: tuple[str, ...]

    @property
    def evidence(self) -> Evidence:
        """The row's span, or in a long utterance the part of it where the phrase stands."""
        span = self.row.observation.span
        length = span.end_ns - span.start_ns
        if self.row.observation.kind != "speech" or length <= _WHOLE_NS:
            return Evidence(span, (self.row.id,))
        letters = [len(word) + 1 for word in self.words]
        total = sum(letters)
        start = span.start_ns + length * sum(letters[: self.first]) // total
        end = span.start_ns + length * sum(letters[: self.last + 1]) // total
        return Evidence(TimeSpan(start, end), (self.row.id,))

    @property
    def sentence(self) -> str:
        """The sentence of the row that holds the phrase."""
        end = 0
        for sentence in _SENTENCES.split(self.row.observation.label):
            end += len(_words(sentence))
            if self.last < end:
                return sentence if self.first >= end - len(_words(sentence)) else self.row.observation.label
        return self.row.observation.label

    @property
    def is_estimated(self) -> bool:
        """Whether the time is worked out from the place among the letters."""
        return self.evidence.span != self.row.observation.span


def _words(text: str) -> tuple[str, ...]:
    """Words as spoken, singular: "J3" is two."""
    return tuple(stems(_GLUED.sub(" ", text)))


def places(rows: Sequence[Row], phrase: str) -> list[Place]:
    """Every place of ``phrase``: word by word in sequence, else all its content words in one row."""
    wanted = [root(word) for word in stems(phrase)]
    if not wanted:
        return []
    exact, loose = [], []
    for row in rows:
        words = _words(row.observation.label)
        have = [root(word) for word in words]
        runs = [i for i in range(len(have) - len(wanted) + 1) if _alike(have[i : i + len(wanted)], wanted)]
        exact += [Place(row, i, i + len(wanted) - 1, words) for i in runs]
        if not runs:  # "good bye" and "goodbye"
            runs = [i for i in range(len(words)) if len(wanted) > 1 and words[i] == "".join(stems(phrase))]
            exact += [Place(row, i, i, words) for i in runs]
            pairs = [i for i in range(len(words) - 1) if [words[i] + words[i + 1]] == stems(phrase)]
            exact += [Place(row, i, i + 1, words) for i in pairs]
            runs += pairs
        if not runs and (place := _scattered(row, words, have, wanted)) is not None:
            loose.append(place)
    return exact or loose or _sounding(rows, wanted)


def _sounding(rows: Sequence[Row], wanted: list[str]) -> list[Place]:
    """Where a phrase of several words was misheard: runs of as many words, nearly the same letters."""
    letters = "".join(wanted)
    if len(wanted) < 2 or len(letters) < _LONG:
        return []
    found = []
    for row in rows:
        words = _words(row.observation.label)
        have = [root(word) for word in words]
        for i in range(len(have) - len(wanted) + 1):
            likeness = SequenceMatcher(None, letters, "".join(have[i : i + len(wanted)])).ratio()
            if likeness >= _MISHEARD:
                found.append((likeness, Place(row, i, i + len(wanted) - 1, words)))
    return [place for likeness, place in found if likeness == max(found, key=_first)[0]]


def _first(pair: tuple[float, Place]) -> float:
    return pair[0]


def _scattered(row: Row, words: tuple[str, ...], have: list[str], wanted: list[str]) -> Place | None:
    content = [word for word in wanted if word not in _SMALL]
    at = [next((i for i, own in enumerate(have) if _alike([own], [word])), None) for word in content]
    found = [i for i in at if i is not None]
    if len(content) < 2 or len(found) < len(content):
        return None
    return Place(row, min(found), max(found), words)


def _alike(have: Sequence[str], wanted: Sequence[str]) -> bool:
    return all(a == b or _ear(a) == _ear(b) or _slip(a, b) for a, b in zip(have, wanted, strict=True))


def _ear(word: str) -> str:
    return _SOUND_ALIKE.get(word, word)


def _slip(a: str, b: str) -> bool:
    if min(len(a), len(b)) < _LONG or a[0] != b[0]:
        return False
    return SequenceMatcher(None, a, b).ratio() >= _ALIKE


def resembling(rows: Sequence[Row], phrase: str) -> list[Place]:
    """The row that holds most of the phrase's content words, at least half of them; [] when none does."""
    content = [r for word in stems(phrase) if (r := root(word)) not in _SMALL]
    best: list[Place] = []
    most = 0
    for row in rows:
        words = _words(row.observation.label)
        have = [root(word) for word in words]
        at = [i for i, own in enumerate(have) if any(_alike([own], [word]) for word in content)]
        hits = len({have[i] for i in at})
        if hits > most and 2 * hits >= len(content):
            most, best = hits, [Place(row, at[0], at[-1], words)]
    return best
