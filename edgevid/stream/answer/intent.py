"""What a question asks for: rules over its plain words, in order; the first that fits wins."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from edgevid.stream.answer import patterns
from edgevid.stream.answer.normal import plain, stems
from edgevid.stream.answer.vocabulary import Term, Vocabulary
from edgevid.stream.answer.window import without_times

Intent = Literal[
    "nothing",  # no question at all
    "cannot",  # no channel could tell: colours, feelings, identity, reasons, the future
    "said",  # what was spoken, or whether and when a phrase was
    "written",  # text on screen
    "heard",  # sounds
    "cuts",  # scene changes
    "length",  # duration of the video
    "how_long",  # duration of the subject
    "how_many",
    "before",
    "after",
    "when",
    "worn",  # clothes: only those that are labels
    "which",  # list what is there
    "presence",
    "summary",
    "unknown",
]
Order = Literal["first", "last"]
Wants = Literal["when", "how_many", "how_long", "presence", "which"]


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed question.

    Attributes:
        intent: see ``Intent``.
        subject: labels the question is about, in its order; empty for "anything".
        unknown: content words no detector has a label for.
        phrase: words searched for in speech or screen text, or None.
        order: "first" or "last" when the question asks for one end of the timeline.
        wants: what said, written, heard and cuts questions ask of their rows.
        attribute: for "cannot", what cannot be told.
        number: how many of the subject the question speaks of ("when are there two people").
        words: the question's words, singular.
    """

    intent: Intent
    subject: tuple[Term, ...] = ()
    unknown: tuple[str, ...] = ()
    phrase: str | None = None
    order: Order | None = None
    wants: Wants = "which"
    attribute: str = ""
    number: int | None = None
    words: tuple[str, ...] = field(default=(), repr=False)


def parse(question: str, vocabulary: Vocabulary) -> Query:
    """Parse an English question. Never fails: what no rule understands is intent "unknown"."""
    question = without_times(question)
    text = plain(question)
    words = tuple(stems(question))
    if not re.search(r"[^\W\d_]{2,}", text):
        return Query("nothing", words=words)
    subject = tuple(vocabulary.find(words))
    named = {term.position + i for term in subject for i in range(len(term.phrase.split()))}
    unknown = tuple(
        word
        for at, word in enumerate(words)
        if at not in named and word not in patterns.FUNCTION_WORDS and len(word) > 1
    )
    base = Query(
        "unknown",
        subject=subject,
        unknown=unknown,
        order=_order(text),
        wants=_wants(text),
        number=_number(text),
        words=words,
    )
    return _classify(text, question, base)


def _classify(text: str, question: str, base: Query) -> Query:
    phrase = _quoted(question)
    if patterns.GESTURES.search(text):
        return replace(base, intent="cannot", attribute="gestures")
    if patterns.SAID.search(text) and not patterns.SCREEN_SAYS.search(text):
        if patterns.WHO_SPEAKS.search(text):
            return replace(base, intent="cannot", attribute="who someone is")
        if re.search(r"\blanguage\b", text):
            return replace(base, intent="cannot", attribute="the language spoken")
        return replace(base, intent="said", phrase=phrase or _said_phrase(text))
    if re.search(r"\b(written|writing|read|reads)\b", text):
        return replace(base, intent="written", phrase=phrase)
    for pattern, attribute in patterns.ATTRIBUTES:
        if pattern.search(text):
            return replace(base, intent="cannot", attribute=attribute)
    if patterns.CLOTHES.search(text):
        return replace(base, intent="worn")
    if patterns.WRITTEN.search(text) and not patterns.ROAD_SIGN.search(text):
        return replace(base, intent="written", phrase=phrase)
    if patterns.CUTS.search(text) or patterns.CUTS_MORE.search(text):
        return replace(base, intent="cuts")
    if patterns.LENGTH.search(text) and not base.subject:
        return replace(base, intent="length")
    if patterns.HEARD.search(text):
        return replace(base, intent="heard")
    return replace(base, intent=_visual_intent(text))


def _visual_intent(text: str) -> Intent:
    if patterns.HOW_LONG.search(text):
        return "how_long"
    if patterns.HOW_MANY.search(text):
        return "how_many"
    side = patterns.SIDE.search(text)
    if side and patterns.SIDE_ASKS.search(text):
        return "before" if side.group(1) else "after"
    if patterns.WHEN.search(text) and not patterns.WHAT_WHEN.match(text):
        return "when"
    if patterns.EDGE_TIME.search(text):
        return "when"
    if patterns.SUMMARY.search(text) or patterns.ABOUT.search(text):
        return "summary"
    if patterns.STARTS_YES_NO.match(text) or patterns.ASKS_YES_NO.search(text):
        return "presence"
    if patterns.WHICH.search(text):
        return "which"
    return "unknown"


def _order(text: str) -> Order | None:
    if patterns.LAST.search(text):
        return "last"
    return "first" if patterns.FIRST.search(text) else None


def _wants(text: str) -> Wants:
    if re.search(r"\bhow many\b|\bnumber of\b|\bcount\b", text):
        return "how_many"
    if re.search(r"\bhow long\b", text):
        return "how_long"
    if patterns.WHEN.search(text):
        return "when"
    if patterns.STARTS_YES_NO.match(text) or re.search(r"\bany\b|\bis there\b", text):
        return "presence"
    return "which"


def _number(text: str) -> int | None:
    match = re.search(r"\b(?:only |just |exactly )?(one|two|three|four|five|six|\d+)\b", text)
    if not match or re.search(r"\b(which|that|this|no|any|every) one\b|\bone of\b", text):
        return None
    names = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
    return names.get(match.group(1)) or int(match.group(1))


def _quoted(question: str) -> str | None:
    """Words in quotation marks."""
    match = patterns.QUOTED.search(question)
    return (match.group(1) or match.group(2)).strip() if match else None


def _said_phrase(text: str) -> str | None:
    """The words after "say" or "mention" when they are a phrase and not an adverb."""
    match = patterns.SAID_PHRASE.search(text) or patterns.SAID_PASSIVE.search(text)
    if not match:
        return None
    phrase = patterns.SAID_TAIL.sub("", match.group(1)).strip(' "')
    phrase = re.sub(r"^(?:the|a|an) (?=\w)", "", phrase)
    return None if not phrase or patterns.NO_PHRASE.match(phrase) else phrase
