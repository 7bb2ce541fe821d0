"""Replies to questions about what is said, written and heard."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgevid.core.nouns import NS_PER_S, Evidence, Kind
from edgevid.memory.memory import Row
from edgevid.perception.speech import UNRECOGNISED
from edgevid.stream.answer import lookup, phrasing, seeing, speech, writing
from edgevid.stream.answer.intent import Query
from edgevid.stream.answer.reply import Reply
from edgevid.stream.answer.vocabulary import Vocabulary
from edgevid.stream.answer.watched import Watched
from edgevid.stream.timeline import is_fuller

_WITH = re.compile(r"\b(?:ends?|starts?|begins?) with (?:the word )?\w+$")
_AT_TIMES = re.compile(r"\b(?:ever|at (?:some|any) (?:point|time)|pauses?|moments?|sometimes)\b")
_BY_SOMEONE = re.compile(r"\b(?:he|she|they|someone|somebody|anyone|anybody|people|person|man|woman)\b")
_ONE_LOOK_NS = 6 * NS_PER_S // 5
_READ_ONCE = 0.7  # score of a weakly read line that need not be read twice
_QUOTED = 1200  # characters of transcript in one answer


def said(query: Query, watched: Watched) -> Reply:
    """What is said, whether, or when PHRASE is said?"""
    if query.phrase and not watched.video.has_audio and watched.of("text"):
        return speech.phrase(query, watched.of("text"), "on screen")
    if not watched.video.has_audio:
        read = None if _BY_SOMEONE.search(query.text) else on_screen(watched)
        mute = "No: the video has no sound."
        return Reply(f"{mute} {read.text}" if read else mute, read.evidence if read else (), "said")
    if not watched.watched_for("speech"):
        return Reply("I did not listen for speech.", (), "said")
    everything = watched.of("speech")
    if not everything and query.phrase and watched.of("text"):
        return speech.phrase(query, watched.of("text"), "on screen")
    if not everything:
        return Reply("No speech was detected.", (), "said")
    rows = [row for row in everything if row.observation.label != UNRECOGNISED]
    if not query.phrase and query.wants in ("when", "how_long"):
        rows = list(everything)  # when it was said does not depend on the words
    if not rows:
        spans = lookup.join(everything)
        yes = "Yes. " if query.wants == "presence" and not query.phrase else ""
        return Reply(
            f"{yes}There is speech that I could not make out, {phrasing.intervals(spans)}.", spans, "said"
        )
    if query.order and _WITH.search(query.text):
        return speech.edge_words(query, rows, several=False)
    if query.phrase:
        reply = speech.phrase(query, rows, "said")
        shown = watched.of("text")
        if reply.via.endswith("absent") and shown:
            written_too = speech.phrase(query, shown, "on screen")
            return reply if written_too.via.endswith("absent") else written_too
        return reply
    if re.search(r"\b(?:how many|number of) words\b", query.text):
        return speech.count_words(rows)
    if query.order and (word := re.search(r"\bwords?\b", query.text)):
        return speech.edge_words(query, rows, several=word.group() == "words")
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
    rows = _fullest(watched.of("text"))
    if writing.asks_for_number(query.text):
        rows = _with_digits([*rows, *watched.faint_text]) or rows
    if (not rows or query.phrase) and (faintly := _faintly_read(query, rows, watched)) is not None:
        return faintly
    if not rows:
        return Reply("No text was detected on screen.", (), "written")
    if query.phrase:
        rows = speech.holding(rows, query.phrase) if query.wants == "how_long" else rows
        if query.wants != "how_long" or not rows:
            return speech.phrase(query, rows, "on screen")
    if query.wants == "when":
        return _times(query, rows, "Text is on screen")
    if query.wants == "how_many":
        texts = len({row.observation.label for row in rows})
        quoted = _quote(query, rows, "written")
        return Reply(f"{phrasing.plural('text', texts)}: {quoted.text}", quoted.evidence, "written")
    if query.wants == "how_long":
        spans = lookup.join(rows)
        total = phrasing.seconds(sum(e.span.end_ns - e.span.start_ns for e in spans))
        return Reply(f"Text is on screen for {total}: {phrasing.intervals(spans)}.", spans, "written")
    return _quote(query, rows, "written")


def _fullest(rows: Sequence[Row]) -> list[Row]:
    """Lines of text but those that another one, read close in time, holds with more letters."""
    part_of_other: set[int] = set()
    near: list[Row] = []
    for row in rows:
        near = [other for other in near if lookup.touch(other, row)] + [row]
        for other in near[:-1]:
            for whole, part in ((row, other), (other, row)):
                if is_fuller(whole.observation.label, part.observation.label):
                    part_of_other.add(part.id)
    return [row for row in rows if row.id not in part_of_other]


def _faintly_read(query: Query, rows: Sequence[Row], watched: Watched) -> Reply | None:
    """What was read weakly but alike in several looks; in a clip of one look, once is enough. When a phrase
    is asked for it has to resemble that, and no line that was read well may."""
    weak = lookup.read_alike(watched.faint_text)
    if not weak and watched.duration_ns <= _ONE_LOOK_NS:
        weak = tuple(row for row in watched.faint_text if row.observation.score >= _READ_ONCE)[:1]
    if query.phrase:
        if any(speech.resembles(row.observation.label, query.phrase) for row in rows):
            return None
        if rows and not speech.phrase(query, rows, "on screen").via.endswith("absent"):
            return None
        alike = [row for row in watched.faint_text if speech.resembles(row.observation.label, query.phrase)]
        weak = tuple(alike if rows else (row for row in weak if row in alike))
    if not weak:
        return None
    spans = lookup.join(weak)
    best = lookup.typical(weak).observation.label
    return Reply(f'Faintly I read "{best}", {phrasing.intervals(spans)}.', spans, "written")


def _with_digits(rows: Sequence[Row]) -> list[Row]:
    found = [row for row in rows if any(map(str.isdecimal, row.observation.label))]
    return sorted(found, key=lambda row: row.observation.span.start_ns)


def on_screen(watched: Watched) -> Reply | None:
    """All that can be read, where the answer may stand; None when nothing can."""
    rows = _fullest(watched.of("text"))
    if not rows:
        return None
    quoted = _quote(Query("written"), rows, "written")
    return Reply(f"On screen I read {quoted.text}", quoted.evidence, quoted.via)


def heard(query: Query, watched: Watched, vocabulary: Vocabulary) -> Reply:
    """What is heard; is there SOUND?"""
    if not watched.video.has_audio:
        return Reply("No: the video has no sound.", (), "heard")
    if not watched.watched_for("sound"):
        return Reply("I did not listen for sounds.", (), "heard")
    named = [term for term in query.subject if "sound" in term.labels and term.phrase != "silence"]
    if not named:
        if re.search(r"\b(quiet|silent|silence)\b", query.text):
            return _silence(query, watched)
        if set(query.unknown) <= {"sound", "noise", "audio", "soundtrack", "audible", "loud"}:
            reply = seeing.which(Query("heard", order=query.order), watched, heard=True)
            affirmed = query.wants == "presence" and bool(reply.evidence)
            return Reply(f"{'Yes: ' if affirmed else ''}{reply.text}", reply.evidence, "heard")
        if query.unknown and query.wants == "presence":
            return seeing.undetectable(query, vocabulary)
        return seeing.which(Query("heard", order=query.order), watched, heard=True)
    found = [(t, m) for t in named if (m := lookup.find(watched.rows, t, ("sound",))) is not None]
    if not found:
        return seeing.absent(named[0], watched)
    term, match = found[0]
    says_it = [row.observation.label for row in match.rows if term.phrase in row.observation.label.lower()]
    name = (says_it[0] if says_it else match.label).split(",")[0]
    if query.wants == "how_many":
        count = phrasing.plural("time", len(match.spans))
        return Reply(f"{name} is heard {count}: {phrasing.intervals(match.spans)}.", match.spans, "heard")
    if query.wants == "when" or (query.order is not None and query.wants != "how_long"):
        return _times(query, match.rows, f"{name} is heard")
    if query.wants == "how_long":
        total = sum(e.span.end_ns - e.span.start_ns for e in match.spans)
        text = f"{name} is heard for {phrasing.seconds(total)}: {phrasing.intervals(match.spans)}."
        return Reply(text, match.spans, "heard")
    yes = "Yes: " if query.wants == "presence" else ""
    return Reply(f"{yes}{name} is heard {phrasing.intervals(match.spans)}.", match.spans, "heard")


def _silence(query: Query, watched: Watched) -> Reply:
    rows = watched.of("sound", "speech")
    if not rows:
        return Reply("Yes: no sound was recognised.", (), "heard")
    spans = lookup.join(rows)
    pauses = lookup.gaps(spans, watched.duration_ns)
    if pauses and (query.wants == "when" or _AT_TIMES.search(query.text)):
        yes = "" if query.wants == "when" else "Yes: "
        return Reply(f"{yes}Nothing was recognised {phrasing.intervals(pauses)}.", pauses, "heard")
    names = list(dict.fromkeys(row.observation.label.split(",")[0] for row in watched.of("sound")))[:3]
    heard_too = phrasing.conjunction(names) if names else "Speech"
    return Reply(f"No: {heard_too} is heard {phrasing.intervals(spans)}.", spans, "heard")


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
    weak = [] if watched.of("object") else lookup.listing(lookup.faintly(watched))
    if weak:
        spans = [lookup.join(rows)[0] for _, rows in weak]
        named = [f"{name} ({phrasing.interval(s)})" for (name, _), s in zip(weak, spans, strict=True)]
        parts.append(f"Faintly I see {phrasing.conjunction(named)}.")
        evidence += spans
    if not parts:
        return Reply("Nothing I know was detected.", (), "summary")
    return Reply(" ".join(parts), tuple(evidence), "summary")


def _times(query: Query, rows: Sequence[Row], lead: str) -> Reply:
    spans = lookup.join(rows)
    if query.edge == "end" and query.order is None:
        return Reply(f"{lead} until {phrasing.clock(spans[-1].span.end_ns)}.", spans[-1:], "when")
    if query.edge == "start" and query.order is None:
        return Reply(f"{lead} from {phrasing.clock(spans[0].span.start_ns)} on.", spans[:1], "when")
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
