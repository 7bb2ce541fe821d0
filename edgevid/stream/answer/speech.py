"""Replies about words: whether, when and how often a phrase is said or shown, and what stands beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from edgevid.core.nouns import Evidence, TimeSpan
from edgevid.memory.memory import Row
from edgevid.stream.answer import lookup, phrasing
from edgevid.stream.answer.intent import Query
from edgevid.stream.answer.normal import stems
from edgevid.stream.answer.phrases import alternatives
from edgevid.stream.answer.reply import Reply
from edgevid.stream.answer.spoken import Place, places, resembling

_RESEMBLES = 0.6
_SHOWN = 3  # quotes in one answer
_FEW = 5  # words given when a question asks for "the first words"
_BESIDE = 12  # words given before or after a phrase


def phrase(query: Query, rows: Sequence[Row], where: str) -> Reply:
    """Whether, when and how often the query's phrase is ``where`` ("said", "on screen")."""
    asked = query.phrase or ""
    found = [place for part in alternatives(asked) for place in places(rows, part)]
    if not found and query.wants != "presence":
        found = resembling(rows, asked)
    if not found:
        count = "0. " if query.wants == "how_many" else ""
        verb = "was not said" if where == "said" else "was not seen on screen"
        return Reply(f'{count}No, "{asked}" {verb}.', (), f"{where}:absent")
    found.sort(key=lambda place: (place.row.observation.span.start_ns, place.first))
    chosen = {"first": found[:1], "last": found[-1:]}.get(query.order or "", found)[:_SHOWN]
    spans = tuple(place.evidence for place in chosen)
    if query.wants == "how_many":
        times = phrasing.plural("time", len(found))
        named = phrasing.conjunction([_moment(place) for place in chosen])
        return Reply(f'"{asked}" is {where} {times}: {named}.', spans, where)
    quotes = [f'"{place.sentence}" {_moment(place)}' for place in chosen]
    yes = "Yes: " if query.wants == "presence" else ""
    return Reply(f"{yes}{phrasing.conjunction(quotes)}.", spans, where)


def holding(rows: Sequence[Row], asked: str) -> list[Row]:
    """The rows in which the phrase is."""
    held = {place.row.id for place in places(rows, asked)}
    return [row for row in rows if row.id in held]


def resembles(text: str, phrase: str) -> bool:
    """Whether a weakly read text may be the phrase asked for."""
    return SequenceMatcher(None, text.lower(), phrase.lower()).ratio() >= _RESEMBLES


def beside(query: Query, rows: Sequence[Row], *, after: bool) -> Reply | None:
    """The words right before or after the phrase; None when it is not said."""
    found = places(rows, query.phrase or "")
    if not found:
        return None
    place = found[-1] if query.order == "last" else found[0]
    at = rows.index(place.row)
    words = place.row.observation.label.split()
    scale = len(words) / max(len(place.words), 1)  # "cold-hearted" is one word as written and two to search
    first, last = round(place.first * scale), round((place.last + 1) * scale)
    near = words[last : last + _BESIDE] if after else words[max(0, first - _BESIDE) : first]
    quoted = [place.row] if near else []
    if len(near) < 2 and 0 <= (other := at + 1 if after else at - 1) < len(rows):
        more = rows[other].observation.label.split()
        near = [*near, *more[:_BESIDE]] if after else [*more[-_BESIDE:], *near]
        quoted.append(rows[other])
    side = "after" if after else "before"
    spans = tuple(Evidence(row.observation.span, (row.id,)) for row in quoted) or (place.evidence,)
    if not near:
        return Reply(f'Nothing is said {side} "{query.phrase}".', spans, side)
    if "word" in query.words:
        near = near[:1] if after else near[-1:]
    said = " ".join(near).strip(" ,;")
    return Reply(f'{side.capitalize()} "{query.phrase}" comes "{said}".', spans, side)


def edge_words(query: Query, rows: Sequence[Row], *, several: bool) -> Reply:
    """The first or last word, or the first or last few, of all that is said."""
    last = query.order == "last"
    row = rows[-1] if last else rows[0]
    words = row.observation.label.split()
    count = min(_FEW if several else 1, len(words))
    span = row.observation.span
    kept = words[-count:] if last else words[:count]
    share = sum(len(word) + 1 for word in kept) / (len(row.observation.label) + 1)
    part = round((span.end_ns - span.start_ns) * share)
    bounds = (span.end_ns - part, span.end_ns) if last else (span.start_ns, span.start_ns + part)
    evidence = Evidence(TimeSpan(*bounds), (row.id,))
    edge = bounds[1] if last else bounds[0]
    said = " ".join(kept).strip(" .,;!?")
    noun = f"{query.order or 'first'} word{'s are' if count > 1 else ' is'}"
    verdict = "The"
    if query.wants == "presence" and (asked := re.search(r"(\w+)$", query.text)):
        verdict = "Yes: the" if asked.group(1) in stems(said) else "No: the"
    return Reply(f'{verdict} {noun} "{said}", at {phrasing.clock(edge)}.', (evidence,), "said")


def count_words(rows: Sequence[Row]) -> Reply:
    """How many words were recognised."""
    count = sum(len(row.observation.label.split()) for row in rows)
    spans = lookup.join(rows)
    return Reply(f"{phrasing.plural('word', count)}, {phrasing.intervals(spans)}.", spans, "said")


def _moment(place: Place) -> str:
    if place.is_estimated:
        return f"at about {phrasing.clock(place.evidence.span.start_ns)}"
    return phrasing.interval(place.evidence)
