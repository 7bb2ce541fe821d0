"""Answers from long timelines: the quick ways give what the plain ones do."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

from edgevid.core.nouns import KINDS, NS_PER_S, Box, Evidence, Observation, TimeSpan
from edgevid.memory.memory import Memory, Row
from edgevid.models.store import ModelStore
from edgevid.stream.answer import lookup
from edgevid.stream.answer.answerer import Answerer
from edgevid.stream.answer.hearing import on_screen
from edgevid.stream.answer.vocabulary import Vocabulary
from edgevid.stream.answer.watched import Watched

VOCABULARY = Vocabulary(objects=["person", "car", "dog"], classes=["castle"], sounds=["Speech"])


def random_rows(count: int, seed: int) -> list[Row]:
    pick = random.Random(seed)
    rows = []
    for i in range(count):
        start = pick.randrange(60)
        span = TimeSpan(start * NS_PER_S, (start + pick.randrange(6)) * NS_PER_S)
        label = pick.choice(("person", "car", "dog"))
        rows.append(Row(i, 1, Observation("object", label, span, pick.random(), pick.randrange(1, 4))))
    return rows


def plain_most_at_once(rows: list[Row]) -> tuple[int, Evidence]:
    ordered = sorted(rows, key=lambda r: r.observation.span.start_ns)
    spans = [row.observation.span for row in ordered]
    best: list[tuple[int, Evidence]] = []
    for start, end in pairwise(sorted({t for s in spans for t in (s.start_ns, s.end_ns)})):
        here = [row for row, s in zip(ordered, spans, strict=True) if s.start_ns <= start and s.end_ns >= end]
        if here:
            count = sum(row.observation.count for row in here)
            best.append((count, Evidence(TimeSpan(start, end), tuple(row.id for row in here))))
    return max(best, key=lambda item: item[0])


def test_the_most_at_once_is_what_every_moment_says() -> None:
    for seed in range(40):
        rows = random_rows(2 + seed, seed)
        if any(row.observation.span.end_ns > row.observation.span.start_ns for row in rows):
            assert lookup.most_at_once(rows) == plain_most_at_once(rows), seed


def test_a_listing_holds_every_row_under_its_label() -> None:
    rows = random_rows(200, 3)
    listed = lookup.listing(rows)
    assert {row.id for _, of_label in listed for row in of_label} == {row.id for row in rows}
    assert all(row.observation.label == label for label, of_label in listed for row in of_label)
    times = lookup.durations(rows)
    assert [label for label, _ in listed] == sorted(times, key=lambda label: -times[label])


def test_a_question_sees_what_came_since_the_last(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as memory, Memory(tmp_path / "m.db") as elsewhere:
        video = memory.add_video("x", width=100, height=100, has_audio=True, channels=KINDS)
        answerer = Answerer(memory, store=ModelStore(), vocabulary=VOCABULARY)
        row = memory.add(video, Observation("object", "car", TimeSpan(0, NS_PER_S), 0.9))
        assert answerer.answer(video, "When is the car seen?").text == "A car is seen from 0:00 to 0:01."
        memory.extend(row, end_ns=4 * NS_PER_S, score=0.9)
        assert answerer.answer(video, "When is the car seen?").text == "A car is seen from 0:00 to 0:04."
        elsewhere.add(video, Observation("object", "dog", TimeSpan(0, NS_PER_S), 0.9))
        assert answerer.answer(video, "Is there a dog?").text == "Yes, a dog from 0:00 to 0:01."
        other = memory.add_video("y", width=100, height=100, has_audio=True, channels=KINDS)
        assert answerer.answer(other, "Is there a dog?").text == "No, a dog was not detected."


def test_boxes_are_read_where_a_place_is_asked_for() -> None:
    with Memory() as memory:
        video = memory.add_video("x", width=100, height=100, has_audio=True, channels=KINDS)
        seen = Observation("object", "car", TimeSpan(0, NS_PER_S), 0.9, boxes=(Box(0.0, 0.1, 0.2, 0.4),))
        memory.add(video, seen)
        (row,) = Watched.read(memory, video).of("object")
        assert row.observation.boxes == ()
        answerer = Answerer(memory, store=ModelStore(), vocabulary=VOCABULARY)
        assert answerer.answer(video, "Where is the car?").text == "1 car is on the left, from 0:00 to 0:01."


def test_of_lines_that_hold_each_other_the_fullest_is_told() -> None:
    with Memory() as memory:
        video = memory.add_video("x", width=100, height=100, has_audio=False, channels=KINDS)
        for i, label in enumerate(("VELU", "PALVELU", "ALVELU", "OTHER")):
            memory.add(video, Observation("text", label, TimeSpan(i * NS_PER_S, (i + 1) * NS_PER_S), 0.9))
        memory.add(video, Observation("text", "VELU", TimeSpan(20 * NS_PER_S, 21 * NS_PER_S), 0.9))
        reply = on_screen(Watched.read(memory, video))
        assert reply is not None
        assert [word for word in reply.text.split() if word.startswith('"')] == [
            '"PALVELU"',
            '"OTHER"',
            '"VELU"',
        ]
