"""Numbers in a question: how many of the subject, more or fewer than what, the how-manieth of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edgevid.stream.answer.vocabulary import Term

Compare = Literal["exactly", "least", "most"]

NUMBERS = {"a single": 1, "single": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
NUMBERS |= {"seven": 7, "eight": 8, "nine": 9, "ten": 10, "both": 2}
_ORDINALS = {
    "first": 1,
    "second": 2,
    "third": 3,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "last": -1,
    "final": -1,
}
_ORDINALS |= {"1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5, "6th": 6}
_NOT_A_COUNT = frozenset("which that this no any every each last first next other the".split())
_MORE = re.compile(r"\bmore than (?:just )?(\w+)\b")
_IS_THERE = re.compile(r"(?:is|are|was|were) there\b|(?:do|does|did|can) .*\b(?:see|appear|show up|come)\b")
_NUMBERED = re.compile(r"\bnumber (one|two|three|four|five|six|\d{1,2})\b(?! of)")
_FEWER = re.compile(r"\b(?:fewer|less) than (\w+)\b")
_SEVERAL = re.compile(
    r"\b(?:several|multiple|more than one|two or more|a couple of|another"
    r"|others(?! than)|(?:any|some)(?:one|body) else|who else)\b"
)
_ALONE = re.compile(
    r"\b(?:alone|(?:by (?:him|her|it)self)|on (?:his|her|its) own|the only (?:one|person))\b"
    r"|\b(?:only|just) one\b"
)
_AGAIN = re.compile(
    r"^when\b.*\b(?:returns?|comes? back|reappears?|(?:appears?|visible|seen|shows? up|there) again)\b"
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """``number`` of the subject, as ``compare`` says (None: a bare number); ``ordinal`` counts from 1, -1 is
    the last."""

    number: int | None = None
    compare: Compare | None = None
    ordinal: int | None = None


def quantity(text: str, words: Sequence[str], subject: Sequence[Term]) -> Quantity:
    """What a plain question with these ``words`` says about the number of its ``subject``."""
    number = next((n for term in subject if (n := _before(term, words, NUMBERS)) is not None), None)
    ordinal = next((n for term in subject if (n := _before(term, words, _ORDINALS)) is not None), None)
    if ordinal is not None and ordinal > 1 and _IS_THERE.match(text):
        return Quantity(ordinal, "least")
    if match := _NUMBERED.search(text):
        return Quantity(ordinal=_value(match.group(1)))
    if re.search(r"\b(?:crowd(?!ed)|group of)\b", text) and number is None:
        return Quantity(3, "least", ordinal)
    if match := _MORE.search(text):
        value = _value(match.group(1))
        return Quantity(None if value is None else value + 1, "least", ordinal)
    if match := _FEWER.search(text):
        value = _value(match.group(1))
        return Quantity(None if value is None else value - 1, "most", ordinal)
    if _ALONE.search(text):
        return Quantity(1, "exactly", ordinal)
    if _SEVERAL.search(text) and number is None:
        return Quantity(2, "least", ordinal)
    if number is None and re.search(r"\bboth\b", text):
        number = 2
    if number is not None and re.search(r"\bat least\b", text):
        return Quantity(number, "least", ordinal)
    if ordinal is None and _AGAIN.search(text):
        ordinal = 2
    exactly = number is not None and re.search(r"\b(?:exactly|only|just|a single)\b", text)
    return Quantity(number, "exactly" if exactly else None, ordinal)


def _before(term: Term, words: Sequence[str], names: dict[str, int]) -> int | None:
    """The number one or two words before ``term``."""
    for at in (term.position - 1, term.position - 2):
        if at >= 0 and (value := _value(words[at], names)) is not None:
            counted = names is _ORDINALS or at == 0 or words[at - 1] not in _NOT_A_COUNT
            return value if counted else None
    return None


def _value(word: str, names: dict[str, int] = NUMBERS) -> int | None:
    if names is NUMBERS and word.isdigit() and len(word) < 4:
        return int(word)
    return names.get(word)
