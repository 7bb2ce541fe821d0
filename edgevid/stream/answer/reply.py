"""A reply under construction: text, evidence and which way it was found."""

from __future__ import annotations

from dataclasses import dataclass

from edgevid.core.nouns import Evidence


@dataclass(frozen=True, slots=True)
class Reply:
    """``text`` with the spans it cites; ``via`` names the rule for ``Answer.calls``."""

    text: str
    evidence: tuple[Evidence, ...] = ()
    via: str = ""
