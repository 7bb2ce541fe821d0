"""Clauses by a voice activity that only measures the level: cuts are known to the window. Then real ones."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevid.core.nouns import NS_PER_S
from edgevid.lipsync.clauses import ClauseConfig, ClauseSegmenter, Cut, Draft
from edgevid.lipsync.nouns import Floats
from edgevid.media.wav import read_audio
from edgevid.models.session import onnx_session
from edgevid.models.store import ModelStore
from edgevid.perception.audio_intake import RATE, Block
from edgevid.perception.segmenter import WINDOW
from edgevid.perception.vad import SileroVad

WINDOW_S = WINDOW / RATE


class Level:
    """Voice is what has any level: activity = peak of the window."""

    def __call__(self, windows: Floats) -> Floats:
        return np.abs(windows).max(axis=1, initial=0.0)

    def reset(self) -> None: ...


def sound(*parts: tuple[int, float]) -> Floats:
    """Parts of (windows, level)."""
    return np.concatenate([np.full(n * WINDOW, level, np.float32) for n, level in parts])


def listen(
    samples: Floats, words: str | None = None, config: ClauseConfig | None = None
) -> list[Draft | Cut]:
    """Everything that comes of a sound that arrives window by window; every draft is told ``words``."""
    segmenter = ClauseSegmenter(Level(), config=config)
    found: list[Draft | Cut] = []
    for start in range(0, len(samples), WINDOW):
        for item in segmenter.push(Block(samples[start : start + WINDOW], start * NS_PER_S // RATE, False)):
            found.append(item)
            if isinstance(item, Draft) and words is not None:
                segmenter.hint(item, words)
    return found + list(segmenter.flush())


def cuts(found: list[Draft | Cut]) -> list[Cut]:
    return [item for item in found if isinstance(item, Cut)]


def in_windows(item: Draft | Cut) -> tuple[int, int]:
    span = item.utterance.span
    return round(span.start_s / WINDOW_S), round(span.end_s / WINDOW_S)


def test_a_pause_makes_a_draft_then_a_cut() -> None:
    found = listen(sound((20, 0), (60, 0.9), (30, 0)))
    assert [type(item) for item in found] == [Draft, Cut]
    assert [in_windows(item) for item in found] == [(20, 80), (20, 80)]
    (cut,) = cuts(found)
    assert cut.as_drafted
    assert not cut.forced
    assert cut.waited_ms == pytest.approx(350, abs=32)
    assert cut.utterance.samples.size // WINDOW == 60 + 12  # 192 ms of padding are 6 windows


@pytest.mark.parametrize(
    ("words", "pause"),
    [
        ("The dog is here.", (6, 9)),
        ("The dog is here", (10, 12)),
        ("The dog is in the.", (20, 22)),
        ("It costs twenty.", (20, 22)),
        ("¿", (10, 12)),
    ],
)
def test_words_decide_how_long_the_pause_must_be(words: str, pause: tuple[int, int]) -> None:
    """A pause of the first length goes on with the clause, one of the second ends it."""
    for windows, expected in zip(pause, (1, 2), strict=True):
        found = cuts(listen(sound((60, 0.9), (windows, 0), (60, 0.9), (30, 0)), words))
        assert len(found) == expected, windows


def test_the_wait_stays_within_its_bounds() -> None:
    for words, speech in (("and", 10), ("It is done.", 250), ("It is done.", 8), (None, 40)):
        (cut,) = cuts(listen(sound((10, 0), (speech, 0.9), (40, 0)), words))
        assert 160 <= cut.waited_ms <= 704


def test_going_on_makes_a_new_draft_of_the_same_clause() -> None:
    found = listen(sound((30, 0.9), (6, 0), (30, 0.9), (30, 0)))
    assert [(type(item), item.number, in_windows(item)) for item in found] == [
        (Draft, 0, (0, 30)),
        (Draft, 0, (0, 66)),
        (Cut, 0, (0, 66)),
    ]


def test_late_words_change_nothing() -> None:
    segmenter = ClauseSegmenter(Level())
    first = list(segmenter.push(Block(sound((30, 0.9), (5, 0)), 0, False)))
    rest = sound((30, 0.9), (11, 0), (30, 0.9))
    assert isinstance(first[0], Draft)
    found = list(segmenter.push(Block(rest[: 30 * WINDOW], 0, False)))
    segmenter.hint(first[0], "and the")  # would make the wait 700 ms
    found += list(segmenter.push(Block(rest[30 * WINDOW :], 0, False)))
    assert len(cuts(found)) == 1


def test_a_pause_under_a_hum_is_a_pause() -> None:
    """Voice activity that does not let go: what is as quiet as the noise before is a pause all the same."""
    hum = 0.26  # the level stands for the activity too: just over `off`
    found = cuts(listen(sound((20, 0.24), (40, 0.9), (30, hum), (40, 0.9), (30, hum))))
    assert [in_windows(cut) for cut in found] == [(20, 60), (90, 130)]


def test_a_click_is_no_clause() -> None:
    assert listen(sound((20, 0), (3, 0.9), (40, 0))) == []


def test_a_long_clause_is_cut_at_its_dip() -> None:
    config = ClauseConfig(max_ms=3200)
    found = cuts(listen(sound((70, 0.9), (3, 0.4), (80, 0.9), (30, 0)), config=config))
    assert [cut.forced for cut in found] == [True, False]
    assert in_windows(found[0])[1] in range(70, 74)
    assert in_windows(found[1]) == (in_windows(found[0])[1], 153)
    assert not found[0].as_drafted


def test_the_end_of_the_stream_ends_the_clause() -> None:
    samples = sound((10, 0), (40, 0.9))[:-100]
    (cut,) = cuts(listen(samples))
    assert cut.utterance.span.end_ns == len(samples) * NS_PER_S // RATE
    assert listen(np.zeros(0, np.float32)) == []


def test_a_restart_ends_the_clause() -> None:
    segmenter = ClauseSegmenter(Level())
    assert list(segmenter.push(Block(sound((40, 0.9)), 0, False))) == []
    (first,) = segmenter.push(Block(sound((40, 0.9)), 90 * NS_PER_S, True))
    (second,) = segmenter.flush()
    assert isinstance(first, Cut)
    assert first.utterance.span.start_s == 0
    assert second.utterance.span.start_s == 90
    assert (first.number, second.number) == (0, 1)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 90), st.sampled_from([0.0, 0.3, 0.9])), max_size=12),
    st.lists(st.integers(1, 4000), max_size=20),
    st.sampled_from([None, "and", "so it is."]),
)
def test_cuts_are_in_order_apart_and_bounded(
    parts: list[tuple[int, float]], sizes: list[int], words: str | None
) -> None:
    samples = sound((1, 0), *parts)
    segmenter = ClauseSegmenter(Level(), config=ClauseConfig(max_ms=2000))
    found: list[Draft | Cut] = []
    start = 0
    for size in [*sizes, len(samples)]:
        block = samples[start : start + size]
        if not block.size:
            break
        for item in segmenter.push(Block(block, start * NS_PER_S // RATE, False)):
            found.append(item)
            if isinstance(item, Draft) and words:
                segmenter.hint(item, words)
        start += size
    found += segmenter.flush()
    ended = cuts(found)
    assert [cut.number for cut in ended] == list(range(len(ended)))
    spans = [cut.utterance.span for cut in ended]
    assert all(a.end_ns <= b.start_ns for a, b in itertools.pairwise(spans))
    assert all(span.end_s <= len(samples) / RATE for span in spans)
    assert all(span.end_s - span.start_s <= 2.1 for span in spans)
    for before, item in itertools.pairwise(found):
        if isinstance(item, Cut) and item.as_drafted:
            assert isinstance(before, Draft)
            assert before.utterance.span == item.utterance.span


@pytest.mark.packs
def test_real_speech_is_cut_where_speakers_pause(store: ModelStore, test_data: Path) -> None:
    vad = SileroVad(onnx_session(store.where("silero-vad")["model.onnx"]))
    segmenter = ClauseSegmenter(vad)
    samples = read_audio(test_data / "audio" / "jfk.wav")
    found = [*segmenter.push(Block(samples, 0, False)), *segmenter.flush()]
    ended = cuts(found)
    assert 3 <= len(ended) <= 6
    assert all(cut.as_drafted for cut in ended[:-1])
    assert sum(c.utterance.span.end_s - c.utterance.span.start_s for c in ended) > 7
