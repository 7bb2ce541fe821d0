"""Replies about numbers: how many at once or in all, and whether there are that many."""

from __future__ import annotations

import re

from edgevid.core.nouns import Evidence
from edgevid.memory.memory import Row
from edgevid.stream.answer import lookup, phrasing, seeing
from edgevid.stream.answer.intent import Query
from edgevid.stream.answer.lookup import Match
from edgevid.stream.answer.reply import Reply
from edgevid.stream.answer.vocabulary import Vocabulary
from edgevid.stream.answer.watched import Watched

_AT_ONCE = re.compile(r"\bat (?:once|most|a time|one time|any (?:one )?time)\b|\bsame time\b|\bmaximum\b")
_HOW_OFTEN = re.compile(r"\bhow (?:many times|often)\b|\bnumber of times\b")
_FEWEST = re.compile(r"\b(?:fewest|smallest number|minimum|lowest number|at the least)\b")
_IN_ALL = re.compile(
    r"\b(?:in total|total(?: number)?|altogether|overall|in all|over the (?:whole|entire|course)"
    r"|(?:whole|entire) (?:video|clip|recording|time)|throughout|different|distinct"
    r"|(?:come|comes|came|go|goes|went|walk|walks|drive|drives|pass|passes|ride|rides|run|runs)"
    r"(?: \w+)? (?:in|into|by|past|through|along|out)|pass|passes|enter|enters|visit|visits|arrive|arrives)\b"
)


def how_many(query: Query, watched: Watched, vocabulary: Vocabulary) -> Reply:
    """How many SUBJECTs? The most at one time; in all, the sum over the times when some are there, for a
    detector cannot tell the same one coming back."""
    if not query.subject:
        rows = watched.of("object")
        kinds = not query.unknown and len({row.observation.label for row in rows})
        if not kinds:
            return seeing.undetectable(query, vocabulary)
        listed = seeing.which(query, watched)
        return Reply(f"{phrasing.plural('kind', kinds)}: {listed.text}", listed.evidence, "how_many")
    match = seeing.find(query, watched)
    if match is None:
        reply = seeing.absent(query.subject[0], watched)
        return Reply(f"0. {reply.text}", (), reply.via)
    if _HOW_OFTEN.search(query.text):
        count = len(match.spans)
        return Reply(f"{count}: {phrasing.intervals(match.spans)}.", match.spans, "how_many")
    boxed = _boxed(match)
    if not boxed:
        name = seeing.named(query.subject[0], match)
        return Reply(f"At least 1: {name} {phrasing.intervals(match.spans)}.", match.spans, "how_many")
    if _FEWEST.search(query.text):
        return _fewest(query, boxed)
    several = len({row.observation.label for row in boxed}) > 1
    if several and re.search(r"\b(?:kinds?|types?|sorts?|different)\b", query.text):
        return _kinds(match)
    if _IN_ALL.search(query.text) and not _AT_ONCE.search(query.text):
        return _in_all(query, boxed)
    count, evidence = lookup.most_at_once(boxed)
    text = f"{_plural(query, boxed, count)} at most at one time, {phrasing.interval(evidence)}."
    return Reply(text, (evidence,), "how_many")


def _fewest(query: Query, boxed: tuple[Row, ...]) -> Reply:
    number = min(row.observation.count for row in boxed)
    spans = lookup.join(row for row in boxed if row.observation.count == number)
    text = f"{_plural(query, boxed, number)} at least while any is seen, {phrasing.intervals(spans)}."
    return Reply(text, spans, "how_many")


def enough(query: Query, watched: Watched) -> Reply:
    """Are there (more than, at least, only) so many SUBJECTs?"""
    number = query.number or 0
    match = seeing.find(query, watched)
    boxed = _boxed(match) if match is not None else ()
    if not boxed:
        return seeing.absent(query.subject[0], watched)
    most, at = lookup.most_at_once(boxed)
    exact = tuple(row for row in boxed if row.observation.count == number)
    spans: tuple[Evidence, ...] = (at,)
    ever = re.search(r"\b(?:ever|at (?:some|any) (?:point|time|moment)|sometimes)\b", query.text)
    if query.compare == "most" or (not ever and query.compare == "exactly" and number == 1):
        holds = most <= number
    elif query.compare == "least" or most == number:
        holds = most >= number
    else:
        holds, spans = bool(exact), lookup.join(exact) or spans
    count = number if holds and exact and most != number else most
    said = f"{_plural(query, boxed, count)} at one time, {phrasing.intervals(spans)}."
    return Reply(f"Yes: {said}" if holds else f"No: at most {said}", spans, "enough")


def _in_all(query: Query, boxed: tuple[Row, ...]) -> Reply:
    spans = lookup.join(boxed)
    by_id = {row.id: row for row in boxed}
    inside = [tuple(by_id[i] for i in e.rows) for e in spans]
    count = sum(lookup.most_at_once(rows)[0] for rows in inside)
    if len(spans) == 1:
        return Reply(f"{_plural(query, boxed, count)}, {phrasing.intervals(spans)}.", spans, "how_many")
    text = f"{_plural(query, boxed, count)}, counted anew at each coming: {phrasing.intervals(spans)}."
    return Reply(text, spans, "how_many")


def _kinds(match: Match) -> Reply:
    found = lookup.listing(match.rows)
    spans = tuple(lookup.join(rows)[0] for _, rows in found)
    names = [
        f"{name.split(',')[0]} ({phrasing.interval(e)})" for (name, _), e in zip(found, spans, strict=True)
    ]
    return Reply(f"{phrasing.plural('kind', len(found))}: {phrasing.conjunction(names)}.", spans, "how_many")


def _boxed(match: Match) -> tuple[Row, ...]:
    """The rows that count things: of the object detector, faint ones only where there are no others."""
    kind = "faint" if match.faint else "object"
    return tuple(row for row in match.rows if row.observation.kind == kind)


def _plural(query: Query, rows: tuple[Row, ...], count: int) -> str:
    labels = {row.observation.label for row in rows}
    return phrasing.plural(labels.pop() if len(labels) == 1 else query.subject[0].phrase, count)
