"""Answers about words, order, gaps and places on a timeline made here."""

from __future__ import annotations

import re

import pytest

from edgevid.core.nouns import KINDS, NS_PER_S, Box, Kind, Observation, TimeSpan
from edgevid.memory.memory import Memory, Row
from edgevid.models.store import ModelStore
from edgevid.stream.answer.answerer import Answerer
from edgevid.stream.answer.spoken import places
from edgevid.stream.answer.vocabulary import Vocabulary

VOCABULARY = Vocabulary(
    objects=["person", "car", "dog", "cup", "dining table", "wine glass"],
    classes=["golden retriever", "castle"],
    sounds=["Speech", "Music", "Applause", "Clothing"],
)
LONG = "ladies and gentlemen the ferry to the island leaves from gate seven at noon today"


def harbour(memory: Memory) -> int:
    """60 s: a person 5-15 and 30-40, a car 20-61 (one look past the end), speech, music."""
    video = memory.add_video("harbour.mp4", width=640, height=360, has_audio=True, channels=KINDS)
    rows: list[tuple[Kind, str, float, float]] = [
        ("object", "person", 5, 15),
        ("object", "person", 30, 40),
        ("object", "car", 20, 61),
        ("speech", LONG, 10, 20),
        ("speech", "please mind the gap", 25, 27),
        ("sound", "Music", 40, 55),
        ("cut", "cut", 20, 20),
    ]
    for kind, label, start, end in rows:
        span = TimeSpan(start * NS_PER_S, end * NS_PER_S)
        boxes = (Box(0.0, 0.2, 0.2, 0.8),) if kind == "object" else ()
        memory.add(video, Observation(kind, label, span, 0.8, boxes=boxes))
    memory.set_watched(video, 60 * NS_PER_S)
    return video


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("When does he say ferry?", r"ferry.*at about 0:1[34]"),
        ("When is noon mentioned?", r"at about 0:1[89]"),
        ("When does he say gap?", r"from 0:25 to 0:27"),
        ("How many times does he say ferry?", r"^\"ferry\" is said 1 time"),
        ("does he mention trains or a ferry?", r"^Yes: "),
        ("does he mention trains?", r"^No, \"trains\" was not said"),
        ("what is the last word", r"\"gap\", at 0:27"),
        ("What are the first few words?", r"\"ladies and gentlemen the ferry\", at 0:10"),
        ('what is said right after "gate seven"', r"comes \"at noon today\""),
        ("which word comes before gate", r"comes \"from\""),
        ("When does the music start?", r"first at 0:40"),
        ("When does the music stop?", r"until 0:55"),
        ("How long does the music last?", r"for 15 s"),
        ("is it quiet?", r"^No: Music"),
        ("is there any sound?", r"^Yes: Music"),
        ("is there applause after the sentence?", r"^No, applause was not heard"),
        ("when does the person leave?", r"gone at 0:15 and 0:40"),
        ("when does the person arrive?", r"appears at 0:05 and 0:30"),
        ("when is nobody there?", r"from 0:00 to 0:05, from 0:15 to 0:30 and from 0:40 to 1:00"),
        ("which comes first, the car or the person?", r"^A person comes first, at 0:05"),
        ("where is the car?", r"^1 car is on the left"),
        ("is there a dog or a car?", r"^Yes, a car"),
        ("is there a person with a dog?", r"^No, a dog was not detected"),
        ("what is on the table?", r"^Car"),
        ("when is the car seen?", r"from 0:20 to 1:00"),
        ("is there a car at the start?", r"^No, a car was not detected"),
        ("is anyone there in the second half?", r"^Yes, anyone"),
        ("who is in the video?", r"^Yes, a person"),
        ("what happens after the cut?", r"^After the cut \(0:20\): car"),
        ("is there a wine glass?", r"^No, a wine glass was not detected"),
        ("is the car red?", r"I cannot tell: I do not detect colours"),
    ],
)
def test_answers(memory: Memory, question: str, expected: str) -> None:
    answer = Answerer(memory, store=ModelStore(), vocabulary=VOCABULARY).answer(harbour(memory), question)
    assert re.search(expected, answer.text), answer.text


def spoken(text: str) -> list[Row]:
    return [Row(1, 1, Observation("speech", text, TimeSpan(0, 10 * NS_PER_S), 0.9))]


@pytest.mark.parametrize(
    ("text", "phrase", "found"),
    [
        ("been read by k seven now", "bin red by", True),  # as a recogniser hears it
        ("take 7 of them", "seven", True),
        ("he was asking for help", "ask for help", True),
        ("the apostels creed", "apostle", True),
        ("goodbye then", "good bye", True),
        ("a big red house", "red car", False),
        ("nothing of the kind", "noting", False),
    ],
)
def test_places(text: str, phrase: str, found: bool) -> None:
    assert bool(places(spoken(text), phrase)) is found


def test_a_place_in_a_long_utterance_is_a_part_of_its_span() -> None:
    (place,) = places(spoken(LONG), "noon")
    assert place.is_estimated
    assert 8.0 < place.evidence.span.start_s < place.evidence.span.end_s < 10.0
