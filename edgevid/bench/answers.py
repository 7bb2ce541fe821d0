"""``edgevid bench answers``: question sets over real clips, scored by program.

Each clip is watched once with every channel, then all its questions are asked. The sets were written from the
videos alone (``questions/README.md``); those in ``DEV`` may be tuned on, those in ``HELD_OUT`` may not.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from edgevid.bench.answer_scoring import invented_times, score
from edgevid.bench.report import Row
from edgevid.core.errors import MissingPartError
from edgevid.core.nouns import Answer

GOAL = 0.80
DEV = ("dev", "dev_2")
HELD_OUT = ("heldout",)
_METHOD = (
    "watch at 2 frames/s with all channels, then ask; structured answerer; scored by answer_scoring.py on {n}"
    " questions over {clips} clips; times count as invented when no cited span begins or ends there"
)


@dataclass(slots=True)
class Outcome:
    """Scores of one question set."""

    asked: int = 0
    right: int = 0
    invented: int = 0
    clips: int = 0
    media_s: float = 0.0
    watch_s: float = 0.0
    by_family: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    wrong: list[dict[str, Any]] = field(default_factory=list)
    via: Counter[str] = field(default_factory=Counter)


def load_questions(part: str) -> dict[str, Any]:
    """One of ``DEV`` or ``HELD_OUT``: ``{"clips": {...}, "questions": [...]}``."""
    text = resources.files("edgevid.bench").joinpath("questions", f"{part}.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def run_set(part: str, data: Path, *, llm: str | None = None) -> Outcome:
    """Watch the clips of a set below ``data`` and score its questions."""
    from edgevid.stream.session import StreamSession

    questions = load_questions(part)
    outcome = Outcome()
    with StreamSession(llm) as session:
        for clip_id, clip in questions["clips"].items():
            asked = [q for q in questions["questions"] if q["clip"] == clip_id]
            if not asked:
                continue
            began = time.perf_counter()
            for _ in session.watch(data / clip["path"]):
                pass
            outcome.watch_s += time.perf_counter() - began
            outcome.media_s += float(session.stats()["media_s"])
            outcome.clips += 1
            for question in asked:
                _ask(session.ask(question["question"]), question, float(clip["duration_s"]), outcome)
    return outcome


def _ask(answer: Answer, question: dict[str, Any], duration_s: float, outcome: Outcome) -> None:
    spans = [(e.span.start_s, e.span.end_s) for e in answer.evidence]
    right = score(question["expect"], answer.text, spans)
    invented = invented_times(answer.text, spans, duration_s)
    outcome.asked += 1
    outcome.right += right
    outcome.invented += len(invented)
    family = outcome.by_family[question["family"]]
    family[0] += right
    family[1] += 1
    outcome.via[answer.calls[0]] += 1
    if not right or invented:
        outcome.wrong.append(
            {**question, "answer": answer.text, "via": list(answer.calls), "invented": invented}
        )


def rows(
    data: Path | None,
    *,
    llm: str | None = None,
    quick: bool = False,
    on_wrong: Callable[[dict[str, Any]], None] | None = None,
) -> Iterator[Row]:
    """Rows for ``edgevid bench answers``: share right per set and family, invented times, watching speed.

    Args:
        data: folder with the clips; None gives one row that says they are missing.
        llm: score this model's checked drafts ("demo" or a GGUF path) over the structured answers.
        quick: the first dev set only.
        on_wrong: called with every wrong answer of the dev sets; those of the held-out sets stay unread.
    """
    if data is None:
        reason = "no clips: set EDGEVID_TEST_DATA to the folder with MANIFEST.tsv"
        yield Row("answers right, held-out", None, "share", GOAL, None, reason)
        return
    for part in DEV[:1] if quick else (*DEV, *HELD_OUT):
        outcome = run_set(part, data, llm=llm)
        if on_wrong is not None and part in DEV:
            for wrong in outcome.wrong:
                on_wrong(wrong)
        method = _METHOD.format(n=outcome.asked, clips=outcome.clips)
        share = outcome.right / outcome.asked
        goal = GOAL if part in HELD_OUT else None
        yield Row(
            f"answers right, {part}", round(share, 4), "share", goal, share >= GOAL if goal else None, method
        )
        for family, (right, asked) in sorted(outcome.by_family.items()):
            tally = f"{right} of {asked}"
            yield Row(f"answers right, {part}, {family}", round(right / asked, 4), "share", None, None, tally)
        yield Row(f"invented times, {part}", outcome.invented, "times", 0, outcome.invented == 0, method)
        speed = outcome.media_s / outcome.watch_s
        how = "all channels, 2 frames/s, presentation time over wall time, opening files included"
        yield Row(f"watching speed, {part}", round(speed, 2), "x real time", 1.0, speed >= 1.0, how)


def find_data() -> Path | None:
    """The folder with the clips: $EDGEVID_TEST_DATA, or ``shared/data`` beside the checkout."""
    named = os.environ.get("EDGEVID_TEST_DATA")
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    root = Path(named) if named else beside
    if (root / "MANIFEST.tsv").is_file():
        return root
    if named:
        raise MissingPartError(
            f"EDGEVID_TEST_DATA={named} has no MANIFEST.tsv", fix="name the folder with the clips"
        )
    return None
