from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevid.bench.hearing import FrameScore, frame_score, read_rttm, spoken_words, word_errors
from edgevid.core.nouns import NS_PER_S, TimeSpan

_WORDS = st.lists(st.sampled_from("abc"), max_size=6)


def test_words_are_compared_as_spoken() -> None:
    assert (
        spoken_words("Mr. Smith's 3 dogs -- cold-hearted?")
        == "mister smith's three dogs cold hearted".split()
    )


@pytest.mark.parametrize(
    ("reference", "heard", "errors"),
    [("", "", 0), ("a b", "", 2), ("", "a", 1), ("a b c", "a x c", 1), ("a b c", "b c a", 2)],
)
def test_word_errors_counts_edits(reference: str, heard: str, errors: int) -> None:
    assert word_errors(reference.split(), heard.split()) == errors


@given(_WORDS, _WORDS, _WORDS)
def test_word_errors_is_a_distance(a: list[str], b: list[str], c: list[str]) -> None:
    assert word_errors(a, b) == word_errors(b, a)
    assert (word_errors(a, b) == 0) == (a == b)
    assert word_errors(a, c) <= word_errors(a, b) + word_errors(b, c)


def test_frame_score_counts_overlap_once() -> None:
    reference = [_span(0, 1), _span(0.5, 2)]  # two speakers at once are one voice
    score = frame_score(reference, [_span(1.5, 3)], duration_s=4)
    assert score == FrameScore(hits=50, false_alarms=100, misses=150)
    assert (score.precision, score.recall) == (pytest.approx(1 / 3), 0.25)
    assert (score + score).f1 == score.f1


def test_rttm_turns_of_one_recording() -> None:
    text = "SPEAKER a 1 1.5 0.5 <NA> <NA> x <NA> <NA>\nSPEAKER b 1 0 9 <NA> <NA> y <NA> <NA>\n"
    assert read_rttm(text, recording="a") == [_span(1.5, 2.0)]


def _span(start_s: float, end_s: float) -> TimeSpan:
    return TimeSpan(round(start_s * NS_PER_S), round(end_s * NS_PER_S))
