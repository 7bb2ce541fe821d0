"""Replies about order and place: before and after, which comes first, when nobody is there, and where."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from edgevid.core.nouns import Evidence, Kind, TimeSpan
from edgevid.memory.memory import Memory, Row
from edgevid.perception.speech import UNRECOGNISED
from edgevid.stream.answer import lookup, phrases, phrasing, seeing, speech
from edgevid.stream.answer.intent import Query
from edgevid.stream.answer.reply import Reply
from edgevid.stream.answer.spoken import places
from edgevid.stream.answer.vocabulary import Vocabulary
from edgevid.stream.answer.watched import Watched

_NAMED = 3  # things told before or after something
_SIDES = re.compile(r"\b(before|after)\b")
_SIDE = 1 / 3  # of the picture's width that is its left or right


def beside(query: Query, watched: Watched, vocabulary: Vocabulary, *, after: bool) -> Reply:
    """What comes before or after a phrase, a cut or the SUBJECT?"""
    spoken = [row for row in watched.of("speech") if row.observation.label != UNRECOGNISED]
    if query.phrase and (reply := speech.beside(query, spoken, after=after)) is not None:
        return reply
    anchor = _anchor(query, watched)
    if anchor is None and (near := phrases.neighbour_phrase(query.text)) is not None:
        reply = speech.beside(replace(query, phrase=near), spoken, after=after)
        if reply is not None:
            return reply
    if anchor is None:
        if query.subject:
            return seeing.absent(query.subject[0], watched)
        if query.phrase:
            return Reply(f'No, "{query.phrase}" was not said.', (), "absent")
        return seeing.undetectable(query, vocabulary)
    name, spans, labels = anchor
    kinds: tuple[Kind, ...] = (
        ("speech",) if "say" in query.words else ("object", "class", "text", "sound", "speech")
    )
    others = [row for row in watched.of(*kinds) if row.observation.label not in labels]
    if after:
        at = spans[0] if query.order == "first" else spans[-1]
        edge = at.span.end_ns
        rows = [r for r in others if r.observation.span.end_ns > edge]
        rows.sort(key=lambda r: max(r.observation.span.start_ns, edge))
    else:
        at = spans[-1] if query.order == "last" else spans[0]
        edge = at.span.start_ns
        rows = sorted((r for r in others if r.observation.span.start_ns < edge), key=_end, reverse=True)
    side = "after" if after else "before"
    lead = f"{side.capitalize()} {name} ({phrasing.clock(edge)})"
    told = _distinct(rows)[:_NAMED]
    if not told:
        return Reply(f"Nothing else was detected {side} {name} ({phrasing.clock(edge)}).", (at,), side)
    evidence = [Evidence(row.observation.span, (row.id,)) for row in told]
    parts = [f"{_word(r)} {phrasing.interval(e)}" for r, e in zip(told, evidence, strict=True)]
    return Reply(f"{lead}: {phrasing.conjunction(parts)}.", (at, *evidence), side)


def compare(query: Query, watched: Watched) -> Reply:
    """Which of two comes first (or last)? Does A come before B?"""
    found = [(term, lookup.seen_or_heard(watched, term)) for term in query.subject[:2]]
    for term, match in found:
        if match is None:
            return seeing.absent(term, watched)
    spans = [match.spans for _, match in found if match is not None]
    starts = [of_one[0].span.start_ns for of_one in spans]
    names = [phrasing.article(term.phrase) for term, _ in found]
    moments = f"{names[0]} at {phrasing.clock(starts[0])}, {names[1]} at {phrasing.clock(starts[1])}"
    evidence = tuple(of_one[0] for of_one in spans)
    if query.wants == "presence":
        holds = starts[0] > starts[1] if "after" in query.words else starts[0] < starts[1]
        return Reply(f"{'Yes' if holds else 'No'}: {moments}.", evidence, "compare")
    if starts[0] == starts[1]:
        return Reply(f"Both at once: {moments}.", evidence, "compare")
    chosen = starts.index(max(starts) if query.order == "last" else min(starts))
    rank, moment = query.order or "first", phrasing.clock(starts[chosen])
    text = f"{seeing.capital(names[chosen])} comes {rank}, at {moment}."
    return Reply(text, (evidence[chosen],), "compare")


def said_order(query: Query, watched: Watched) -> Reply:
    """Is one phrase said before, or after, the other?"""
    rows = [row for row in watched.of("speech") if row.observation.label != UNRECOGNISED]
    first, side, second = _SIDES.split(query.text, maxsplit=1)
    asked = phrases.spoken_phrase(first.strip()), phrases.neighbour_phrase(f"{side} {second.strip()}")
    found = []
    for phrase in asked:
        at = places(rows, phrase) if phrase else []
        if not at:
            return Reply(f'No, "{phrase or query.text}" was not said.', (), "said:absent")
        found.append(at[0])
    starts = [place.evidence.span.start_ns for place in found]
    earlier = (starts[0], found[0].first) < (starts[1], found[1].first)
    moments = [f'"{p}" at {phrasing.clock(start)}' for p, start in zip(asked, starts, strict=True)]
    text = f"{'Yes' if earlier == (side == 'before') else 'No'}: {phrasing.conjunction(moments)}."
    return Reply(text, tuple(place.evidence for place in found), "said_order")


def nobody(query: Query, watched: Watched) -> Reply:
    """Is, and when is, no person there?"""
    found = [lookup.seen(watched, term) for term in query.people]
    people = [row for match in found if match is not None for row in match.rows]
    if not watched.watched_for("object"):
        return Reply("I did not watch for people.", (), "nobody")
    whole = TimeSpan(0, watched.duration_ns)
    if not people:
        return Reply("Yes: no person was detected at any time.", (Evidence(whole, ()),), "nobody")
    seen = lookup.join(people)
    gaps = lookup.gaps(seen, whole.end_ns)
    if not gaps:
        return Reply(f"No: a person is seen {phrasing.intervals(seen)}.", seen, "nobody")
    if query.wants == "presence":
        text = f"Partly: nobody {phrasing.intervals(gaps)}; a person is seen {phrasing.intervals(seen)}."
        return Reply(text, (*seen, *gaps), "nobody")
    return Reply(f"The picture is empty of people {phrasing.intervals(gaps)}.", gaps, "nobody")


def where(query: Query, watched: Watched, memory: Memory) -> Reply:
    """In which part of the picture?"""
    match = lookup.seen(watched, query.subject[0])
    row = None if match is None else memory.row(match.rows[0].id)
    boxes = () if row is None else row.observation.boxes
    if match is None or not boxes:
        reply = seeing.absent(query.subject[0], watched)
        return reply if match is None else Reply("I cannot tell where.", (), "cannot")
    sides = list(dict.fromkeys(_side((box.x0 + box.x1) / 2) for box in boxes))
    at = Evidence(match.rows[0].observation.span, (match.rows[0].id,))
    name = seeing.capital(phrasing.plural(match.label, len(boxes)))
    verb = "is" if len(boxes) == 1 else "are"
    return Reply(f"{name} {verb} {phrasing.conjunction(sides)}, {phrasing.interval(at)}.", (at,), "where")


def _side(x: float) -> str:
    if x < _SIDE:
        return "on the left"
    return "on the right" if x > 1 - _SIDE else "in the middle"


def _anchor(query: Query, watched: Watched) -> tuple[str, tuple[Evidence, ...], set[str]] | None:
    """What the question counts from: its name, its spans, and the labels that are itself."""
    if any(word in query.words for word in ("cut", "transition")):
        found = tuple(Evidence(row.observation.span, (row.id,)) for row in watched.of("cut"))
        return ("the cut", found, {"cut"}) if found else None
    for term in query.subject:
        match = lookup.seen_or_heard(watched, term)
        if match is not None:
            labels = {label for of_kind in term.labels.values() for label in of_kind}
            return seeing.named(term, match), match.spans, labels
    return None


def _distinct(rows: Sequence[Row]) -> list[Row]:
    chosen: dict[str, Row] = {}
    for row in rows:
        chosen.setdefault(row.observation.label, row)
    return list(chosen.values())


def _end(row: Row) -> int:
    return row.observation.span.end_ns


def _word(row: Row) -> str:
    o = row.observation
    return f'"{o.label}"' if o.kind in ("speech", "text") else o.label.split(",")[0]
