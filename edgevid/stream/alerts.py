"""Alerts: a condition in words ("a person at the door"), compiled once, checked on every event.

The words are matched as the answerer matches them (vocabulary, synonyms, hypernyms). What no channel could
ever report is refused when the condition is compiled, not waited for.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from edgevid.core.errors import UsageError
from edgevid.core.nouns import NS_PER_S, Kind
from edgevid.memory.memory import Memory, Row
from edgevid.stream.answer import lookup, patterns, phrases
from edgevid.stream.answer.normal import plain, stems
from edgevid.stream.answer.quantity import NUMBERS
from edgevid.stream.answer.vocabulary import Term, Vocabulary
from edgevid.stream.events import Event

_QUIET_NS = 10 * NS_PER_S  # gone for less than this, a thing has not come anew
_LONGEST = 500  # characters of a condition
_REMEMBERED = 8  # matching rows whose end is looked at

_PLACE = frozenset(
    "at in on near behind under beside by against inside outside onto below above from".split()
)
_ABSENCE = re.compile(
    r"\b(no|not|nobody|none|without|never|leaves?|leaving|left|gone|goes|disappear\w*|ends?|stops?)\b"
)
_WRITTEN = re.compile(r"\b(read|reads|sign|text|written|screen|shows?|display\w*)\b")


@dataclass(frozen=True, slots=True)
class Condition:
    """What an alert waits for.

    Attributes:
        text: as the user wrote it.
        terms: any of these is enough; empty when ``phrase`` is waited for.
        kinds: the channels it can come from, of those that are watched.
        phrase: words to be said or shown, in order.
        least: how many at one time (objects).
        unchecked: words of a place, which no channel can confirm; for the user to be told.
    """

    text: str
    terms: tuple[Term, ...]
    kinds: tuple[Kind, ...]
    phrase: tuple[str, ...] = ()
    least: int = 1
    unchecked: str = ""

    @classmethod
    def compile(cls, text: str, *, vocabulary: Vocabulary, channels: Collection[Kind]) -> Condition:
        """Understand ``text``, or say at once why it can never come true.

        Raises:
            UsageError: nothing detectable is named, several things are, its channel is not watched, or the
                text is too long.
        """
        if len(text) > _LONGEST:
            raise _refused(f"{text[:20]}...", f"it is longer than {_LONGEST} characters")
        said = _phrase(text)
        if said:
            kinds: tuple[Kind, ...] = ("speech", "text")
            if _WRITTEN.search(plain(text)):
                kinds = ("text",)
            elif patterns.SAID.search(plain(text)):
                kinds = ("speech",)
            return cls(text, (), _watched(text, kinds, channels), phrase=said)
        if _ABSENCE.search(plain(text)):
            raise _refused(text, "only what appears can be told, not what is absent or goes")
        words, unchecked = _before_place(stems(text))
        terms = _one_thing(text, words, vocabulary)
        kinds = lookup.visual_first(bool(patterns.HEARD.search(plain(text))))
        possible = tuple(kind for kind in kinds if any(kind in term.labels for term in terms))
        watched = _watched(text, possible, channels)
        number = re.search(rf"\b({'|'.join(NUMBERS)}|\d+)\b", " ".join(words))
        least = (NUMBERS.get(number.group(1)) or int(number.group(1))) if number else 1
        return cls(text, terms, watched[:1], least=max(least, 1), unchecked=unchecked)

    def holds(self, event: Event) -> bool:
        """Whether ``event`` is what is waited for."""
        o = event.observation
        if o.kind not in self.kinds or o.count < self.least:
            return False
        if self.phrase:
            heard = tuple(stems(o.label))
            length = len(self.phrase)
            return any(heard[at : at + length] == self.phrase for at in range(len(heard) - length + 1))
        row = Row(event.row_id, 0, o)
        return any(lookup.find((row,), term, self.kinds) is not None for term in self.terms)


@dataclass(frozen=True, slots=True)
class Alert:
    """A condition came true."""

    condition: Condition
    event: Event

    def to_json(self) -> dict[str, Any]:
        """``{"type": "alert", "notify", "event"}``."""
        return {"type": "alert", "notify": self.condition.text, "event": self.event.to_json()}


class Alarm:
    """Watches one source for one condition and tells each appearance once.

    A thing that blinks, or whose count changes, starts new rows; it has appeared anew only when no matching
    row reached into the last 10 s. Not thread-safe.
    """

    def __init__(self, condition: Condition, memory: Memory) -> None:
        self.condition = condition
        self._memory = memory
        self._rows: deque[int] = deque(maxlen=_REMEMBERED)
        self._end_ns = -_QUIET_NS  # of the rows that have left the deque

    def check(self, event: Event) -> Alert | None:
        """An alert when ``event`` begins a new appearance, else None."""
        if not self.condition.holds(event):
            return None
        start_ns = event.observation.span.start_ns
        continues = start_ns < self._last_end_ns() + _QUIET_NS
        self._rows.append(event.row_id)
        self._end_ns = max(self._end_ns, event.observation.span.end_ns)
        return None if continues else Alert(self.condition, event)

    def reset(self) -> None:
        """Another stream begins: its clock starts anew."""
        self._rows.clear()
        self._end_ns = -_QUIET_NS

    def _last_end_ns(self) -> int:
        rows = (self._memory.row(row_id) for row_id in self._rows)
        return max((row.observation.span.end_ns for row in rows if row is not None), default=self._end_ns)


def _phrase(text: str) -> tuple[str, ...]:
    phrase = phrases.quoted(text)
    if phrase is None and patterns.SAID.search(plain(text)):
        phrase = phrases.spoken_phrase(plain(text))
    return tuple(stems(phrase)) if phrase else ()


def _before_place(words: list[str]) -> tuple[list[str], str]:
    """The words up to the first preposition of place, and the rest."""
    at = next((i for i, word in enumerate(words) if word in _PLACE and i > 0), len(words))
    return words[:at], " ".join(words[at:])


def _one_thing(text: str, words: list[str], vocabulary: Vocabulary) -> tuple[Term, ...]:
    """The thing named, or the alternatives ("a cat or a dog")."""
    terms = tuple(vocabulary.find(words))
    named = {term.position + i for term in terms for i in range(len(term.phrase.split()))}
    unknown = [
        word
        for at, word in enumerate(words)
        if at not in named
        and word not in patterns.FUNCTION_WORDS
        and word not in NUMBERS
        and not word.isdecimal()
    ]
    if unknown or not terms:
        sizes = vocabulary.sizes
        known = f"{sizes['object']} objects, {sizes['class']} scene classes and {sizes['sound']} sounds"
        what = f"'{' '.join(unknown)}' is not" if unknown else "it names nothing"
        raise _refused(text, f"{what} among the {known} that are told apart")
    if len(terms) == 1 or "or" in words:
        return terms
    if set(terms[-1].labels) == {"sound"} and "and" not in words:
        return terms[-1:]  # "a dog barking" is a sound
    raise _refused(text, "it names several things", fix="one --notify for each")


def _watched(text: str, kinds: tuple[Kind, ...], channels: Collection[Kind]) -> tuple[Kind, ...]:
    found = tuple(kind for kind in kinds if kind in channels)
    if not found:
        needs = " or ".join(kinds)
        raise _refused(
            text, f"it needs the channel {needs}, which is not watched", fix=f"--channels {kinds[0]}"
        )
    return found


def _refused(
    text: str, reason: str, *, fix: str = "name a thing, such as 'a person' or 'a dog barking'"
) -> UsageError:
    return UsageError(f'cannot notify of "{text}": {reason}', fix=fix)
