"""When nothing seen fits a question: was it said, is it on screen as text, and which seen thing is near?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgevid.core.nouns import Evidence
from edgevid.memory.memory import Row
from edgevid.perception.speech import UNRECOGNISED
from edgevid.stream.answer import lookup, patterns, phrasing
from edgevid.stream.answer.normal import stems
from edgevid.stream.answer.reply import Reply
from edgevid.stream.answer.similarity import embedder
from edgevid.stream.answer.vocabulary import Term
from edgevid.stream.answer.watched import Watched

if TYPE_CHECKING:
    from edgevid.models.store import ModelStore

_QUOTED = 3
_ASKING = frozenset("what which who where why how whose when".split())
_NEAR_SAID = 0.35  # the same, for a whole line of speech
_NEAR = 0.5  # cosine from which a label is called near


def mentioned(words: tuple[str, ...], watched: Watched) -> Reply | None:
    """Lines of speech or screen text that share the question's content words; None when none does.

    At least half of the content words must be there, and one of four letters or more. A question for a
    content ("what would he like") gets what was said around it too, where the answer may stand.
    """
    wanted = {word for word in words if word not in patterns.FUNCTION_WORDS and len(word) > 2}
    if not wanted:
        return None
    scored = []
    for row in watched.of("speech", "text"):
        shared = wanted & set(stems(row.observation.label))
        if 2 * len(shared) >= len(wanted) and any(len(word) >= 4 for word in shared):
            scored.append((len(shared), row))
    if not scored:
        return None
    most = max(count for count, _ in scored)
    rows = [row for count, row in scored if count == most][:_QUOTED]
    if words[0] in _ASKING and len(rows) == 1:
        rows = _around(rows[0], watched)
    evidence = tuple(Evidence(row.observation.span, (row.id,)) for row in rows)
    quotes = [_quote(row, e) for row, e in zip(rows, evidence, strict=True)]
    return Reply(f"In words: {phrasing.conjunction(quotes)}.", evidence, "mentioned")


def spelled(subject: Sequence[Term], watched: Watched) -> Reply | None:
    """Lines of screen text that spell one of the subjects: a sign that says "TAXI" speaks for a taxi."""
    for term in subject:
        name = term.phrase.split()
        rows = [row for row in watched.of("text") if name == stems(row.observation.label)][:_QUOTED]
        if rows:
            evidence = tuple(Evidence(row.observation.span, (row.id,)) for row in rows)
            quotes = [_quote(row, e) for row, e in zip(rows, evidence, strict=True)]
            return Reply(f"In words: {phrasing.conjunction(quotes)}.", evidence, "spelled")
    return None


def nearest_said(question: str, watched: Watched, store: ModelStore) -> Reply | None:
    """The line of speech nearest in meaning to a question for a content; None when none is near."""
    rows = [row for row in watched.of("speech") if row.observation.label != UNRECOGNISED]
    embed = embedder(store) if rows else None
    if embed is None:
        return None
    vectors = embed([question, *(row.observation.label for row in rows)])
    similar = vectors[1:] @ vectors[0]
    best = int(similar.argmax())
    if similar[best] < _NEAR_SAID:
        return None
    evidence = Evidence(rows[best].observation.span, (rows[best].id,))
    return Reply(f"In words: {_quote(rows[best], evidence)}.", (evidence,), "near-said")


def _around(row: Row, watched: Watched) -> list[Row]:
    """The row and its neighbours in time of the same channel."""
    rows = list(watched.of(row.observation.kind))
    at = rows.index(row)
    return rows[max(0, at - 1) : at + 2]


def nearest_seen(phrase: str, watched: Watched, store: ModelStore) -> Reply | None:
    """The seen or heard label nearest in meaning to ``phrase``, marked as near; None when none is."""
    rows = watched.of("object", "class", "sound")
    labels = list(dict.fromkeys(row.observation.label for row in rows))
    if not labels:
        return None
    embed = embedder(store)
    if embed is None:
        return None
    vectors = embed([phrase, *(label.split(",")[0] for label in labels)])
    similar = vectors[1:] @ vectors[0]
    best = int(similar.argmax())
    if similar[best] < _NEAR:
        return None
    spans = lookup.join(row for row in rows if row.observation.label == labels[best])
    name = labels[best].split(",")[0]
    return Reply(f"the nearest thing detected is {name} {phrasing.intervals(spans)}", spans, "near")


def _quote(row: Row, evidence: Evidence) -> str:
    verb = "is said" if row.observation.kind == "speech" else "is on screen"
    return f'"{row.observation.label}" {verb} {phrasing.interval(evidence)}'
