"""Questions that presuppose something (which of a kind, A or B, what is written), on timelines made here."""

from __future__ import annotations

import re

import pytest

from edgevid.core.nouns import KINDS, NS_PER_S, Kind, Observation, TimeSpan
from edgevid.memory.memory import Memory
from edgevid.models.store import ModelStore
from edgevid.perception.classes import PACK as CLASS_PACK
from edgevid.perception.classes import class_names
from edgevid.perception.objects import COCO_LABELS
from edgevid.perception.objects import PACK as OBJECT_PACK
from edgevid.perception.text import PACK as TEXT_PACK
from edgevid.stream.answer import kinds
from edgevid.stream.answer.answerer import Answerer
from edgevid.stream.answer.intent import parse
from edgevid.stream.answer.vocabulary import Vocabulary
from edgevid.stream.answer.writing import asks_for_writing

STORE = ModelStore()
VOCABULARY = Vocabulary(objects=COCO_LABELS, classes=class_names(STORE), sounds=["Speech", "Music", "Rain"])
Seen = tuple[Kind, str, str, float]

FIELD: list[Seen] = [
    ("faint", CLASS_PACK, "tractor", 0.28),
    ("faint", CLASS_PACK, "plow, plough", 0.26),
    ("faint", CLASS_PACK, "valley, vale", 0.12),
    ("faint", OBJECT_PACK, "train", 0.24),
]
RINK: list[Seen] = [
    ("object", OBJECT_PACK, "person", 0.8),
    ("class", CLASS_PACK, "puck, hockey puck", 0.6),
    ("faint", CLASS_PACK, "jersey, T-shirt, tee shirt", 0.2),
    ("faint", CLASS_PACK, "football helmet", 0.1),
    ("faint", CLASS_PACK, "crash helmet", 0.15),
    ("faint", OBJECT_PACK, "baseball bat", 0.31),
    ("text", TEXT_PACK, "VELU", 0.9),
    ("text", TEXT_PACK, "PALVELU", 0.9),
    ("text", TEXT_PACK, "TAXI", 0.9),
    ("faint", TEXT_PACK, "7", 0.9),
]


def ask(memory: Memory, seen: list[Seen], question: str) -> str:
    video = memory.add_video("x", width=100, height=100, has_audio=True, channels=KINDS)
    for kind, model_id, label, score in seen:
        span = TimeSpan(0, NS_PER_S // 2)
        memory.add(video, Observation(kind, label, span, score, model_id=model_id))
    memory.set_watched(video, 5 * NS_PER_S)
    return Answerer(memory, store=STORE, vocabulary=VOCABULARY).answer(video, question).text


@pytest.mark.parametrize(
    ("seen", "question", "expected"),
    [
        (FIELD, "Which vehicle is on the field?", r"^A tractor or a train \(seen only faintly\), "),
        (FIELD, "What farm machine is that?", r"^A tractor or a plow \(seen only faintly\), "),
        (FIELD, "Is it a tractor or a tank?", r"^A tractor \(only faintly\), from 0:00 to 0:01\.$"),
        (FIELD, "Is there a tractor or a tank?", r"^Yes, a tractor \(seen only faintly\)"),
        (FIELD, "Is there a harvester or a tank?", r"^No: a harvester and a tank were not detected"),
        (FIELD, "Is there a vehicle?", r"^Yes, a vehicle \(faintly seen, as tractor\)"),
        (FIELD, "Tractor or spaceship?", r"^A tractor \(only faintly\)"),
        (FIELD, "Is it a castle or a spaceship?", r"^No, a castle was not detected"),
        (FIELD, "Which instrument is played?", r"^No, an instrument was not detected"),
        (FIELD, "Is there a train?", r"^No, a train was not detected"),
        (FIELD, "Which animal is it?", r"^No, an animal was not detected"),
        (FIELD, "What is there?", r"^A tractor and a plow \(seen only faintly\)"),
        (RINK, "Which kind of person is it?", r"^Person"),
        (RINK, "Which sport is it?", r"^Puck|ice hockey"),
        (RINK, "Is it football or ice hockey?", r"^Ice hockey \(detected as puck\)"),
        (
            RINK,
            "What is he wearing on his head?",
            r"^A crash helmet or a football helmet \(seen only faintly\)",
        ),
        (RINK, "What is she wearing?", r"^A jersey \(seen only faintly\)"),
        (RINK, "What is the player holding in his hands?", r"^A puck, "),
        (RINK[:1] + RINK[5:6], "What is the man carrying?", r"^A baseball bat \(seen only faintly\)"),
        (RINK, "What is there besides people?", r"^Puck"),
        (RINK, "What does the jersey say?", r'^"PALVELU" \(from 0:00 to 0:01\) "TAXI"'),
        (RINK, "Which number is on his jersey?", r'^"7"'),
        (RINK, "Did a taxi drive past?", r'^In words: "TAXI" is on screen'),
    ],
)
def test_presupposed(memory: Memory, seen: list[Seen], question: str, expected: str) -> None:
    text = ask(memory, seen, question)
    assert re.search(expected, text), text


@pytest.mark.parametrize(
    "question",
    [
        "what does the shirt say",
        "what does the sign behind the man say",
        "what do the big boards read",
        "what does the counter in the top left corner show",
        "which brand is printed on the bottle",
        "what brand name is on it",
        "what number is on the back of the bus",
        "which company name is shown",
        "what watermark is in the corner",
        "which digits are displayed",
    ],
)
def test_things_are_read(question: str) -> None:
    assert asks_for_writing(question)


@pytest.mark.parametrize(
    "question",
    [
        "what does the man in the shirt say",
        "what does the woman on the bus say",
        "what does she say about the sign",
        "what does the video show",
        "at what time is the dog visible",
        "what number of people is visible",
        "which brand of car is that",
        "what band is playing",
    ],
)
def test_people_are_heard_and_the_rest_is_seen(question: str) -> None:
    assert not asks_for_writing(question)


@pytest.mark.parametrize(
    ("question", "chosen"),
    [
        ("Is it a dog, a horse or a bird?", ["dog", "horse", "bird"]),
        ("Which is shown: a cat or a dog?", ["cat", "dog"]),
        ("Is the animal rather a sheep or a cow?", ["sheep", "cow"]),
        ("Is there a cat or a dog?", []),
        ("Is the cat or the dog visible?", []),
        ("Can you see a cat or a dog?", []),
        ("How many cats or dogs are there?", []),
    ],
)
def test_choices(question: str, chosen: list[str]) -> None:
    query = parse(question, VOCABULARY)
    assert [term.phrase for term in query.subject if query.intent == "either"] == chosen


def test_every_member_of_a_kind_is_a_label() -> None:
    classes = {name.split(",")[0].lower() for name in class_names(STORE)}
    signs = [of for meanings in kinds.SIGNS.values() for of in meanings.values()]
    for members in (*kinds.CLASS_KINDS.values(), kinds.PORTABLE_CLASSES, *(c.split("|") for _, c in signs)):
        assert set(members) <= classes | {""}
    for members in (*kinds.OBJECT_KINDS.values(), kinds.PORTABLE, *(o.split("|") for o, _ in signs)):
        assert set(members) <= {*COCO_LABELS, ""}


@pytest.mark.parametrize(
    ("lines", "seconds", "question", "expected"),
    [
        ([("faint", "VALTEK", 0.75)], 1, "What does the sign say?", r'^Faintly I read "VALTEK"'),
        ([("faint", "VALTEK", 0.75)], 5, "What does the sign say?", r"^No text was detected"),
        (
            [("text", "NEWS", 0.9), ("faint", "VALTEK", 0.75)],
            5,
            'Is the word "MALTEK" visible?',
            r'^Faintly I read "VALTEK"',
        ),
        ([("text", "NEWS", 0.9), ("faint", "VALTEK", 0.75)], 5, 'Is "NEWS" on screen?', r'^Yes: "NEWS"'),
        ([("text", "NEWS", 0.9), ("faint", "VALTEK", 0.75)], 5, 'Is the word "EXIT" visible?', r"^No, "),
    ],
)
def test_weakly_read_text(
    memory: Memory, lines: list[tuple[Kind, str, float]], seconds: int, question: str, expected: str
) -> None:
    video = memory.add_video("x", width=100, height=100, has_audio=False, channels=KINDS)
    for kind, label, score in lines:
        memory.add(video, Observation(kind, label, TimeSpan(0, NS_PER_S), score, model_id=TEXT_PACK))
    memory.set_watched(video, seconds * NS_PER_S)
    text = Answerer(memory, store=STORE, vocabulary=VOCABULARY).answer(video, question).text
    assert re.search(expected, text), text


def test_about_cuts_times_and_words_on_screen(memory: Memory) -> None:
    video = memory.add_video("x", width=100, height=100, has_audio=True, channels=KINDS)
    seen: list[tuple[Kind, str, int, int, int]] = [
        *(("cut", "cut", t, t, 1) for t in (5, 12, 16)),
        *(("object", "person", 0, 8, 1), ("object", "person", 8, 12, 2)),
        *(("object", "car", 5, 9, 1), ("object", "car", 15, 18, 1), ("object", "dog", 0, 20, 1)),
        *(("sound", "Music", 9, 14, 1), ("text", "BREAKING NEWS", 3, 7, 1), ("text", "THE END", 18, 20, 1)),
    ]
    for kind, label, start, end, count in seen:
        span = TimeSpan(start * NS_PER_S, end * NS_PER_S)
        memory.add(video, Observation(kind, label, span, 0.7, count))
    memory.set_watched(video, 20 * NS_PER_S)
    answerer = Answerer(memory, store=STORE, vocabulary=VOCABULARY)
    for question, expected in (
        ("Where is the first cut?", r"^The first cut is at 0:05"),
        ("When does the camera cut for the second time?", r"^The second cut is at 0:12"),
        ("At which second does the picture change?", r"cut at 0:05, 0:12 and 0:16"),
        ("Is this one continuous take?", r"^No: 4 scenes"),
        ("Is the footage edited?", r"^Yes: 3 cuts"),
        ("How long is the first shot?", r"^The first scene lasts 5\.0 s: from 0:00 to 0:05"),
        ("How long is the longest shot?", r"^The longest scene lasts 7\.0 s: from 0:05 to 0:12"),
        ("How long is the sixth shot?", r"^No: there are 4 scenes"),
        ("When does the car come back?", r"for the second time at 0:15"),
        ("Is the dog there the whole time?", r"^Yes: a dog is seen from 0:00 to 0:20"),
        ("Is the person visible throughout?", r"^No: a person is seen from 0:00 to 0:12"),
        ("For how long are two people visible?", r"^2 people for 4\.0 s: from 0:08 to 0:12"),
        ("How many seconds is the dog visible?", r"for 20 s"),
        ("Are there several people at once?", r"^Yes: 2 people"),
        ("How many different objects are there?", r"^3 kinds: "),
        ("When does THE END appear?", r'^"THE END" from 0:18 to 0:20'),
        ("How long is BREAKING NEWS on screen?", r"^Text is on screen for 4\.0 s"),
        ("How many texts are there?", r"^2 texts: "),
        ("Is there any background music?", r"^Yes: Music is heard"),
    ):
        text = answerer.answer(video, question).text
        assert re.search(expected, text), (question, text)
