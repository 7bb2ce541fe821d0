"""Observations of single frames to rows of the timeline: what stays in view is one row, not one per frame."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher

from edgevid.core.nouns import Kind, Observation
from edgevid.memory.memory import Memory

_MERGED: frozenset[Kind] = frozenset({"object", "class", "text", "faint"})
_SAME_TEXT = 0.8  # OCR of one unchanged caption differs by a letter or two between frames


@dataclass(slots=True)
class _OpenRow:
    row_id: int
    observation: Observation
    end_ns: int


class Timeline:
    """Writes the observations of one video into memory.

    A visual observation that continues an open row (same kind, label and count, no gap longer than half a
    sampling period) extends it; anything else starts a new row. So does a text that holds all of the old one
    and more: it was read more fully. Speech, sounds and cuts arrive as finished spans and are always rows of
    their own.
    """

    def __init__(self, memory: Memory, video_id: int) -> None:
        self._memory = memory
        self._video_id = video_id
        self._open: list[_OpenRow] = []

    def add(self, observation: Observation, *, period_ns: int, unseen_ns: int = 0) -> int | None:
        """Record ``observation``; returns the id of the row it started, or None when it extended one.

        Args:
            period_ns: time between two looks of its channel.
            unseen_ns: how much longer than that nobody has looked.
        """
        start_ns, end_ns = observation.span.start_ns, observation.span.end_ns
        if observation.kind not in _MERGED:
            return self._memory.add(self._video_id, observation)
        self._open = [row for row in self._open if row.end_ns + period_ns // 2 + unseen_ns >= start_ns]
        for row in self._open:
            if _continues(row.observation, observation):
                row.end_ns = max(row.end_ns, end_ns)
                if self._memory.extend(row.row_id, end_ns=end_ns, score=observation.score):
                    return None
                self._open.remove(row)  # forgotten meanwhile; what is still there starts a new row
                break
        row_id = self._memory.add(self._video_id, observation)
        self._open.append(_OpenRow(row_id, observation, end_ns))
        return row_id


def _continues(old: Observation, new: Observation) -> bool:
    if old.kind != new.kind or old.count != new.count:
        return False
    if old.label == new.label:
        return True
    if old.kind != "text" or is_fuller(new.label, old.label):
        return False
    return SequenceMatcher(None, old.label.lower(), new.label.lower()).ratio() >= _SAME_TEXT


def is_fuller(text: str, other: str) -> bool:
    """Whether ``text`` holds all letters and digits of ``other``, in one piece, and more."""
    whole, part = ("".join(filter(str.isalnum, t.lower())) for t in (text, other))
    return part in whole and len(part) < len(whole)
