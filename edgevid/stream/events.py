"""Events: rows of the timeline as they begin, and their JSON lines."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from edgevid.core.nouns import Answer, Observation, TimeSpan


@dataclass(frozen=True, slots=True)
class Event:
    """Something begins to be seen or heard.

    Attributes:
        row_id: its row in memory.
        source: the user's name for the source, when it has one.
    """

    row_id: int
    observation: Observation
    source: str | None = None

    def to_json(self) -> dict[str, Any]:
        """``{"type": "event", "t_s", "kind", "label", ...}``; ``source`` when named, ``wall`` when live."""
        o = self.observation
        line: dict[str, Any] = {
            "type": "event",
            **({"source": self.source} if self.source else {}),
            "t_s": round(o.span.start_s, 3),
            "end_s": round(o.span.end_s, 3),
            "kind": o.kind,
            "label": o.label,
            "score": round(o.score, 4),
            "row": self.row_id,
        }
        if o.kind == "object":
            line["count"] = o.count
        if o.boxes:
            line["boxes"] = [[round(v, 4) for v in (b.x0, b.y0, b.x1, b.y1)] for b in o.boxes]
        if o.wall_ns is not None:
            line["wall"] = datetime.fromtimestamp(o.wall_ns / 1e9, tz=UTC).isoformat(timespec="milliseconds")
        return line


def span_json(span: TimeSpan) -> dict[str, float]:
    """``{"start_s", "end_s"}``."""
    return {"start_s": round(span.start_s, 3), "end_s": round(span.end_s, 3)}


def answer_json(answer: Answer) -> dict[str, Any]:
    """The ``answer`` line: question, text, evidence ``[{"start_s", "end_s", "rows"}]``, latency."""
    return {
        "type": "answer",
        "question": answer.question,
        "text": answer.text,
        "evidence": [{**span_json(e.span), "rows": list(e.rows)} for e in answer.evidence],
        "attended": [
            {**span_json(a.span), "mass": round(a.mass, 4), "peak": round(a.peak, 4)} for a in answer.attended
        ],
        "latency_ms": round(answer.latency_ms, 2),
        "calls": list(answer.calls),
    }
