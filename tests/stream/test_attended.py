"""Spans of time from attention, by hand and of a model that looks things up in a rendered video."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edgevid.core.errors import UsageError
from edgevid.core.kv_config import RetrievalConfig
from edgevid.core.nouns import NS_PER_S
from edgevid.models.llm import Attended
from edgevid.models.store import ModelStore
from edgevid.stream.attended import MOST_SPANS, TokenTimes
from edgevid.stream.session import StreamSession


def attended(peaks: list[float], *, first: int = 0) -> Attended:
    n = len(peaks)
    return Attended(
        np.arange(first, first + n), np.full(n, 1 / max(n, 1), np.float32), np.array(peaks, dtype=np.float32)
    )


def times(entries: int, tokens: int = 2, begin: int = 3) -> TokenTimes:
    made = TokenTimes(period_ns=NS_PER_S)
    for i in range(entries):
        made.add(begin + i * tokens, begin + (i + 1) * tokens, i * NS_PER_S)
    return made


def test_neighbours_become_one_span_and_the_highest_comes_first() -> None:
    #              instructions     0        1        2       3       4     the question
    peaks = [1.0, 1.0, 1.0, 0.1, 0.5, 0.6, 0.1, 0.2, 0.0, 0.9, 0.0, 0.1, 0.1, 1.0, 1.0]
    found = times(5).spans(attended(peaks))
    assert [(a.span.start_s, a.span.end_s) for a in found] == [(3.0, 4.0), (0.0, 2.0)]
    assert [a.peak for a in found] == pytest.approx([0.9, 0.6])
    assert [a.mass for a in found] == pytest.approx([2 / 15, 4 / 15])


def test_the_newest_entry_lasts_a_period() -> None:
    (span,) = times(2).spans(attended([0, 0, 0, 0, 0, 0, 1.0]))
    assert (span.span.start_s, span.span.end_s) == (1.0, 2.0)


def test_there_are_few_spans() -> None:
    found = times(40).spans(attended([0, 0, 0, *([0.9, 0.9, 0.0, 0.0] * 20)]))
    assert len(found) == MOST_SPANS


def test_nothing_known_and_nothing_attended_give_no_span() -> None:
    assert TokenTimes().spans(attended([1.0])) == ()
    assert times(3).spans(attended([1.0, 1.0, 1.0])) == ()
    assert times(3).spans(attended([0.0] * 9)) == ()
    assert times(3).spans(attended([])) == ()


def test_what_the_window_left_is_forgotten() -> None:
    kept = times(1000)
    for before in range(0, 2003, 7):
        kept.forget(before)
    assert len(kept._times) < 20
    (span,) = kept.spans(attended([0.9], first=2002))
    assert span.span.start_s == 999


@pytest.mark.parametrize("retrieval", [None, RetrievalConfig()], ids=["dense", "ReSV"])
def test_a_needle_is_among_the_three_highest_seconds(retrieval: RetrievalConfig | None) -> None:
    """40 questions of the families that the model of E3 has learnt, at the end of 200 rendered seconds: the
    asked second, or the one next to it, is among the three of highest peak for 40 of them with everything
    attended, for 37 with retrieval."""
    from edgevid.bench.streaming_needles import ROWS, Watcher

    watcher, rng, found = Watcher(threads=2), np.random.default_rng(5), []
    for _ in range(2):
        film = watcher.film(rng, seconds=200, questions=25)
        with closing(watcher.watch(film, retrieval=retrieval)) as sequence:
            for question in film.questions:
                if question.family == "after":
                    continue
                with closing(sequence.fork(attended=True)) as fork:
                    fork.append_tokens(watcher.model.tokenize(question.prompt))
                    seen = fork.attended()
                assert seen.shares.sum() == pytest.approx(1, abs=1e-3)
                assert len(seen.positions) == fork_length(film.rows, question.prompt, watcher)
                peaks = seen.peaks[1 : 1 + len(film.rows)].reshape(-1, ROWS).max(axis=1)
                at = question.second - film.stream.start_s
                found.append(np.abs(np.argsort(-peaks)[:3] - at).min() <= 1)
    assert len(found) == 40
    assert np.mean(found) >= 0.85


def fork_length(rows: np.ndarray, prompt: str, watcher: object) -> int:
    return 1 + len(rows) + len(watcher.model.tokenize(prompt))  # type: ignore[attr-defined]


def test_only_a_counting_fork_tells(store: ModelStore) -> None:
    from edgevid.bench.streaming_needles import Watcher

    watcher = Watcher(threads=1)
    with closing(watcher.model.new_sequence()) as sequence:
        sequence.append_tokens(watcher.model.tokenize("<s>", special=True))
        with pytest.raises(UsageError, match="attention was not counted"):
            sequence.attended()
        with closing(sequence.fork(attended=True)) as counting, closing(counting.fork()) as plain:
            counting.append_tokens([1, 2])
            assert counting.attended().shares.sum() == pytest.approx(1, abs=1e-4)
            with pytest.raises(UsageError, match="attention was not counted"):
                plain.attended()


@pytest.mark.packs
def test_an_answer_names_what_its_model_attended(store: ModelStore, clip: Path) -> None:
    with StreamSession("demo", channels=["object"], store=store, threads=2) as session:
        for _ in session.watch(clip):
            pass
        answer = session.ask("What is in the video?")
    assert 1 <= len(answer.attended) <= MOST_SPANS
    for span in answer.attended:
        assert 0 <= span.span.start_s < span.span.end_s
        assert 0 < span.mass < 1
        assert 0 < span.peak <= 1
