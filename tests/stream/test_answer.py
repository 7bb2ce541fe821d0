"""The structured answerer on timelines made here: what it says, and that every time it says is cited."""

from __future__ import annotations

import re

import pytest

from edgevid.core.nouns import KINDS, Answer, Kind, Observation, TimeSpan
from edgevid.memory.memory import Memory
from edgevid.models.store import ModelStore
from edgevid.stream.answer import phrasing
from edgevid.stream.answer.answerer import Answerer
from edgevid.stream.answer.vocabulary import Vocabulary

S = 1_000_000_000
OBJECTS = ["person", "bicycle", "car", "dog", "cat", "truck", "bus", "stop sign", "tennis racket", "cup"]
CLASSES = ["golden retriever", "Egyptian cat", "seashore, coast", "sports car, sport car", "castle"]
SOUNDS = ["Speech", "Music", "Rain", "Bark", "Dog", "Siren", "Applause"]
VOCABULARY = Vocabulary(objects=OBJECTS, classes=CLASSES, sounds=SOUNDS)


def street(memory: Memory, *, has_audio: bool = True, channels: tuple[Kind, ...] = KINDS) -> int:
    """60 s: a car all along, two people 0:10-0:20 and one 0:40-0:45, a caption, speech, rain, two cuts."""
    video = memory.add_video("street.mp4", width=640, height=360, has_audio=has_audio, channels=channels)
    rows: list[tuple[Kind, str, float, float, int]] = [
        ("object", "car", 0, 60, 1),
        ("object", "person", 10, 20, 2),
        ("object", "person", 40, 45, 1),
        ("text", "GATE 24", 12, 18, 1),
        ("cut", "cut", 10, 10, 1),
        ("cut", "cut", 40, 40, 1),
    ]
    if has_audio:
        rows += [
            ("speech", "welcome to the old harbour", 11, 14, 1),
            ("speech", "the ferry leaves at noon", 41, 44, 1),
            ("sound", "Rain", 20, 35, 1),
        ]
    for kind, label, start, end, count in rows:
        span = TimeSpan(int(start * S), int(end * S))
        memory.add(video, Observation(kind, label, span, 0.8, count))
    memory.set_watched(video, 60 * S)
    return video


def ask(memory: Memory, question: str, video: int | None = None) -> Answer:
    answerer = Answerer(memory, store=ModelStore(), vocabulary=VOCABULARY)
    answer = answerer.answer(video or street(memory), question)
    cited = {phrasing.clock(t) for e in answer.evidence for t in (e.span.start_ns, e.span.end_ns)}
    assert set(re.findall(r"\b\d+:\d\d\b", answer.text)) <= cited, f"invented time in {answer.text!r}"
    return answer


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("When do people appear?", r"person.*from 0:10 to 0:20 and from 0:40 to 0:45"),
        ("at what time is the first person seen", r"first seen at 0:10"),
        ("When is a man last visible?", r"detected as person.*last seen at 0:45"),
        ("How many people are there?", r"^2 people at most.*0:10 to 0:20"),
        ("how many dogs?", r"^0\. No"),
        ("Is there a car?", r"^Yes, a car from 0:00 to 1:00"),
        ("Do you see any dogs", r"^No, a dog was not detected"),
        ("Are there vehicles in it?", r"^Yes, a vehicle \(detected as car\)"),
        ("How long is a person visible?", r"for 15 s"),
        ("How long is the video?", r"60 s|1 min 0 s"),
        ("What does she say first?", r"welcome to the old harbour"),
        ("Does anyone mention the ferry?", r"^Yes: \"the ferry leaves at noon\""),
        ("When do they say 'harbour'?", r"harbour.*0:11"),
        ("Is the word banana said?", r"^No, \"banana\" was not said"),
        ("What text is on the screen?", r"GATE 24"),
        ("What can be heard?", r"Rain"),
        ("Is there music?", r"^No, music was not heard"),
        ("How many cuts are there?", r"^2 cuts, so 3 scenes"),
        ("How many scenes does it have?", r"^3 scenes"),
        ("What colour is the car?", r"I cannot tell"),
        ("Why is he running?", r"I cannot tell"),
        ("Is there a submarine?", r"I cannot detect 'submarine'"),
        ("What happens in the video?", r"I see car.*GATE 24"),
        ("What comes after the last person?", r"After a person|Nothing else"),
        ("???", r"Please ask"),
        ("¿Cuántos coches hay en el vídeo?", r"Solo entiendo"),
        ("Wie viele Personen sieht man im Video?", r"nur Fragen auf Englisch"),
        ("ビデオには何が映っていますか", r"only understand questions in English"),
    ],
)
def test_answers(memory: Memory, question: str, expected: str) -> None:
    answer = ask(memory, question)
    assert re.search(expected, answer.text), answer.text


def test_a_silent_video_is_said_to_be_silent(memory: Memory) -> None:
    assert "no sound" in ask(memory, "What is said?", street(memory, has_audio=False)).text


def test_a_channel_that_did_not_run_is_not_evidence_of_absence(memory: Memory) -> None:
    video = street(memory, channels=("speech",))
    assert "did not watch" in ask(memory, "Is there a dog?", video).text


def test_evidence_names_the_rows(memory: Memory) -> None:
    answer = ask(memory, "When do people appear?")
    video = memory.videos()[-1].id
    people = [row.id for row in memory.rows(video) if row.observation.label == "person"]
    assert [row for e in answer.evidence for row in e.rows] == people


@pytest.mark.parametrize(
    "question", ["", " ", "a" * 5000, "\x00\x01", "when " * 500, "'\"(*[", "how many how many"]
)
def test_no_question_breaks_it(memory: Memory, question: str) -> None:
    assert ask(memory, question).text


def test_an_empty_timeline_is_answered(memory: Memory) -> None:
    video = memory.add_video("x", width=1, height=1, has_audio=True, channels=KINDS)
    for question in (
        "What happens?",
        "When?",
        "What is said?",
        "how many cars",
        "list everything",
        "blorp the grue",
    ):
        assert ask(memory, question, video).evidence == () or question


def test_without_the_object_channel_absence_says_so(memory: Memory) -> None:
    video = memory.add_video("x", width=9, height=9, has_audio=True, channels=("class", "sound"))
    assert (
        ask(memory, "Is there a dog?", video).text
        == "No, a dog was not detected, but I did not watch for objects."
    )
    assert "did not watch for objects" in ask(memory, "How many cars are there?", video).text
