"""Replies to questions about what is seen (and sounds asked for by name)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from edgevid.core.nouns import NS_PER_S, Evidence, Kind
from edgevid.memory.memory import Row
from edgevid.stream.answer import lookup, patterns, phrasing, weighing
from edgevid.stream.answer.intent import Order, Query
from edgevid.stream.answer.lookup import Match
from edgevid.stream.answer.normal import stems
from edgevid.stream.answer.reply import Reply
from edgevid.stream.answer.vocabulary import Term, Vocabulary
from edgevid.stream.answer.watched import Watched

_EDGE_NS = NS_PER_S  # nearer to an end of the video nothing is said to come or go
LISTED = 6  # things named in one answer
_FEW = 2  # with more than so many, faint ones are not told too
_SEX_OR_AGE = frozenset(
    "man woman guy girl boy lady gentleman kid child baby adult toddler teenager male female dude bloke chap"
    " gal".split()
)
_SPECIES = re.compile(r"\b(?:species|breed|exactly|(?:what|which) (?:kind|type|sort|race)s? of)\b")
_PLACE = frozenset("on in at under behind near beside by against inside onto below above from".split())
_BESIDES = re.compile(r"\b(?:besides|apart from|aside from|other than|except(?: for)?|in addition to)\b")
_CARRIES = re.compile(
    r"\b(?:hold|holds|holding|held|carry|carries|carrying|carried)\b"
    r"|\bin (?:his|her|their|its|one|the \w+'s)(?: left| right| other)? hands?\b"
)
_DOES = re.compile(
    r"\b(riding|rides?|holding|holds?|carrying|carries|using|uses?|doing|driving|drives?|hands?|got)\b"
)


def presence(query: Query, watched: Watched, vocabulary: Vocabulary) -> Reply:
    """Is there a SUBJECT? Of several joined by "or", one is enough; else all but the place must be "
    "there."""
    if not query.subject:
        return undetectable(query, vocabulary) if query.unknown else which(query, watched)
    asked = _without_places(query)
    found = [(term, lookup.seen_or_heard(watched, term) or weighing.likely(watched, term)) for term in asked]
    missing = [term for term, match in found if match is None]
    if missing and ("or" in query.words or len(missing) == len(found)):
        missing = missing if len(missing) == len(found) else []
    if len(missing) > 1 and len(missing) == len(found) and watched.watched_for("object"):
        names = phrasing.conjunction([phrasing.article(term.phrase) for term in missing])
        return Reply(f"No: {names} were not detected.", (), "absent")
    if missing:
        return absent(next((t for t in missing if not is_person(t)), missing[0]), watched)
    shown = [(term, match) for term, match in found if match is not None]
    parts = [f"{named(term, match)} {_spans(match.spans)}" for term, match in shown]
    spans = tuple(span for _, match in shown for span in match.spans)
    if len(shown) == 1 and (came_or_went := _moves(query, *shown[0], watched.duration_ns)) is not None:
        return came_or_went
    if patterns.THROUGHOUT.search(query.text) and len(shown) == 1:
        return _throughout(*shown[0], watched.duration_ns)
    if doubt := _doubt(query, shown):
        term, match = shown[0]
        there = f"{capital(named(term, match))} is {verb(match)} {_spans(match.spans)}"
        return Reply(f"{there}. I cannot tell {doubt}.", match.spans, "presence")
    return Reply(f"Yes, {phrasing.conjunction(parts)}.", spans, "presence")


def _throughout(term: Term, match: Match, end_ns: int) -> Reply:
    """Is the subject there the whole time?"""
    missing = sum(e.span.end_ns - e.span.start_ns for e in lookup.gaps(match.spans, end_ns))
    yes = "Yes" if missing <= _EDGE_NS else "No"
    text = f"{yes}: {named(term, match)} is {verb(match)} {_spans(match.spans)}."
    return Reply(text, match.spans, "presence")


def _moves(query: Query, term: Term, match: Match, end_ns: int) -> Reply | None:
    """Does the subject leave, or enter? Only what was there at no edge of the video did."""
    leaves, enters = patterns.LEAVES.search(query.text), patterns.ENTERS.search(query.text)
    if not (leaves or enters):
        return None
    ends = [(e, e.span.end_ns if leaves else e.span.start_ns) for e in match.spans]
    seen_going = [(e, t) for e, t in ends if (t < end_ns - _EDGE_NS if leaves else t > _EDGE_NS)]
    name = named(term, match)
    if not seen_going:
        where = "to the end" if leaves else "from the start"
        return Reply(f"No: {name} is {verb(match)} {where}, {_spans(match.spans)}.", match.spans, "presence")
    times = phrasing.conjunction([phrasing.clock(t) for _, t in seen_going[:LISTED]])
    does = "is gone" if leaves else "appears"
    return Reply(f"Yes: {name} {does} at {times}.", tuple(e for e, _ in seen_going[:LISTED]), "presence")


def _doubt(query: Query, shown: Sequence[tuple[Term, Match]]) -> str:
    """What the question says of the subject and no detector can tell: that it is red, or a woman, or dancing;
    "" when nothing."""
    term, match = shown[0]
    if query.quality:
        return f"whether it is {query.quality}"
    if query.action and len(shown) == 1:
        return f"actions such as '{query.action}'"
    told_apart = term.phrase in _SEX_OR_AGE and match.label == "person"
    return f"whether it is {phrasing.article(term.phrase)}" if told_apart else ""


def which(query: Query, watched: Watched, *, heard: bool = False) -> Reply:
    """What is there, of a kind when the question names one?"""
    kinds: tuple[Kind, ...] = ("sound",) if heard else ("object", "class")
    rows = watched.of(*kinds)
    asked = _without_places(query, keep_one=False) if not heard else query.subject
    carries = _CARRIES.search(query.text) and all(is_person(term) for term in query.subject)
    if carries and (carried := weighing.to_carry(watched)) is not None:
        return carried
    if excluded := _excluded(query):
        rows = [row for row in rows if not any(lookup.holds(row, term) for term in excluded)]
        asked = tuple(term for term in asked if term not in excluded)
    if asked and all(is_person(term) for term in asked) and _DOES.search(query.text):
        rows = [row for row in rows if row.observation.label != "person"] or rows  # what he rides is not he
        asked = ()
    if query.text.startswith("who "):
        rows = [row for row in rows if row.observation.label == "person"] or rows
    query = replace(query, subject=tuple(asked))
    matches = [match for term in query.subject if (match := lookup.seen(watched, term)) is not None]
    asked_for = [row for match in matches for row in match.rows]
    if heard:
        labels = {label for term in query.subject for label in term.labels.get("sound", ())}
        asked_for = [row for row in rows if row.observation.label in labels]
    if not (asked_for or heard) and (likely := weighing.of_kind(watched, query.subject)) is not None:
        return likely
    if not asked_for and query.subject:
        missing = absent(query.subject[0], watched)
        if _is_group(query.subject[0]) or not rows or heard:
            return missing
        shown = which(replace(query, subject=()), watched)
        return Reply(f"{missing.text[:-1]}; what I see: {shown.text}", shown.evidence, "absent")
    if _SPECIES.search(query.text):
        asked_for = [row for row in asked_for or rows if row.observation.kind == "class"] or asked_for
    if query.order is not None and rows:
        return edge(asked_for or rows, query.order)
    found = lookup.listing(asked_for or rows)
    one = re.search(r"\b(?:longest|most of the time|most often)\b", query.text)
    if one:
        found = found[:1]
    if not asked_for and not heard:  # unasked, a frame class is a weaker claim than a boxed object
        found = [item for item in found if item[1][0].observation.kind == "object"] or found
    if not found:
        faint = None if heard else weighing.also(watched, (), ())
        what = "No sound" if heard else "Nothing I know"
        return faint or Reply(f"{what} was detected.", (), "which")
    told = found[:LISTED]
    spans = tuple(lookup.join(of_name)[0] for _, of_name in told)
    parts = [f"{_short(name)} ({phrasing.interval(e)})" for (name, _), e in zip(told, spans, strict=True)]
    listed = Reply(f"{capital(phrasing.conjunction(parts))}.", spans, "which")
    too = (
        None
        if heard or one or len(told) > _FEW
        else weighing.also(watched, query.subject, [n for n, _ in told])
    )
    return listed if too is None else Reply(f"{listed.text} {too.text}", (*spans, *too.evidence), "which")


def either(query: Query, watched: Watched, vocabulary: Vocabulary) -> Reply:
    """Is it A or B?"""
    only_heard = all(set(term.labels) == {"sound"} for term in query.subject)
    heard = only_heard or bool(patterns.HEARD.search(query.text))
    return weighing.choose(watched, query.subject, heard=heard) or presence(query, watched, vocabulary)


def absent(term: Term, watched: Watched) -> Reply:
    """A channel that could have found ``term`` ran and did not; one that did not run is named."""
    channels = [kind for kind in term.labels if watched.watched_for(kind)]
    if not channels:
        needs = " or ".join(sorted(term.labels))
        mute = set(term.labels) <= {"sound", "speech"} and not watched.video.has_audio
        missing = "the video has no sound" if mute else f"I did not watch for {needs}"
        return Reply(f"No: {missing}.", (), "absent")
    if set(channels) == {"sound"} and "object" not in term.labels:
        return Reply(f"No, {term.phrase} was not heard.", (), "absent")
    blind = "object" in term.labels and "object" not in channels
    note = ", but I did not watch for objects" if blind else ""
    name = "no person" if "person" in term.labels.get("object", ()) else phrasing.article(term.phrase)
    return Reply(f"No, {name} was {'' if name == 'no person' else 'not '}detected{note}.", (), "absent")


def only_place(query: Query) -> str:
    """The place asked about ("on the road") when nothing else in the question is unknown, else ""."""
    if len(query.unknown) != 1:
        return ""
    place = re.search(rf"\b(?:{'|'.join(_PLACE)}) (?:the |an? )?{re.escape(query.unknown[0])}\b", query.text)
    return place.group() if place else ""


def undetectable(query: Query, vocabulary: Vocabulary) -> Reply:
    """No channel has a label for the subject: that is not the same as "not there"."""
    name = " ".join(query.unknown[:3])
    sizes = vocabulary.sizes
    known = f"{sizes['object']} objects, {sizes['class']} scene classes and {sizes['sound']} sounds"
    text = f"I cannot detect '{name}': it is not among the {known} I know."
    return Reply(text, (), "undetectable")


def _without_places(query: Query, *, keep_one: bool = True) -> tuple[Term, ...]:
    """The subjects but those a preposition makes a place ("on the table")."""
    words = query.words
    kept = tuple(t for t in query.subject if not (_PLACE & set(words[max(0, t.position - 2) : t.position])))
    return kept or (query.subject[:1] if keep_one else ())


def _excluded(query: Query) -> tuple[Term, ...]:
    """The subjects after "besides": what else is there?"""
    match = _BESIDES.search(query.text)
    first = len(stems(query.text[: match.end()])) if match else len(query.words)
    return tuple(term for term in query.subject if term.position >= first)


def is_person(term: Term) -> bool:
    """Whether the term means people."""
    return "person" in term.labels.get("object", ())


def find(query: Query, watched: Watched) -> Match | None:
    """The first of the query's subjects that was seen or heard."""
    for term in query.subject:
        match = lookup.seen_or_heard(watched, term)
        if match is not None:
            return match
    return None


def edge(rows: Sequence[Row], order: Order) -> Reply:
    """The first or last thing of all."""
    if not rows:
        return Reply("Nothing I know was detected.", (), "which")
    if order == "last":
        edge = max(row.observation.span.end_ns for row in rows)
        chosen = [row for row in rows if row.observation.span.end_ns == edge]
    else:
        edge = min(row.observation.span.start_ns for row in rows)
        chosen = [row for row in rows if row.observation.span.start_ns == edge]
    names = list(dict.fromkeys(_short(row.observation.label) for row in chosen))[:LISTED]
    text = f"{order.capitalize()}: {phrasing.conjunction(names)}, at {phrasing.clock(edge)}."
    return Reply(text, tuple(Evidence(row.observation.span, (row.id,)) for row in chosen), "which")


def _is_group(term: Term) -> bool:
    return sum(len(labels) for labels in term.labels.values()) > 1


def named(term: Term, match: Match) -> str:
    """The phrase, and what was really detected where that is not the same."""
    if term.phrase == match.label.lower() or match.exact:
        name = phrasing.article(_short(match.label))
        return f"{name} (seen only faintly)" if match.faint else name
    how = "faintly seen, as" if match.faint else "detected as"
    return f"{phrasing.article(term.phrase)} ({how} {_short(match.label)})"


def _short(label: str) -> str:
    return label.split(",")[0]


def verb(match: Match) -> str:
    """ "seen" or "heard"."""
    return "heard" if match.rows[0].observation.kind == "sound" else "seen"


def _spans(spans: tuple[Evidence, ...]) -> str:
    return phrasing.intervals(spans)


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
