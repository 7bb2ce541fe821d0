from __future__ import annotations

import pytest

from edgevid.core.errors import UsageError
from edgevid.core.nouns import KINDS, Kind, Observation, TimeSpan
from edgevid.memory.memory import Memory
from edgevid.perception.objects import COCO_LABELS
from edgevid.stream.alerts import Alarm, Condition
from edgevid.stream.answer.vocabulary import Vocabulary
from edgevid.stream.events import Event

S = 1_000_000_000
VOCABULARY = Vocabulary(
    objects=COCO_LABELS,
    classes=("tabby, tabby cat", "sliding door"),
    sounds=("Bark", "Smoke detector, smoke alarm", "Speech"),
)


def condition(text: str, channels: tuple[Kind, ...] = KINDS) -> Condition:
    return Condition.compile(text, vocabulary=VOCABULARY, channels=channels)


def event(
    kind: Kind, label: str, *, count: int = 1, score: float = 0.9, at_s: float = 0, row: int = 1
) -> Event:
    span = TimeSpan(int(at_s * S), int((at_s + 1) * S))
    return Event(row, Observation(kind, label, span, score, count=count))


@pytest.mark.parametrize(
    ("text", "kind", "label", "count", "holds"),
    [
        ("a person at the door", "object", "person", 1, True),
        ("a person at the door", "object", "dog", 1, False),
        ("someone appears", "object", "person", 1, True),
        ("two people", "object", "person", 1, False),
        ("two people", "object", "person", 3, True),
        ("seven people", "object", "person", 6, False),
        ("seven people", "object", "person", 7, True),
        ("a cat or a dog", "object", "dog", 1, True),
        ("any vehicle", "object", "truck", 1, True),
        ("a dog barking", "sound", "Bark", 1, True),
        ("a dog barking", "object", "dog", 1, False),
        ("smoke alarm", "sound", "Smoke detector, smoke alarm", 1, True),
        ('someone says "help me"', "speech", "Please help me, quick", 1, True),
        ('someone says "help me"', "speech", "I help you and me", 1, False),
        ('someone says "help me"', "text", "help me", 1, False),
        ("the word 'EXIT' on screen", "text", "Fire exit", 1, True),
        ("a sliding door", "class", "sliding door", 1, True),
    ],
)
def test_conditions_hold_for(text: str, kind: Kind, label: str, count: int, holds: bool) -> None:
    assert condition(text).holds(event(kind, label, count=count)) is holds


def test_a_weak_frame_class_is_a_guess() -> None:
    assert not condition("a sliding door").holds(event("class", "sliding door", score=0.2))


def test_a_place_is_not_checked_and_said_to_be_so() -> None:
    assert condition("a person at the door").unchecked == "at the door"
    assert condition("a person").unchecked == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a unicorn", "'unicorn' is not among"),
        ("a red car", "'red' is not among"),
        ("", "names nothing"),
        ("nobody is there", "what is absent"),
        ("a person leaves", "what is absent"),
        ("a person and a dog", "several things"),
    ],
)
def test_what_can_never_be_told_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        condition(text)


def test_a_condition_of_any_length_is_answered_in_one_line() -> None:
    with pytest.raises(UsageError) as refused:
        condition("9" * 5000 + " persons")
    assert len(str(refused.value)) < 200


def test_a_channel_that_is_not_watched_is_named() -> None:
    with pytest.raises(UsageError, match="needs the channel sound"):
        condition("a dog barking", channels=("object", "cut"))
    assert condition("a dog", channels=("sound", "object")).kinds == ("object",)


def test_an_appearance_is_told_once() -> None:
    with Memory() as memory:
        video = memory.add_video("cam", width=1, height=1, has_audio=False, channels=["object"])
        alarm = Alarm(condition("a person"), memory)

        def sees(at_s: float, *, until_s: float, count: int = 1) -> bool:
            seen = event("object", "person", count=count, at_s=at_s)
            row = memory.add(video, seen.observation)
            memory.extend(row, end_ns=int(until_s * S), score=0.5)
            return alarm.check(Event(row, seen.observation)) is not None

        assert sees(0, until_s=40)
        assert not sees(20, until_s=21, count=2)  # another count: a new row of the same appearance
        assert not sees(45, until_s=46)  # a blink of the detector
        assert sees(60, until_s=61)
        alarm.reset()
        assert sees(0, until_s=1)
