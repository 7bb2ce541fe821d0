"""The question sets: well formed, disjoint, true to the files they ask about, and not to be had for free."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from edgevid.bench.answer_scoring import KINDS, score

PARTS = ("dev", "dev_2", "heldout")
_RAW_FPS = 25  # of elementary streams, which say neither rate nor duration


def _load(part: str) -> dict[str, Any]:
    text = resources.files("edgevid.bench").joinpath("questions", f"{part}.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _leaves(expect: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if expect["kind"] in ("either", "both"):
        for part in expect["of"]:
            yield from _leaves(part)
    else:
        yield expect


def test_parts_share_no_clip_and_are_large_enough() -> None:
    dev, heldout = _load("dev"), _load("heldout")
    paths = [clip["path"] for part in PARTS for clip in _load(part)["clips"].values()]
    assert len(set(paths)) == len(paths)
    assert len(heldout["clips"]) >= 20
    assert len(heldout["questions"]) >= 130
    assert len(dev["questions"]) >= 70


@pytest.mark.parametrize("part", PARTS)
def test_questions_are_well_formed(part: str) -> None:
    loaded = _load(part)
    ids = [q["id"] for q in loaded["questions"]]
    assert len(set(ids)) == len(ids)
    assert {q["clip"] for q in loaded["questions"]} == set(loaded["clips"])
    for question in loaded["questions"]:
        duration = loaded["clips"][question["clip"]]["duration_s"]
        for expect in _leaves(question["expect"]):
            assert expect["kind"] in KINDS, question["id"]
            for start, end in [*expect.get("spans", []), *expect.get("cites", [])]:
                assert 0 <= start <= end <= duration + 0.01, question["id"]


@pytest.mark.parametrize("part", PARTS)
def test_durations_are_those_of_the_files(part: str, test_data: Path) -> None:
    import av

    for clip in _load(part)["clips"].values():
        with av.open(str(test_data / clip["path"])) as container:
            if container.duration is None:
                duration_s = sum(1 for _ in container.decode(video=0)) / _RAW_FPS
            else:
                duration_s = container.duration / av.time_base
            assert duration_s == pytest.approx(clip["duration_s"], abs=0.05), clip["path"]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    "text",
    [
        "Yes.",
        "No, that was not detected.",
        "I cannot tell that.",
        "1 person at 0:00.",
        "Person, car, bicycle, bird, bottle, chair, table, dog, cat, music, speech, rain, tie, bus.",
        "I only answer in English.",
    ],
)
def test_one_answer_for_everything_gets_nowhere(part: str, text: str) -> None:
    questions = _load(part)["questions"]
    spans = [(0.0, 1e3)]
    right = sum(score(q["expect"], text, spans) for q in questions)
    assert right <= 0.33 * len(questions)


def _ideal(expect: dict[str, Any]) -> str:
    """What a person who saw the clip and knows the truth would write, in plain words."""

    def clock(t: float) -> str:
        return f"{int(t) // 60}:{int(t) % 60:02d}"

    match expect["kind"]:
        case "yes":
            return f"Yes, {(expect.get('about') or ['it'])[0]} was found."
        case "no" | "no_or_cannot":
            return "No, nothing of the kind was detected."
        case "cannot":
            return "I cannot tell that: there is no detector for it."
        case "labels":
            groups = [*expect.get("all_of", []), *expect.get("any_of", [])[: expect.get("min_hits", 1)]]
            return " and ".join(group[0] for group in groups) + " (0:01)."
        case "time":
            return "At " + ", ".join(f"{clock(a)}–{clock(b)}" for a, b in expect["spans"]) + "."
        case "count":
            return f"{expect['value']} of them, at 0:01."
        case "duration":
            return f"It is {expect['seconds']:.1f} s long."
        case "words":
            return f'At 0:01: "{expect["text"]}".'
        case "either":
            return _ideal(expect["of"][0])
        case _:
            return "I only understand questions in English."


@pytest.mark.parametrize("part", PARTS)
def test_every_question_can_be_answered_right(part: str) -> None:
    for question in _load(part)["questions"]:
        expect = question["expect"]
        cited = [tuple(span) for span in expect.get("cites", [])]
        assert score(expect, _ideal(expect), cited), (question["id"], _ideal(expect))
