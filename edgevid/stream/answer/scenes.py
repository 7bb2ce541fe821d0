"""Replies about the whole video and its scenes: how long, how many, when they change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from edgevid.core.nouns import NS_PER_S, Evidence, TimeSpan
from edgevid.stream.answer import phrasing
from edgevid.stream.answer.intent import Query
from edgevid.stream.answer.reply import Reply
from edgevid.stream.answer.watched import Watched

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
_THAN = re.compile(
    r"\b(?P<side>longer|shorter|more|less) than (?P<n>a|one|\d+(?:\.\d+)?) (?P<unit>min\w*|s|sec\w*)\b"
)
_NTH = re.compile(r"(?<!which )(?<!what )\b(first|second|third|fourth|fifth|sixth|last|final)\b")
_ONE_TAKE = re.compile(r"\b(?:continuous|single|uncut|one (?:shot|take|scene)|without (?:a |any )?cuts?)\b")
_NTH_SHOT = re.compile(r"\b(first|second|third|fourth|fifth|sixth|last) (?:scene|shot)\b")


def length(query: Query, watched: Watched) -> Reply:
    """How long is the video, or is it longer or shorter than that?"""
    whole = Evidence(TimeSpan(0, watched.duration_ns), ())
    holds = ""
    if match := _THAN.search(query.text):
        number = 1.0 if match["n"] in ("a", "one", "1") else float(match["n"])
        limit_ns = number * NS_PER_S * (60 if match["unit"].startswith("min") else 1)
        longer = match["side"] in ("longer", "more")
        fits = watched.duration_ns > limit_ns if longer else watched.duration_ns < limit_ns
        holds = "Yes: " if fits else "No: "
    text = f"{holds}{'t' if holds else 'T'}he video is {phrasing.seconds(watched.duration_ns)} long."
    return Reply(text, (whole,), "length")


def cuts(query: Query, watched: Watched) -> Reply:
    """How many scenes, and when do they change?"""
    if not watched.watched_for("cut"):
        return Reply("I did not watch for cuts.", (), "cuts")
    found = [Evidence(row.observation.span, (row.id,)) for row in watched.of("cut")]
    scenes = phrasing.plural("scene", len(found) + 1)
    if not found:
        text = "No cut was detected" + (f": {scenes}." if query.wants != "presence" else ".")
        return Reply(text, (), "cuts")
    cuts_named = phrasing.plural("cut", len(found))
    if query.wants == "how_long":
        return _shot_length(query, watched, found)
    if query.wants == "when" and (shot := _shot_edge(query, found)) is not None:
        return shot
    if (nth := _nth_cut(query, found)) is not None:
        return nth
    asks_cuts = any(word in query.words for word in ("cut", "edit", "edited", "transition", "change"))
    head = f"{cuts_named}, so {scenes}" if asks_cuts else f"{scenes}, {cuts_named}"
    yes = "Yes: " if query.wants == "presence" else ""
    if yes and _ONE_TAKE.search(query.text):
        yes = "No: "
    times = phrasing.conjunction([phrasing.clock(e.span.start_ns) for e in found[:8]])
    return Reply(
        f"{yes}{head}; cut at {times}{' and later' if len(found) > 8 else ''}.", tuple(found[:8]), "cuts"
    )


def _nth_cut(query: Query, found: Sequence[Evidence]) -> Reply | None:
    """When is the first, second or last cut?"""
    match = _NTH.search(query.text)
    if match is None or not (query.wants == "when" or query.text.startswith("where ")):
        return None
    at = -1 if match[1] in ("last", "final") else ORDINALS.index(match[1])
    if at >= len(found):
        return None
    return Reply(f"The {match[1]} cut is at {phrasing.clock(found[at].span.start_ns)}.", (found[at],), "cuts")


def _shot_length(query: Query, watched: Watched, found: Sequence[Evidence]) -> Reply:
    """How long is the n-th scene, or the longest?"""
    edges = [0, *(e.span.start_ns for e in found), watched.duration_ns]
    shots = [Evidence(TimeSpan(a, max(a, b)), ()) for a, b in pairwise(edges)]
    lasts = [e.span.end_ns - e.span.start_ns for e in shots]
    match = _NTH_SHOT.search(query.text)
    if match is not None:
        at = len(shots) - 1 if match[1] == "last" else ORDINALS.index(match[1])
    else:
        at = lasts.index(min(lasts) if "shortest" in query.words else max(lasts))
    if at >= len(shots):
        return Reply(f"No: there are {len(shots)} scenes.", (), "cuts")
    which = match[1] if match is not None else "shortest" if "shortest" in query.words else "longest"
    took = phrasing.seconds(lasts[at])
    return Reply(f"The {which} scene lasts {took}: {phrasing.interval(shots[at])}.", (shots[at],), "cuts")


def _shot_edge(query: Query, found: Sequence[Evidence]) -> Reply | None:
    """When the n-th scene begins or ends: at the cut before or after it."""
    match = _NTH_SHOT.search(query.text)
    if match is None:
        return None
    ends = re.search(r"\b(?:ends?|stops?)\b", query.text) is not None
    at = (len(found) if match[1] == "last" else ORDINALS.index(match[1])) - (0 if ends else 1)
    if not 0 <= at < len(found):
        return None
    does = "ends" if ends else "begins"
    text = f"The {match[1]} scene {does} at {phrasing.clock(found[at].span.start_ns)}."
    return Reply(text, (found[at],), "cuts")
