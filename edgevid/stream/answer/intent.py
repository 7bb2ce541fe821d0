"""What a question asks for: rules over its plain words, in order; the first that fits wins."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from edgevid.stream.answer import patterns, phrases, writing
from edgevid.stream.answer.alternatives import alternatives
from edgevid.stream.answer.normal import asked, stems
from edgevid.stream.answer.quantity import Compare, quantity
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
    "nobody",  # whether or when no person is there
    "compare",  # which of two comes first
    "either",  # which of two it is
    "said_order",  # is one thing said before another
    "where",  # which part of the picture
    "presence",
    "summary",
    "unknown",
]
Order = Literal["first", "last"]
Edge = Literal["start", "end"]
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
        number, compare: how many of the subject the question speaks of ("when are there two people").
        quality: what the question says of the subject that no detector tells ("red"), or "".
        action: what the subject does, as the question says ("dancing"), or "".
        ordinal: the how-manieth of the subject, from 1; -1 is the last.
        edge: whether the question asks when the subject comes or when it goes.
        people: what the vocabulary calls a person, for questions that only say "who" or "nobody".
        words: the question's words, singular.
        text: the question in plain words.
    """

    intent: Intent
    subject: tuple[Term, ...] = ()
    unknown: tuple[str, ...] = ()
    phrase: str | None = None
    order: Order | None = None
    wants: Wants = "which"
    attribute: str = ""
    number: int | None = None
    compare: Compare | None = None
    ordinal: int | None = None
    quality: str = ""
    action: str = ""
    edge: Edge | None = None
    people: tuple[Term, ...] = field(default=(), repr=False)
    words: tuple[str, ...] = field(default=(), repr=False)
    text: str = field(default="", repr=False)


def parse(question: str, vocabulary: Vocabulary) -> Query:
    """Parse an English question. Never fails: what no rule understands is intent "unknown"."""
    question = without_times(question)
    text = asked(question)
    words = tuple(
        word if word in patterns.FUNCTION_WORDS else vocabulary.corrected(word) for word in stems(text)
    )
    if not re.search(r"[^\W\d_]{2,}", text):
        return Query("nothing", words=words)
    subject = tuple(vocabulary.find(words))
    named = {term.position + i for term in subject for i in range(len(term.phrase.split()))}
    unknown = tuple(
        word
        for at, word in enumerate(words)
        if at not in named and word not in patterns.FUNCTION_WORDS and len(word) > 1
    )
    amount = quantity(text, words, subject)
    base = Query(
        "unknown",
        subject=subject,
        unknown=unknown,
        order=_order(text),
        wants=_wants(text),
        number=amount.number,
        compare=amount.compare,
        ordinal=amount.ordinal,
        quality=_quality(words, subject),
        action=_action(text, words, subject, unknown),
        edge=_edge(text),
        people=tuple(vocabulary.find(["person"])),
        words=words,
        text=text,
    )
    return _classify(text, question, base)


_ASKS_WHAT = re.compile(r"(?:what|which|tell me|(?:the )?\w+ on)\b")
_SAYS_OR_CUTS = re.compile(rf"{patterns.SAID.pattern}|{patterns.CUTS.pattern}|\bwords?\b")


def _classify(text: str, question: str, base: Query) -> Query:
    phrase = phrases.quoted(question)
    bare = _without_names(patterns.QUOTED.sub(" ", text), base.subject)
    if patterns.GESTURES.search(text) and not patterns.HOLDS.search(text):
        return replace(base, intent="cannot", attribute="gestures")
    side = patterns.SIDE.search(text)
    if side and (phrase or _SAYS_OR_CUTS.search(text)) and patterns.WHICH.search(text):
        before = side.group(1) is not None
        return replace(
            base, intent="before" if before else "after", phrase=phrase or phrases.neighbour_phrase(text)
        )
    if patterns.SAYS_BEFORE.search(text) and _is_said(text, base):
        return replace(base, intent="said_order")
    if patterns.WEARS.search(text) and _is_said(text, base) and not patterns.SAYS.search(text):
        return replace(base, intent="worn")
    if patterns.ON_BODY.search(text):
        return replace(base, intent="worn")
    if (written := _of_writing(text, question, base, phrase)) is not None:
        return written
    if re.search(r"^(?!is there).*\b(gender|male|female|(boy|man) or (a )?(girl|woman)|how old)\b", text):
        return replace(base, intent="cannot", attribute="age or gender")
    if patterns.WRITTEN_WORD.search(text):
        return replace(base, intent="written", phrase=phrase or phrases.written_phrase(text))
    if patterns.IS_THERE.match(text) and _first_is_sound(base):
        return replace(base, intent="heard")
    if _is_said(text, base):
        return _about_speech(text, base, phrase)
    if re.search(r"\b(written|writing|read|reads|printed)\b", text):
        return replace(base, intent="written", phrase=phrase)
    if patterns.WHO_IS_THERE.search(text):
        people = replace(base, subject=base.subject or base.people)
        return replace(people, intent="presence" if people.subject else "which")
    for pattern, attribute in patterns.ATTRIBUTES:
        if pattern.search(bare):
            return replace(base, intent="cannot", attribute=attribute)
    if patterns.CLOTHES.search(text):
        return replace(base, intent="worn")
    if patterns.WRITTEN.search(text) and not patterns.ROAD_SIGN.search(text):
        return replace(base, intent="written", phrase=phrase)
    if patterns.SHOT_LENGTH.search(text):
        return replace(base, intent="cuts", wants="how_long")
    if patterns.CUTS.search(text) or patterns.CUTS_MORE.search(text):
        return replace(base, intent="cuts")
    if (patterns.LENGTH.search(text) or patterns.LONGER.search(text)) and not base.subject:
        return replace(base, intent="length")
    if patterns.COMPARE.search(text) and len(base.subject) > 1:
        return replace(base, intent="compare")
    if chosen := alternatives(text, base.words, base.subject):
        return replace(base, intent="either", subject=chosen)
    if patterns.HEARD.search(text) or _only_heard(base):
        return replace(base, intent="heard")
    if patterns.NOBODY.search(text):
        return replace(base, intent="nobody")
    if patterns.THROUGHOUT.search(text) and patterns.STARTS_YES_NO.match(text) and base.subject:
        return replace(base, intent="presence")
    if (said_of := patterns.PREDICATE.match(text)) and said_of.group(1) in base.unknown:
        return replace(base, intent="cannot", attribute=f"whether something is {said_of.group(1)}")
    return _about_the_picture(text, base, phrase)


def _of_writing(text: str, question: str, base: Query, phrase: str | None) -> Query | None:
    """A question for what is written on something, before its words are taken for speech; else None."""
    if patterns.SHOWS_WORDS.search(text):
        return replace(base, intent="written", phrase=phrase)
    capitals = phrases.capitals(question)
    if capitals and not patterns.WHICH.match(text) and not _is_said(text, base):
        return replace(base, intent="written", phrase=phrase or capitals)
    if writing.asks_for_writing(text) or (not base.subject and writing.asks_for_signs(text)):
        words = None if _ASKS_WHAT.match(text) else phrases.spoken_phrase(text)
        wants = "which" if writing.asks_for_a_clock(text) else base.wants
        return replace(base, intent="written", phrase=phrase or words, wants=wants)
    return None


def _about_speech(text: str, base: Query, phrase: str | None) -> Query:
    if patterns.WHO_SPEAKS.search(text):
        return replace(base, intent="cannot", attribute="who someone is")
    if patterns.VOICES.search(text):
        return replace(base, intent="cannot", attribute="whose voices these are or how many")
    if re.search(r"\blanguage\b|\baccent\b", text):
        return replace(base, intent="cannot", attribute="the language spoken")
    return replace(base, intent="said", phrase=phrase or phrases.spoken_phrase(text))


def _about_the_picture(text: str, base: Query, phrase: str | None) -> Query:
    """What is left is about things seen; "he" and "they" are people."""
    visual = _visual_intent(text, base)
    if phrase and visual in ("presence", "when", "how_many", "unknown"):
        return replace(base, intent="said", phrase=phrase)
    of_them = not (base.subject or base.unknown) and bool(patterns.THEY.search(text))
    if visual == "presence" and of_them and base.number is None and not patterns.IN_VIEW.search(text):
        return replace(base, intent="cannot", attribute="actions")
    if patterns.LONGEST.search(text) and visual in ("which", "unknown", "when"):
        return replace(base, intent="how_long", subject=base.subject or base.people)
    if of_them and (visual in _OF_PEOPLE or visual == "presence"):
        base = replace(base, subject=base.people)
    return replace(base, intent=visual)


_OF_PEOPLE = frozenset({"when", "how_long", "how_many", "where"})


def _is_said(text: str, base: Query) -> bool:
    if not patterns.SAID.search(text) or patterns.SCREEN_SAYS.search(text):
        return False
    counts_people = patterns.HOW_MANY.search(text) and re.search(r"\b(speakers|people|persons)\b", text)
    return not (counts_people and re.search(r"\b(seen?|visible|shown?|screen|picture|there)\b", text))


def _only_heard(base: Query) -> bool:
    return bool(base.subject) and all(
        set(term.labels) == {"sound"} and not set(base.words[: term.position][-2:]) & {"on", "in", "at"}
        for term in base.subject
    )


def _first_is_sound(base: Query) -> bool:
    if not base.subject or patterns.SAID.search(base.subject[0].phrase):
        return False
    return set(base.subject[0].labels) == {"sound"}


def _without_names(text: str, subject: tuple[Term, ...]) -> str:
    """The text without labels of several words, so that a hot dog is not hot."""
    for term in subject:
        if " " in term.phrase:
            text = re.sub(term.phrase.replace(" ", r"\w*[ -]") + r"\w*", " ", text)
    return text


def _visual_intent(text: str, base: Query) -> Intent:
    if patterns.HOW_LONG.search(text):
        return "when" if re.search(r"\b(until|till|before)\b", text) else "how_long"
    several = base.number is not None and patterns.STARTS_YES_NO.match(text)
    if patterns.HOW_MANY.search(text) and not several:
        return "how_many"
    side = patterns.SIDE.search(text)
    if side and patterns.SIDE_ASKS.search(text):
        return "before" if side.group(1) else "after"
    if patterns.WHEN.search(text) and not patterns.WHAT_WHEN.match(text):
        return "when"
    if patterns.EDGE_TIME.search(text):
        return "when"
    if patterns.WHERE.search(text) and (base.subject or patterns.THEY.search(text)):
        return "where"
    if patterns.LIST_KIND.search(text) and base.subject:
        return "which"
    if (patterns.SUMMARY.search(text) or patterns.ABOUT.search(text)) and not base.subject:
        return "summary"
    if patterns.STARTS_YES_NO.match(text) or patterns.ASKS_YES_NO.search(text):
        return "presence"
    if patterns.SUMMARY.search(text):
        return "summary" if not base.subject else "which"
    if patterns.WHICH.search(text):
        return "which"
    return "presence" if base.subject else "unknown"


def _quality(words: tuple[str, ...], subject: tuple[Term, ...]) -> str:
    if not subject:
        return ""
    before = words[max(0, subject[0].position - 2) : subject[0].position]
    return next((word for word in before if word in patterns.QUALITIES), "")


def _action(text: str, words: tuple[str, ...], subject: tuple[Term, ...], unknown: tuple[str, ...]) -> str:
    acts = [word for word in unknown if patterns.ACTION.fullmatch(word)]
    if not acts and subject and re.match(r"(?:does|do|did|can|will) ", text):
        after = subject[0].position + len(subject[0].phrase.split())
        acts = [word for word in words[after : after + 1] if word in unknown]
    return acts[0] if acts else ""


def _edge(text: str) -> Edge | None:
    if patterns.GOES.search(text):
        return "end"
    return "start" if patterns.COMES.search(text) else None


def _order(text: str) -> Order | None:
    if patterns.LAST.search(text):
        return "last"
    return "first" if patterns.FIRST.search(text) else None


def _wants(text: str) -> Wants:
    if re.search(r"\bhow (?:long|many (?:seconds|minutes))\b", text):
        return "how_long"
    if re.search(r"\bhow (?:many|often)\b|\bnumber of\b|\bcount\b", text):
        return "how_many"
    if patterns.WHEN.search(text):
        return "when"
    if patterns.STARTS_YES_NO.match(text) or re.search(r"\bany\b|\bis there\b", text):
        return "presence"
    if re.match(r"(some|any)(body|one|thing)\b", text):
        return "presence"
    return "which"
