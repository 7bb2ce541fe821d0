"""Questions that name two things and ask which of them it is ("is it a cat or a dog")."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgevid.core.nouns import Kind
from edgevid.stream.answer.patterns import FUNCTION_WORDS
from edgevid.stream.answer.vocabulary import Term

_BETWEEN = frozenset("a an the or and".split())
_OF_SOMETHING = re.compile(r"^(?:is|are|was|were) (?!there\b)")
_ASKS = re.compile(r"^(?:what|which)\b")


def alternatives(text: str, words: Sequence[str], subject: Sequence[Term]) -> tuple[Term, ...]:
    """The things between which a plain question asks to choose, but one that has no label; empty when it
    asks for something else.

    "Is there a cat or a dog" and "is the cat or the dog visible" ask whether there is either.
    """
    joined, first, last = _joined(words, subject)
    if not joined or (len(joined) > 1 and all(term.labels == joined[0].labels for term in joined)):
        return ()
    if _OF_SOMETHING.match(text):
        return joined if set(words[1:first]) - _BETWEEN else ()
    if _ASKS.match(text):
        return joined if last == len(words) else ()
    return joined if not set(words[:first]) - _BETWEEN else ()


def _joined(words: Sequence[str], subject: Sequence[Term]) -> tuple[tuple[Term, ...], int, int]:
    """The subjects around the first "or" with only articles between them, and the words they cover, an
    unknown alternative at the end of the question included."""
    if "or" not in words:
        return (), 0, 0
    at = words.index("or")
    before: list[Term] = []
    first = at
    for term in reversed([term for term in subject if _end(term) <= at]):
        if set(words[_end(term) : first]) - _BETWEEN:
            break
        before.insert(0, term)
        first = term.position
    if len(before) > 1 and _holds(before[0], before[1]):
        first = before[1].position
        before = before[1:]  # "is the animal a cat or a dog"
    after = [term for term in subject if term.position > at][:1]
    if after and not set(words[at + 1 : after[0].position]) - _BETWEEN:
        return ((*before, *after), first, _end(after[0])) if before else ((), 0, 0)
    named = [word for word in words[at + 1 :] if word not in _BETWEEN]
    unknown = len(named) == 1 and named[0] not in FUNCTION_WORDS
    return (tuple(before), first, len(words)) if unknown else ((), 0, 0)


def _holds(kind: Term, member: Term) -> bool:
    seen: tuple[Kind, ...] = ("object", "class")
    return all(member.labels.get(c, frozenset()) <= kind.labels.get(c, frozenset()) for c in seen)


def _end(term: Term) -> int:
    return term.position + len(term.phrase.split())
