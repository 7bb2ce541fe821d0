"""Replies about times of what is seen (and sounds asked for by name): when and how long it is there."""

from __future__ import annotations

from dataclasses import replace

from edgevid.core.nouns import Evidence
from edgevid.memory.memory import Row
from edgevid.stream.answer import lookup, phrasing, scenes, seeing
from edgevid.stream.answer.intent import Query
from edgevid.stream.answer.lookup import Match
from edgevid.stream.answer.reply import Reply
from edgevid.stream.answer.vocabulary import Term, Vocabulary
from edgevid.stream.answer.watched import Watched


def when(query: Query, watched: Watched, vocabulary: Vocabulary) -> Reply:
    """When does SUBJECT appear (first, last)?"""
    if not query.subject:
        everything = watched.of("object", "class", "speech", "text")
        if query.unknown:
            return seeing.undetectable(query, vocabulary)
        return seeing.edge(everything, query.order or "first")
    query = replace(query, subject=_acts_first(query.subject))
    match = seeing.find(query, watched)
    if match is None:
        return seeing.absent(query.subject[0], watched)
    if query.ordinal is not None and (query.edge is not None or query.ordinal not in (1, -1)):
        return _nth(query, match)
    if query.edge is not None and query.order is None and query.number is None:
        return _edge_of(query, match)
    if query.number is not None:
        exact = tuple(row for row in match.rows if _is_so_many(query, row))
        if exact:
            count = phrasing.plural(match.label, query.number)
            spans = lookup.join(exact)
            are = "is" if query.number == 1 else "are"
            return Reply(f"There {are} {count} {phrasing.intervals(spans)}.", spans, "when")
    is_seen = f"{seeing.capital(seeing.named(query.subject[0], match))} is"
    verb = seeing.verb(match)
    if query.order == "first":
        first = match.spans[0]
        return Reply(f"{is_seen} first {verb} at {phrasing.clock(first.span.start_ns)}.", (first,), "when")
    if query.order == "last":
        last = match.spans[-1]
        return Reply(f"{is_seen} last {verb} at {phrasing.clock(last.span.end_ns)}.", (last,), "when")
    return Reply(f"{is_seen} {verb} {phrasing.intervals(match.spans)}.", match.spans, "when")


def _acts_first(subject: tuple[Term, ...]) -> tuple[Term, ...]:
    """What is only heard before what is seen: "when does the dog bark" asks for the bark."""
    return tuple(sorted(subject, key=lambda term: set(term.labels) != {"sound"}))


def _is_so_many(query: Query, row: Row) -> bool:
    count, number = row.observation.count, query.number or 0
    return count >= number if query.compare == "least" else count == number


def _nth(query: Query, match: Match) -> Reply:
    """When the subject comes, or goes, for the n-th time."""
    one, missing = _nth_span(query, match)
    if one is None:
        return missing
    name, ends = seeing.named(query.subject[0], match), query.edge == "end"
    does, t = ("is gone", one.span.end_ns) if ends else ("appears", one.span.start_ns)
    nth = _nth_time(query)
    return Reply(f"{seeing.capital(name)} {does} {nth} at {phrasing.clock(t)}.", (one,), "when")


def _nth_span(query: Query, match: Match) -> tuple[Evidence | None, Reply]:
    """The n-th time the subject is there, or a reply that says it is there less often."""
    n = query.ordinal or 1
    so_many = [row for row in match.rows if row.observation.count >= n > len(match.spans)]
    if so_many:  # the second of two at once
        return lookup.join(so_many)[0], Reply("")
    if n > len(match.spans):
        times = phrasing.plural("time", len(match.spans))
        is_seen = f"{seeing.named(query.subject[0], match)} is {seeing.verb(match)}"
        text = f"No: {is_seen} {times}, {phrasing.intervals(match.spans)}."
        return None, Reply(text, match.spans, "when")
    return match.spans[n - 1 if n > 0 else n], Reply("")


def _nth_time(query: Query) -> str:
    n = query.ordinal or 1
    return "for the last time" if n < 0 else f"for the {scenes.ORDINALS[n - 1]} time"


def _edge_of(query: Query, match: Match) -> Reply:
    """When the subject comes or goes: the starts or the ends of its spans."""
    name, ends = seeing.named(query.subject[0], match), query.edge == "end"
    times = [phrasing.clock(e.span.end_ns if ends else e.span.start_ns) for e in match.spans[: seeing.LISTED]]
    does = "is gone" if ends else "appears"
    if seeing.verb(match) == "heard":
        does = "ends" if ends else "begins"
    text = f"{seeing.capital(name)} {does} at {phrasing.conjunction(times)}."
    return Reply(text, match.spans[: seeing.LISTED], "when")


def how_long(query: Query, watched: Watched, vocabulary: Vocabulary) -> Reply:
    """How long is SUBJECT there, in all or the n-th or longest time?"""
    if not query.subject:
        return seeing.undetectable(query, vocabulary) if query.unknown else scenes.length(query, watched)
    match = seeing.find(query, watched)
    if match is None:
        return seeing.absent(query.subject[0], watched)
    name = seeing.capital(seeing.named(query.subject[0], match))
    exact = tuple(row for row in match.rows if _is_so_many(query, row)) if query.number is not None else ()
    if exact:
        spans = lookup.join(exact)
        lasts = phrasing.seconds(sum(e.span.end_ns - e.span.start_ns for e in spans))
        count = phrasing.plural(match.label, query.number or 0)
        return Reply(f"{count} for {lasts}: {phrasing.intervals(spans)}.", spans, "how_long")
    if query.ordinal is not None:
        one, missing = _nth_span(query, match)
        if one is None:
            return missing
        lasts = phrasing.seconds(one.span.end_ns - one.span.start_ns)
        text = f"{name} is {seeing.verb(match)} {_nth_time(query)} for {lasts}: {phrasing.interval(one)}."
        return Reply(text, (one,), "how_long")
    if "longest" in query.words:
        one = max(match.spans, key=lambda e: e.span.end_ns - e.span.start_ns)
        lasts = phrasing.seconds(one.span.end_ns - one.span.start_ns)
        return Reply(
            f"{name} is {seeing.verb(match)} longest for {lasts}: {phrasing.interval(one)}.",
            (one,),
            "how_long",
        )
    total = sum(e.span.end_ns - e.span.start_ns for e in match.spans)
    text = f"{name} is {seeing.verb(match)} for {phrasing.seconds(total)}: {phrasing.intervals(match.spans)}."
    return Reply(text, match.spans, "how_long")
