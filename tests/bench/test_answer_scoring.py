"""The scorer against answers that must pass and answers that must not."""

from __future__ import annotations

from typing import Any

import pytest

from edgevid.bench.answer_scoring import KINDS, invented_times, score
from edgevid.bench.answer_text import clauses, sentences

YES: dict[str, Any] = {"kind": "yes"}
NO: dict[str, Any] = {"kind": "no"}
CANNOT: dict[str, Any] = {"kind": "cannot"}


@pytest.mark.parametrize(
    "text",
    [
        "Yes.",
        "Yes, a bird was seen at 0:03.",
        "yes - bird, 0:03–0:05 (0.81)",
        "Sí, se ve un pájaro.",
        'Yes, at 0:03: "ask not what your country can do".',
        "Yes, a bird, but no cat.",
    ],
)
def test_yes(text: str) -> None:
    assert score(YES, text)
    assert not score(NO, text)
    assert not score(CANNOT, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "Bird.",
        "Maybe yes, maybe no.",
        "It depends on what you mean, there are many things in this video, and one could say yes to it.",
        "Yes, possibly, or perhaps it might be something else.",
        "Yes, no bird was seen.",
        "No bird was detected.",
        "I cannot tell.",
    ],
)
def test_not_a_yes(text: str) -> None:
    assert not score(YES, text)


def test_a_finding_about_the_thing_asked_is_a_yes() -> None:
    about = {"kind": "yes", "about": ["bird", "cockatoo"]}
    assert score(about, "A cockatoo was seen at 0:03.")
    assert score(about, "Birds: seen from 0:03 to 0:05.")
    assert not score(about, "A person was seen at 0:03.")
    assert not score(about, "No bird was seen.")


@pytest.mark.parametrize(
    "text",
    [
        "No.",
        "No dog was detected.",
        "Not seen.",
        "I did not see a dog. The nearest match is a cat at 0:03.",
        "Nothing was heard in this video.",
        "Nobody says that.",
        "There was no speech.",
        "Dog: not detected in 0:00-0:10.",
        "No se ha visto ningún perro.",
    ],
)
def test_no(text: str) -> None:
    assert score(NO, text)
    assert score({"kind": "no_or_cannot"}, text)
    assert not score(YES, text)
    assert not score(CANNOT, text)


@pytest.mark.parametrize(
    "text",
    [
        "I cannot tell how somebody feels.",
        "Colours can't be detected.",
        "That is not among the 80 + 1000 + 521 classes I know.",
        "I'm unable to answer that.",
        "The future is outside what I can see.",
        "I do not understand the question.",
        "There is no detector for emotions.",
    ],
)
def test_cannot(text: str) -> None:
    assert score(CANNOT, text)
    assert score({"kind": "no_or_cannot"}, text)
    assert not score(NO, text)
    assert not score(YES, text)


def test_cannot_that_answers_all_the_same_fails() -> None:
    colour = {"kind": "cannot", "none_of": ["red", "blue"]}
    assert score(colour, "I cannot tell colours.")
    assert not score(colour, "I cannot tell for sure, the car is red.")
    assert not score({"kind": "no_or_cannot"}, "Person was seen at 0:03.")


def test_labels() -> None:
    road = {"kind": "labels", "all_of": [["bicycle", "bike"], ["car", "taxi"]], "none_of": ["dog"]}
    assert score(road, "On the road: 2 bikes (0:04–0:05), cars (0:01).")
    assert score(road, "Cars and a bicycle, but no dog.")
    assert score(road, "Cars and a bicycle, no dogs.")
    assert not score(road, "A bicycle.")
    assert not score(road, "Cars were seen. No bicycle was detected.")
    assert not score(road, "carpet, motorbikes")
    assert not score(road, "bicycle, car, dog")
    assert score({"kind": "labels", "all_of": [["person", "man"]]}, "People at 0:03")
    assert score({"kind": "labels", "all_of": [["potted plant"]]}, "potted plants: 2")
    four = {"kind": "labels", "all_of": [["four", "4"]]}
    assert score(four, 'He says "lay blue at X4 now" at 0:01.')
    assert not score(four, "He says something at 0:04 and 4.0 s.")


def test_labels_any_of_and_limits() -> None:
    some = {"kind": "labels", "any_of": [["bus"], ["tree"], ["water"]], "min_hits": 2}
    assert score(some, "Buses near the water.")
    assert not score(some, "A bus.")
    everything = ", ".join(["bus", "tree", *(f"thing{chr(97 + i)}" for i in range(20))])
    assert not score(some, everything)
    assert not score({**some, "max_labels": 2}, "bus, tree, dog (0:03, 0:05)")
    assert score({**some, "max_labels": 2}, "bus 0:01, 0:02, 0:03; tree 0.93")


def test_time() -> None:
    car = {"kind": "time", "spans": [[4.4, 8.6]], "tolerance_s": 1.0}
    assert score(car, "A car is seen at 0:05–0:09.")
    assert score(car, "At 5.2 s.")
    assert score(car, "between 4 and 8 s")
    assert not score(car, "At 0:12.")
    assert not score(car, "At 12 s and for 5 s.")
    assert not score(car, "Somewhere in 0:00–0:30.")
    assert not score(car, "0:01, 0:02, 0:03, 0:05, 0:10, 0:11")
    assert not score(car, "No car was seen, last checked at 0:05.")
    assert not score(car, "car")


def test_time_first_last_all() -> None:
    spans = [[4.4, 8.6], [14.5, 19.0]]
    assert score({"kind": "time", "spans": [[4.4, 5.0]], "which": "first"}, "First at 0:05, then 0:15.")
    assert not score({"kind": "time", "spans": [[4.4, 5.0]], "which": "first"}, "At 0:15.")
    assert score({"kind": "time", "spans": [[18.0, 19.0]], "which": "last"}, "Last seen 0:15–0:19.")
    assert not score({"kind": "time", "spans": [[18.0, 19.0]], "which": "last"}, "Last seen at 0:05.")
    assert score({"kind": "time", "spans": spans, "which": "all"}, "0:05–0:08 and 0:15–0:18")
    assert not score({"kind": "time", "spans": spans, "which": "all"}, "0:05–0:08")
    assert score({"kind": "time", "spans": [[3723.0, 3723.0]]}, "at 1:02:03")


def test_count() -> None:
    four = {"kind": "count", "value": 4}
    assert score(four, "4 people at 0:01.")
    assert score(four, "Four.")
    assert score(four, "At 0:02 there are four people (0.93).")
    assert not score(four, "5 people; 4 chairs.")
    assert score({**four, "tolerance": 1}, "5 people")
    assert score({"kind": "count", "value": 0}, "No dog was seen.")
    assert not score({"kind": "count", "value": 0}, "I cannot tell.")
    assert score({"kind": "count", "value": 1}, "There is a person.")
    assert not score({"kind": "count", "value": 1}, "No one was seen.")


def test_duration() -> None:
    ten = {"kind": "duration", "seconds": 10.0, "tolerance_s": 1.0}
    for text in (
        "10 s",
        "The video is 0:10 long.",
        "Duration: 10.0 s",
        "for 9.6 seconds (0:20–0:30)",
        "0:05–0:15",
    ):
        assert score(ten, text), text
    assert not score(ten, "0:20")
    assert not score(ten, "ten")
    assert score({"kind": "duration", "seconds": 139.4, "tolerance_s": 2}, "2 min 19 s")
    assert score({"kind": "duration", "seconds": 139.4, "tolerance_s": 2}, "2:19")


def test_words() -> None:
    jfk = {"kind": "words", "text": "ask not what your country can do for you", "min_recall": 0.7}
    assert score(jfk, 'At 0:03: "Ask not what your country can do for you."')
    assert score(jfk, "ask not what country can do for")
    assert not score(jfk, "for you do can country your what not ask")
    assert not score(jfk, "ask not")
    assert not score(jfk, "ask not what your country can do for you " + "and so on " * 20)
    assert score({"kind": "words", "text": "bin blue at f two now", "min_recall": 1}, "bin blue at F 2 now")


def test_other_languages() -> None:
    refuse = {"kind": "refuse_language"}
    assert score(refuse, "I only understand questions in English.")
    assert score(refuse, "Please ask in English.")
    assert not score(refuse, "A bird was seen.")
    either = {"kind": "either", "of": [refuse, {"kind": "count", "value": 3}]}
    assert score(either, "Tres botellas.")
    assert score(either, "Solo respondo en inglés.")
    assert not score(either, "Dos botellas.")
    assert score({"kind": "both", "of": [YES, {"kind": "count", "value": 3}]}, "Yes, 3.")
    assert not score({"kind": "both", "of": [YES, {"kind": "count", "value": 3}]}, "Yes, 2.")


def test_citations_and_verdict() -> None:
    cited = {"kind": "yes", "cites": [[15.0, 20.0]]}
    assert score(cited, "Yes.", [(14.0, 16.0)])
    assert not score(cited, "Yes.", [(1.0, 2.0)])
    assert not score(cited, "Yes.", [])
    assert score(YES, "Yes.", verdict="yes")
    assert not score(YES, "Yes.", verdict="no")
    assert not score(YES, "No.", verdict="yes")
    assert not score(NO, "Not detected.", verdict="cannot")
    with pytest.raises(ValueError, match="unknown kind"):
        score({"kind": "essay"}, "Yes.")
    assert "either" in KINDS


def test_a_leading_zero_denies_but_a_time_or_range_does_not() -> None:
    assert score(NO, "0.")
    assert score(NO, "0 dogs were seen.")
    for text in ("0:04 a dog", "0.5 s in, a dog", "0-3 dogs", "10 dogs"):
        assert not score(NO, text), text


def test_invented_times() -> None:
    cited = [(4.4, 8.6), (15.0, 19.0)]
    assert invented_times("Cars at 0:04–0:09 and 0:15–0:19, in a video of 30.2 s.", cited, 30.16) == []
    assert invented_times("A car at 0:12.", cited, 30.16) == [12.0]
    assert invented_times("A car at 0:04–0:12.", cited, 30.16) == [12.0]
    assert invented_times("Visible for 8.2 s.", cited, 30.16) == []
    assert invented_times("Visible for 12 s.", cited, 30.16) == [12.0]
    assert invented_times("Two cars.", [], 30.16) == []
    assert invented_times("At 1:02:03 and 7.5 s.", [(3723.0, 3724.0)], 4000.0) == [7.5]


def test_what_is_quoted_ends_no_sentence_and_denies_nothing() -> None:
    answer = (
        '"It is far. We have never been to Paris, not once. I like it; but why?" (from 0:02 to 0:15) "Go."'
    )
    assert sentences(answer) == clauses(answer) == [answer.lower()]
    assert score({"kind": "labels", "all_of": [["paris"]]}, answer)
    assert sentences('He says "no". Then "yes."') == ['he says "no"', 'then "yes."']
    assert sentences('An odd " stays. Here') == ['an odd " stays', "here"]
