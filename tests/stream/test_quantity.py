"""How many, the how-manieth, and faint or repeated appearances, on a timeline made here."""

from __future__ import annotations

import re

import pytest

from edgevid.core.nouns import KINDS, NS_PER_S, Kind, Observation, TimeSpan
from edgevid.memory.memory import Memory
from edgevid.models.store import ModelStore
from edgevid.stream.answer.answerer import Answerer
from edgevid.stream.answer.normal import asked, stems
from edgevid.stream.answer.quantity import Quantity, quantity
from edgevid.stream.answer.vocabulary import Vocabulary

VOCABULARY = Vocabulary(
    objects=["person", "car", "dog", "cup", "chair", "bicycle"],
    classes=["golden retriever", "castle"],
    sounds=["Speech", "Rain", "Laughter"],
)


@pytest.mark.parametrize(
    ("question", "amount"),
    [
        ("are there two dogs", Quantity(2)),
        ("are there more than two dogs", Quantity(3, "least")),
        ("is there more than one car at a time", Quantity(2, "least")),
        ("are there fewer than three cups", Quantity(2, "most")),
        ("are there at least 3 red cups", Quantity(3, "least")),
        ("is there only one cup", Quantity(1, "exactly")),
        ("is there a second person", Quantity(2, "least")),
        ("is he alone", Quantity(1, "exactly")),
        ("when does the third car arrive", Quantity(ordinal=3)),
        ("how long does the last dog stay", Quantity(ordinal=-1)),
        ("and that last one, when was the car seen", Quantity()),
        ("in which second is the dog seen", Quantity()),
    ],
)
def test_quantities(question: str, amount: Quantity) -> None:
    words = stems(question)
    assert quantity(asked(question), words, VOCABULARY.find(words)) == amount


def yard(memory: Memory) -> int:
    """60 s: a person 5-10 and 20-30, two of them 40-45; a dog 20-22; faint things beside."""
    video = memory.add_video("yard.mp4", width=640, height=360, has_audio=True, channels=KINDS)
    rows: list[tuple[Kind, str, float, float, int, float]] = [
        ("object", "person", 5, 10, 1, 0.8),
        ("object", "person", 20, 30, 1, 0.8),
        ("object", "person", 40, 45, 2, 0.8),
        ("object", "dog", 20, 22, 1, 0.6),
        ("faint", "dog", 22, 26, 1, 0.22),
        ("faint", "dog", 50, 52, 1, 0.22),
        ("faint", "chair", 0, 10, 1, 0.3),
        ("faint", "car", 0, 0.5, 1, 0.35),
        ("faint", "cup", 0, 10, 1, 0.3),
        ("sound", "Rain", 0, 10, 1, 0.9),
        ("sound", "Laughter", 40, 42, 1, 0.9),
    ]
    for kind, label, start, end, count, score in rows:
        span = TimeSpan(int(start * NS_PER_S), int(end * NS_PER_S))
        memory.add(video, Observation(kind, label, span, score, count))
    memory.set_watched(video, 60 * NS_PER_S)
    return video


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How many people are there?", r"^2 people at most at one time, from 0:40 to 0:45"),
        ("How many people come in, in total?", r"^4 people, counted anew at each coming"),
        ("Is there more than one person at a time?", r"^Yes: 2 people at one time, from 0:40"),
        ("Are there three people?", r"^No: at most 2 people at one time"),
        ("Is there exactly one person at some time?", r"^No: at most 2|^Yes: 1 person"),
        ("Is she alone?", r"^No: at most 2 people at one time"),
        ("Is there a second dog?", r"^No: at most 1 dog at one time"),
        ("Are there two cups?", r"^No, a cup was not detected"),
        ("When does the second person arrive?", r"appears for the second time at 0:20"),
        ("When does the third person leave?", r"is gone for the third time at 0:45"),
        ("When does the fifth person arrive?", r"^No: .* 3 times"),
        ("How long does the second visitor stay?", r"for 10 s: from 0:20 to 0:30"),
        ("When does he leave?", r"gone at 0:10, 0:30 and 0:45"),
        ("Until when is the dog around?", r"gone at 0:26"),
        ("Is there a chair?", r"^Yes, a chair \(seen only faintly\) from 0:00 to 0:10"),
        ("Is there a car?", r"^No, a car was not detected"),  # one faint look is too little
        ("Is there a cup?", r"^No, a cup was not detected"),  # small things are not believed when faint
        ("How long is the dog visible?", r"for 6\.0 s: from 0:20 to 0:26"),  # faint after sure, not alone
        ("Is it raining?", r"^Yes.* from 0:00 to 0:10"),
        ("Is anybody laughing?", r"^Yes.* from 0:40 to 0:42"),
    ],
)
def test_answers(memory: Memory, question: str, expected: str) -> None:
    answer = Answerer(memory, store=ModelStore(), vocabulary=VOCABULARY).answer(yard(memory), question)
    assert re.search(expected, answer.text), answer.text
