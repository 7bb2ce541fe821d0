"""Words for findings. Times are those of cited spans, never others."""

from __future__ import annotations

from collections.abc import Sequence

from edgevid.core.nouns import NS_PER_S, Evidence
from edgevid.stream.answer import kinds

_BARE = frozenset(
    "someone somebody anyone anybody everyone everybody music speech rain water wind traffic applause "
    "laughter"
    " food clothes clothing furniture luggage cutlery kitchenware electronics wildlife fruit "
    "silence".split()
)
_LISTED = 8  # spans named in one sentence


def clock(ns: int) -> str:
    """Presentation time as ``m:ss`` or ``h:mm:ss``, rounded to the second."""
    seconds = (ns + NS_PER_S // 2) // NS_PER_S
    if seconds >= 3600:
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{seconds // 60}:{seconds % 60:02d}"


def interval(evidence: Evidence) -> str:
    """``from 0:03 to 0:07``, or ``at 0:03`` when both ends read the same."""
    start, end = clock(evidence.span.start_ns), clock(evidence.span.end_ns)
    return f"at {start}" if start == end else f"from {start} to {end}"


def intervals(spans: Sequence[Evidence]) -> str:
    """Up to eight intervals and how many more there are."""
    named = [interval(span) for span in spans[:_LISTED]]
    more = len(spans) - len(named)
    return conjunction(named) + (f", and {more} more times" if more else "")


def conjunction(parts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def seconds(ns: int) -> str:
    """A duration in words: ``12 s`` or ``3 min 20 s``."""
    total = (ns + NS_PER_S // 2) // NS_PER_S
    if total < 60:
        return f"{ns / NS_PER_S:.1f} s" if ns < 10 * NS_PER_S else f"{total} s"
    return f"{total // 60} min {total % 60} s"


def plural(label: str, count: int) -> str:
    """``1 person``, ``2 people``, ``3 buses``."""
    if count == 1:
        return f"1 {label}"
    irregular = {"person": "people", "sheep": "sheep", "skis": "skis", "mouse": "mice", "knife": "knives"}
    if label in irregular:
        return f"{count} {irregular[label]}"
    return f"{count} {label}{'es' if label.endswith(('s', 'ch', 'sh', 'x')) else 's'}"


def article(label: str) -> str:
    """``a dog``, ``an apple``; what cannot be counted, and pronouns, stay bare."""
    if label.lower() in _BARE or label in kinds.MEANINGS:
        return label
    return f"{'an' if label[:1].lower() in 'aeiou' else 'a'} {label}"
