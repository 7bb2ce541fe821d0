"""Replies to questions about what is said, written and heard."""

from __future__ import annotations

from collections.abc import Sequence

from edgevid.core.nouns import Evidence, Kind
from edgevid.memory.memory import Row
from edgevid.perception.speech import UNRECOGNISED
from edgevid.stream.answer import lookup, phrasing, seeing
from edgevid.stream.answer.intent import Query
from edgevid.stream.answer.normal import stems
from edgevid.stream.answer.reply import Reply
from edgevid.stream.answer.vocabulary import Vocabulary
from edgevid.stream.answer.watched import Watched

_QUOTED = 1200  # characters of transcript in one answer


def said(query: Query, watched: Watched) -> Reply:
    """What is said, whether, or when PHRASE is said?"""
    if not watched.video.has_audio:
        return Reply("No: the video has no sound.", (), "said")
    if not watched.watched_for("speech"):
        return Reply("I did not listen for speech.", (), "said")
    everything = watched.of("speech")
    if not everything:
        return Reply("No speech was detected.", (), "said")
    rows = [row for row in everything if row.observation.label != UNRECOGNISED]
    if not rows:
        spans = lookup.join(everything)
        return Reply(
            f"There is speech that I could not make out, {phrasing.intervals(spans)}.", spans, "said"
        )
    if query.phrase:
        return _phrase(query, rows, "said")
    if query.wants == "when":
        return _times(query, rows, "Speech is heard")
    if query.wants == "how_long":
        spans = lookup.join(rows)
        total = sum(e.span.end_ns - e.span.start_ns for e in spans)
        return Reply(
            f"There is speech for {phrasing.seconds(total)}: {phrasing.intervals(spans)}.", spans, "said"
        )
    return _quote(query, rows, "said")


def written(query: Query, watched: Watched) -> Reply:
    """What is written, whether, or when PHRASE is on screen?"""
    if not watched.watched_for("text"):
        return Reply("I did not watch for text.", (), "written")
    rows = watched.of("text")
    if not rows:
        return Reply("No text was detected on screen.", (), "written")
    if query.phrase:
        return _phrase(query, rows, "on screen")
    if query.wants == "when":
        return _times(query, rows, "Text is on screen")
    return _quote(query, rows, "written")


def heard(query: Query, watched: Watched, vocabulary: Vocabulary) -> Reply:
    """What is heard; is there SOUND?"""
    if not watched.video.has_audio:
        return Reply("No: the video has no sound.", (), "heard")
    if not watched.watched_for("sound"):
        return Reply("I did not listen for sounds.", (), "heard")
    named = [term for term in query.subject if "sound" in term.labels]
    if not named:
        if query.unknown and query.wants == "presence":
            return seeing.undetectable(query, vocabulary)
        return seeing.which(Query("heard", order=query.order), watched, heard=True)
    match = next((m for t in named if (m := lookup.find(watched.rows, t, ("sound",)))), None)
    if match is None:
        return seeing.absent(named[0], watched)
    name = match.label.split(",")[0]
    if query.wants == "when" or query.order is not None:
        return _times(query, match.rows, f"{name} is heard")
    if query.wants == "how_long":
        total = sum(e.span.end_ns - e.span.start_ns for e in match.spans)
        text = f"{name} is heard for {phrasing.seconds(total)}: {phrasing.intervals(match.spans)}."
        return Reply(text, match.spans, "heard")
    yes = "Yes: " if query.wants == "presence" else ""
    return Reply(f"{yes}{name} is heard {phrasing.intervals(match.spans)}.", match.spans, "heard")


def summary(watched: Watched) -> Reply:
    """What happens: the main things seen, heard, said and written, and the number of scenes."""
    parts: list[str] = []
    evidence: list[Evidence] = []
    kinds: list[tuple[str, Kind, int]] = [("I see", "object", 4), ("The scene looks like", "class", 2)]
    kinds += [("I hear", "sound", 3)]
    for lead, kind, most in kinds:
        found = lookup.listing(watched.of(kind))[:most]
        if found:
            spans = [lookup.join(rows)[0] for _, rows in found]
            named = [
                f"{name.split(',')[0]} ({phrasing.interval(s)})"
                for (name, _), s in zip(found, spans, strict=True)
            ]
            parts.append(f"{lead} {phrasing.conjunction(named)}.")
            evidence += spans
    for lead, kind in (("Someone says", "speech"), ("Text reads", "text")):
        rows = watched.of(kind)
        if rows:
            first = Evidence(rows[0].observation.span, (rows[0].id,))
            parts.append(f'{lead} "{rows[0].observation.label}" {phrasing.interval(first)}.')
            evidence.append(first)
    cuts = watched.of("cut")
    if cuts:
        parts.append(f"The scene changes {phrasing.plural('time', len(cuts))}.")
    if not parts:
        return Reply("Nothing I know was detected.", (), "summary")
    return Reply(" ".join(parts), tuple(evidence), "summary")


def _phrase(query: Query, rows: Sequence[Row], where: str) -> Reply:
    wanted = stems(query.phrase or "")
    hits = [row for row in rows if _holds(stems(row.observation.label), wanted)]
    if not hits:
        return Reply(
            f'No, "{query.phrase}" was not {where if where != "on screen" else "seen on screen"}.', (), where
        )
    chosen = {"first": hits[:1], "last": hits[-1:]}.get(query.order or "", hits)
    spans = [Evidence(row.observation.span, (row.id,)) for row in chosen]
    quotes = [
        f'"{r.observation.label}" {phrasing.interval(e)}' for r, e in zip(chosen[:3], spans, strict=False)
    ]
    yes = "Yes: " if query.wants == "presence" else ""
    return Reply(f"{yes}{phrasing.conjunction(quotes)}.", tuple(spans[:3]), where)


def _holds(have: list[str], wanted: list[str]) -> bool:
    """Whether ``wanted`` occurs in ``have``: in sequence, or all its content words in any order."""
    if not wanted:
        return False
    runs = (have[i : i + len(wanted)] for i in range(len(have) - len(wanted) + 1))
    return any(run == wanted for run in runs) or (len(wanted) > 1 and set(wanted) <= set(have))


def _times(query: Query, rows: Sequence[Row], lead: str) -> Reply:
    spans = lookup.join(rows)
    if query.order == "first":
        text = f"{lead} first at {phrasing.clock(spans[0].span.start_ns)}."
        return Reply(text, spans[:1], "when")
    if query.order == "last":
        text = f"{lead} last until {phrasing.clock(spans[-1].span.end_ns)}."
        return Reply(text, spans[-1:], "when")
    return Reply(f"{lead} {phrasing.intervals(spans)}.", spans, "when")


def _quote(query: Query, rows: Sequence[Row], via: str) -> Reply:
    chosen = {"first": rows[:1], "last": rows[-1:]}.get(query.order or "", rows)
    yes = "Yes: " if query.wants == "presence" else ""
    quotes, evidence, used = [], [], 0
    for row in chosen:
        used += len(row.observation.label)
        if used > _QUOTED:
            quotes.append("...")
            break
        span = Evidence(row.observation.span, (row.id,))
        quotes.append(f'"{row.observation.label}" ({phrasing.interval(span)})')
        evidence.append(span)
    return Reply(f"{yes}{' '.join(quotes)}", tuple(evidence), via)
