"""The nearest exemplar decides what a question asks for when no rule does (exemplars.tsv)."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from edgevid.stream.answer.similarity import embedder

if TYPE_CHECKING:
    from edgevid.models.store import ModelStore

_FLOOR = 0.5  # cosine below which an exemplar says nothing about a question


def nearest(question: str, store: ModelStore) -> str | None:
    """A plainly worded question that asks the same, or None when no exemplar is near or the pack is "
    "missing."""
    embed = embedder(store)
    if embed is None:
        return None
    rows = exemplars()
    similar = embed([wording for _, wording in rows]) @ embed([question])[0]
    best = int(np.argmax(similar))
    return rows[best][0] if similar[best] >= _FLOOR else None


@lru_cache(maxsize=1)
def exemplars() -> tuple[tuple[str, str], ...]:
    """(plain question, a wording of it) pairs."""
    text = resources.files("edgevid.stream.answer").joinpath("exemplars.tsv").read_text(encoding="utf-8")
    pairs = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return tuple((plain.strip(), wording.strip()) for plain, wording in pairs)
