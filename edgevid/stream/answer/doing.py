"""Replies about what somebody does or wears: the things this needs, for no channel recognises actions."""

from __future__ import annotations

import re
from dataclasses import replace

from edgevid.stream.answer import kinds, lookup, phrasing, seeing, terms, weighing
from edgevid.stream.answer.intent import Query
from edgevid.stream.answer.normal import singular, stems
from edgevid.stream.answer.reply import Reply
from edgevid.stream.answer.vocabulary import Vocabulary
from edgevid.stream.answer.watched import Watched

_DOING = re.compile(r"\b(?:doing|up to)\b|\bwhat (?:does|do|did) (?:he|she|they|it|the \w+) do\b")
_PLAYS = re.compile(r"^(?:what|which)(?: \w+)? (?:is|are|do|does) (?:\w+ ){1,2}play(?:ing)?$")
_WORN_ON = re.compile(
    rf"\b(?:on|over|around|in) (?:his|her|their|its|the) ({'|'.join(kinds.WORN_ON)}|feet)\b"
)
_ASKS_WHICH = re.compile(r"(?:what|which)\b")
_CLOTHES = frozenset("clothe clothing outfit garment".split()) | {"piece of clothing", "item of clothing"}


def doing(query: Query, watched: Watched, vocabulary: Vocabulary) -> Reply | None:
    """What somebody sits on, rides, eats, plays or is doing; None when the question asks for something
    else."""
    if _PLAYS.search(query.text):
        played = weighing.of_kind(watched, vocabulary.find(["sport", "or", "instrument"]))
        if played is not None:
            return played
    for pattern, (purpose, labels) in terms.RELATIONS.items():
        if re.search(rf"\b{pattern}(?: (?:here|there|now|in the|at the|during)\b.*)?$", query.text):
            return _needed(purpose, labels, watched)
    if not _DOING.search(query.text):
        return None
    shown = seeing.which(query, watched)
    what = f"; what I see: {shown.text}" if shown.evidence else "."
    return Reply(f"I cannot tell actions{what}", shown.evidence, "cannot")


def _needed(purpose: str, labels: tuple[str, ...], watched: Watched) -> Reply:
    """The first of ``labels`` that was seen, surely or else faintly: the question says there is one."""
    for rows, how in ((watched.of("object"), ""), (watched.faint, " (seen only faintly)")):
        there = {row.observation.label for row in rows}
        if label := next((label for label in labels if label in there), None):
            spans = lookup.join(row for row in rows if row.observation.label == label)
            name = seeing.capital(phrasing.article(label))
            return Reply(f"{name}{how}, {phrasing.intervals(spans)}.", spans, "needed")
    return Reply(f"I cannot tell: nothing {purpose} was detected.", (), "cannot")


def worn(query: Query, watched: Watched, vocabulary: Vocabulary) -> Reply:
    """What clothes are there? Only those that are labels of a detector."""
    if (part := _WORN_ON.search(query.text)) is not None:
        of_part = tuple(vocabulary.find([kinds.WORN_ON[singular(part.group(1))]]))
        worn_there = weighing.of_kind(watched, of_part)
        return worn_there or Reply("I cannot tell: nothing worn there was detected.", (), "cannot")
    asked = [t for t in query.subject if not seeing.is_person(t) and t.phrase not in _CLOTHES]
    presupposed = weighing.of_kind(watched, asked) if _ASKS_WHICH.match(query.text) else None
    if asked:
        return presupposed or seeing.presence(replace(query, subject=tuple(asked)), watched, vocabulary)
    clothes = tuple(vocabulary.find(stems("clothes")))
    if seeing.find(replace(query, subject=clothes), watched) is not None:
        return seeing.which(replace(query, subject=clothes), watched)
    likely = weighing.of_kind(watched, clothes)
    return likely or Reply(
        "I cannot tell: few clothes are among what I detect, and none was found.", (), "cannot"
    )
