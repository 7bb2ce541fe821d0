"""What cannot be told is said to be so, what is there beside it is told, on timelines made here."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from edgevid.core.nouns import KINDS, NS_PER_S, Kind, Observation, TimeSpan
from edgevid.memory.memory import Memory
from edgevid.models.store import ModelStore
from edgevid.perception.speech import UNRECOGNISED
from edgevid.perception.text import PACK as TEXT_PACK
from edgevid.stream.answer.answerer import Answerer
from edgevid.stream.answer.vocabulary import Vocabulary

VOCABULARY = Vocabulary(
    objects=["person", "car", "dog", "cat", "bird", "bottle", "chair", "couch", "bicycle"],
    classes=["golden retriever", "Egyptian cat", "castle"],
    sounds=["Speech", "Rain", "Music", "Silence", "Writing"],
)
Rows = Sequence[tuple[Kind, str, float, float]]


def add(memory: Memory, rows: Rows, *, picture: bool = True, seconds: int = 60) -> int:
    side = 100 if picture else 0
    video = memory.add_video("x", width=side, height=side, has_audio=True, channels=KINDS)
    for kind, label, start, end in rows:
        span = TimeSpan(int(start * NS_PER_S), int(end * NS_PER_S))
        pack = TEXT_PACK if label.isupper() else "objects"
        memory.add(video, Observation(kind, label, span, 0.7, model_id=pack))
    memory.set_watched(video, seconds * NS_PER_S)
    return video


def ask(memory: Memory, video: int, question: str) -> str:
    return Answerer(memory, store=ModelStore(), vocabulary=VOCABULARY).answer(video, question).text


STREET: Rows = [
    ("object", "car", 0, 60),
    ("object", "person", 10, 20),
    ("object", "bicycle", 30, 40),
    ("class", "Egyptian cat", 30, 35),
    ("object", "cat", 30, 35),
    ("faint", "couch", 10, 20),
    ("faint", "MISVITS", 10, 11),
    ("faint", "MISFITS", 12, 13),
    ("faint", "QWERTY", 40, 41),
    ("cut", "cut", 20, 20),
    ("cut", "cut", 40, 40),
    ("sound", "Music", 10, 30),
]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Is there a red car?", r"^A car is seen from 0:00 to 1:00\. I cannot tell whether it is red"),
        (
            "Is there a woman?",
            r"^A woman \(detected as person\) is seen .*I cannot tell whether it is a woman",
        ),
        ("Is somebody dancing?", r"^Somebody .* I cannot tell actions such as 'dancing'"),
        ("Does anyone juggle?", r"I cannot tell actions such as 'juggle'"),
        ("Is the car parked?", r"^I cannot tell: I do not detect whether something is parked"),
        ("Is she standing or sitting?", r"^I cannot tell"),
        ("Does he turn around?", r"^I cannot"),
        ("What is he doing?", r"^I cannot tell actions; what I see: Car"),
        ("What is her job?", r"^I cannot detect 'job'.*; what I see: Car"),
        ("What is on the road?", r"^Car .*\. Which of these are on the road I cannot tell\.$"),
        ("What is he sitting on?", r"^A couch \(seen only faintly\), from 0:10 to 0:20"),
        ("What does she ride?", r"^A bicycle, from 0:30 to 0:40"),
        ("What is he eating?", r"^I cannot tell: nothing to eat was detected"),
        ("Which breed of cat is it?", r"^Egyptian cat \(from 0:30 to 0:35\)\.$"),
        ("What is written on his hoodie?", r"^Faintly I read \"MIS[VF]ITS\", from 0:10 to 0:13"),
        ("What does it say on the shirt?", r"^Faintly I read"),
        ("Is there any writing?", r"^Faintly I read"),
        ("Do you see a dog, a bird or a bottle?", r"^No: a dog, a bird and a bottle were not detected"),
        ("Does the person leave?", r"^Yes: a person is gone at 0:20"),
        ("Does the car disappear?", r"^No: a car is seen to the end"),
        ("Does a person come in?", r"^Yes: a person appears at 0:10"),
        ("What is there in the third scene?", r"^Car \(from 0:00 to 1:00\)\.$"),
        ("When does the second scene begin?", r"^The second scene begins at 0:20"),
        ("Is the video longer than a minute?", r"^No: the video is 1 min 0 s long"),
        ("Is it shorter than 90 seconds?", r"^Yes: the video"),
        (
            "Is it silent at some point?",
            r"^Yes: Nothing was recognised from 0:00 to 0:10 and from 0:30 to 1:00",
        ),
        ("Which object is seen the longest?", r"^Car \(from 0:00 to 1:00\)\.$"),
        ("Until when is he there?", r"gone at 0:20"),
    ],
)
def test_about_a_picture(memory: Memory, question: str, expected: str) -> None:
    text = ask(memory, add(memory, STREET), question)
    assert re.search(expected, text), text


SPEECH: Rows = [
    ("speech", "As not.", 3, 4),
    ("speech", "We walk to Rome. We have never been there, it is far.", 5, 20),
    ("speech", "Please mind the gap now.", 40, 42),
    ("sound", "Rain", 50, 58),
]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What can you see in the picture?", r"^No: there is no picture"),
        ("What is she wearing?", r"^No: there is no picture"),
        ("Is there a chair?", r"^No: there is no picture"),
        ("Where do we walk?", r"We walk to Rome"),
        ("When does it begin?", r"from 0:03|first at 0:03"),
        ("Is it raining?", r"^Yes: Rain is heard from 0:50 to 0:58"),
        ("When is Rome mentioned?", r'^"We walk to Rome\." at about 0:0'),  # the sentence, not the utterance
        ('What comes after "ask not"?', r"We walk to Rome"),  # heard as "as not"
        ("Does he ask to mind the gap?", r"^Yes: .*mind the gap"),
        ("Does it end with the word gap?", r'^No: the last word is "now"'),
        ("Do they mention Rome before the gap?", r"^Yes"),
        ("Does it end with the word now?", r'^Yes: the last word is "now"'),
        ("Does she say please?", r"^Yes: "),
        ("Does she say the word again?", r'^No, "again" was not said'),
        ("How many words are spoken?", r"^19 words"),
        ("What is said in one word?", r"As not"),
        ("Which book is this from?", r"^I cannot tell"),
        ("How many voices are there?", r"^I cannot tell"),
        ("How often is the word gap used?", r'^"gap" is said 1 time'),
    ],
)
def test_about_sound_alone(memory: Memory, question: str, expected: str) -> None:
    text = ask(memory, add(memory, SPEECH, picture=False), question)
    assert re.search(expected, text), text


def test_in_a_clip_of_one_look_a_faint_thing_need_not_be_seen_twice(memory: Memory) -> None:
    short = add(memory, [("faint", "chair", 0, 0.5)], seconds=0)
    memory.set_watched(short, NS_PER_S // 2)
    assert ask(memory, short, "Is there a chair?").startswith("Yes, a chair (seen only faintly)")
    longer = add(memory, [("faint", "chair", 0, 0.5)], seconds=5)
    assert ask(memory, longer, "Is there a chair?").startswith("No, a chair was not detected")


def test_when_foreign_words_are_said_can_be_told(memory: Memory) -> None:
    video = add(memory, [("speech", UNRECOGNISED, 3, 9)])
    assert "could not make out" in ask(memory, video, "What does she say?")
    assert "until 0:09" in ask(memory, video, "When does she stop talking?")
    assert "for 6.0 s" in ask(memory, video, "How long does she talk?")
    assert ask(memory, video, "Is anyone speaking?").startswith("Yes.")


def test_text_read_once_only_is_not_told(memory: Memory) -> None:
    video = add(memory, [("faint", "QWERTY", 0, 1)])
    assert ask(memory, video, "What is written there?") == "No text was detected on screen."
