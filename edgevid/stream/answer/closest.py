"""When no rule understands a question: the rows whose words are nearest to it, as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgevid.core.nouns import Evidence
from edgevid.memory.memory import Row
from edgevid.stream.answer import phrasing
from edgevid.stream.answer.normal import stems
from edgevid.stream.answer.reply import Reply
from edgevid.stream.answer.similarity import embedder
from edgevid.stream.answer.watched import Watched

if TYPE_CHECKING:
    from edgevid.models.store import ModelStore

_SHOWN = 3
_FLOOR = 0.25  # cosine below which rows have nothing to do with the question


def closest(question: str, watched: Watched, store: ModelStore) -> Reply:
    """Up to three evidence lines nearest to ``question``; says so when none is near."""
    rows = [row for row in watched.rows if row.observation.kind != "cut"]
    scores = _similarities(question, [row.observation.label for row in rows], store)
    ranked = sorted(zip(scores, rows, strict=True), key=lambda pair: -pair[0])
    near: list[Row] = []
    for score, row in ranked:
        if score >= _FLOOR and all(row.observation.label != other.observation.label for other in near):
            near.append(row)
    near = near[:_SHOWN]
    if not near:
        return Reply("I cannot tell from what was seen and heard.", (), "closest")
    evidence = [Evidence(row.observation.span, (row.id,)) for row in near]
    lines = [
        f"{row.observation.label} ({phrasing.interval(e)})" for row, e in zip(near, evidence, strict=True)
    ]
    return Reply(
        f"I do not understand the question; the closest evidence is: {'; '.join(lines)}.",
        tuple(evidence),
        "closest",
    )


def _similarities(question: str, labels: list[str], store: ModelStore) -> list[float]:
    """Cosine in text-vector space, or the share of the question's words without the pack."""
    if not labels:
        return []
    embed = embedder(store)
    if embed is None:
        wanted = set(stems(question))
        return [len(wanted & set(stems(label))) / max(len(wanted), 1) for label in labels]
    vectors = embed([question, *labels])
    return [float(value) for value in np.asarray(vectors[1:]) @ vectors[0]]
