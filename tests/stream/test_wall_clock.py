from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from edgevid.core.nouns import Evidence, Observation, TimeSpan
from edgevid.memory.memory import Memory, VideoRow
from edgevid.models.store import ModelStore
from edgevid.perception.objects import COCO_LABELS
from edgevid.stream.answer.answerer import Answerer
from edgevid.stream.answer.vocabulary import Vocabulary
from edgevid.stream.answer.wall_clock import clock_note, named_time

S = 1_000_000_000
ZONE = timezone(timedelta(hours=1), "CET")
NOON = datetime(2026, 11, 22, 13, 0, tzinfo=ZONE)
HOURS_3 = 3 * 3600 * S


def video(wall: datetime | None) -> VideoRow:
    wall_ns = None if wall is None else int(wall.timestamp()) * S
    return VideoRow(1, "cam", wall_ns, None, 1, 1, False, ("object",))


def minutes(
    question: str, *, start: datetime = NOON, duration_ns: int = HOURS_3
) -> tuple[float, float] | None:
    """The span named, in minutes after 13:00."""
    found = named_time(question, video(start), duration_ns, zone=ZONE)
    if found is None or found.span is None:
        return None
    return found.span.start_ns / 60 / S, found.span.end_ns / 60 / S


@pytest.mark.parametrize(
    ("question", "span"),
    [
        ("Who was there at 14:05?", (65, 66)),
        ("Who was there at 14:05:30?", (65.5, 65.5 + 1 / 60)),
        ("What happened at 2:05 pm?", (65, 66)),
        ("What happened at 2 p.m.?", (60, 61)),
        ("What happened at 2 o'clock?", (60, 61)),
        ("What happened at 2:05?", (65, 66)),
        ("Was there a dog between 2 and 3 pm?", (60, 120)),
        ("Was there a dog from 14:00 to 14:30?", (60, 90)),
        ("How many people were there around 14:05?", (62.5, 68.5)),
        ("Did anyone come after 15:30?", (150, 180)),
        ("Did anyone come before 13:10?", (0, 10)),
        ("Did anyone come since 3:30 pm today?", (150, 180)),
    ],
)
def test_times_of_day_are_parts_of_the_video(question: str, span: tuple[float, float]) -> None:
    assert minutes(question) == pytest.approx(span)


@pytest.mark.parametrize(
    "question",
    ["Is there a dog?", "Who is there at the door?", "What is seen at 5?", "Are there 2 or 3 dogs?"],
)
def test_other_questions_name_no_time_of_day(question: str) -> None:
    assert named_time(question, video(NOON), HOURS_3, zone=ZONE) is None


def test_a_position_stays_a_position() -> None:
    assert named_time("What is seen at 0:20?", video(NOON), HOURS_3, zone=ZONE) is None
    assert named_time("Who was there at 14:05?", video(None), HOURS_3, zone=ZONE) is None


def test_a_time_nobody_watched_is_said_to_be_so() -> None:
    found = named_time("Who was there at 9 pm?", video(NOON), HOURS_3, zone=ZONE)
    assert found is not None
    assert found.span is None
    assert found.unwatched == "I was not watching then: I watched from 13:00:00 to 16:00:00 CET."


def test_midnight_and_days() -> None:
    evening = datetime(2026, 11, 21, 22, 0, tzinfo=ZONE)
    day = 24 * 3600 * S
    assert minutes("Did anyone come between 11 pm and 1 am?", start=evening, duration_ns=day) == (60, 180)
    assert minutes("Did anyone come at 22:30?", start=evening, duration_ns=2 * day) == (1470, 1471)
    assert minutes("Did anyone come at 22:30 yesterday?", start=evening, duration_ns=day) == (30, 31)


def test_answers_name_the_time_of_day_and_its_zone() -> None:
    spans = (Evidence(TimeSpan(65 * 60 * S, 66 * 60 * S), (1,)), Evidence(TimeSpan(0, 0), (2,)))
    assert clock_note(spans, video(NOON), zone=ZONE) == " (14:05:00 to 14:06:00, 13:00:00 CET)"
    assert clock_note(spans, video(None), zone=ZONE) == ""


def test_a_live_timeline_is_asked_by_the_clock(tmp_path: Path) -> None:
    local = datetime(2026, 11, 22, 13, 0)
    with Memory() as memory:
        wall_ns = int(local.timestamp()) * S
        row = memory.add_video(
            "cam", width=1, height=1, has_audio=False, channels=["object"], wall_ns=wall_ns
        )
        for label, at_min in (("dog", 5), ("person", 65)):
            span = TimeSpan(at_min * 60 * S, (at_min * 60 + 20) * S)
            memory.add(row, Observation("object", label, span, 0.9, wall_ns=wall_ns + span.start_ns))
        memory.set_watched(row, HOURS_3)
        vocabulary = Vocabulary(objects=COCO_LABELS, classes=(), sounds=())
        answerer = Answerer(memory, store=ModelStore(tmp_path), vocabulary=vocabulary)
        seen = answerer.answer(row, "Was there a person between 2 and 3 pm?").text
        assert seen.startswith("Yes")
        assert "14:05:00 to 14:05:20" in seen
        assert answerer.answer(row, "Was there a dog at 14:05?").text.startswith("No")
        assert "not watching then" in answerer.answer(row, "Was there a dog at 9 pm?").text
