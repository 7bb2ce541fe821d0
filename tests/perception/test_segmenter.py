"""Utterances from a voice activity that only measures the level: cuts are known to the window."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevid.core.nouns import NS_PER_S
from edgevid.perception.audio_intake import RATE, Block
from edgevid.perception.segmenter import WINDOW, Segmenter, SegmenterConfig, Utterance

Samples = npt.NDArray[np.float32]
WINDOW_S = WINDOW / RATE


class Level:
    """Voice is what has any level: probability = peak of the window."""

    def __init__(self) -> None:
        self.resets = 0

    def __call__(self, windows: Samples) -> Samples:
        return np.abs(windows).max(axis=1, initial=0.0)

    def reset(self) -> None:
        self.resets += 1


def sound(*parts: tuple[int, float]) -> Samples:
    """Parts of (windows, level)."""
    return np.concatenate([np.full(n * WINDOW, level, np.float32) for n, level in parts])


def cut(samples: Samples, config: SegmenterConfig | None = None) -> list[Utterance]:
    segmenter = Segmenter(Level(), config=config)
    return [*segmenter.push(Block(samples, 0, False)), *segmenter.flush()]


def in_windows(utterance: Utterance) -> tuple[int, int]:
    span = utterance.span
    return round(span.start_s / WINDOW_S), round(span.end_s / WINDOW_S)


def test_a_pause_ends_an_utterance() -> None:
    found = cut(sound((20, 0), (30, 0.9), (20, 0), (10, 0.9), (30, 0)))
    assert [in_windows(u) for u in found] == [(20, 50), (70, 80)]
    assert [u.samples.size // WINDOW for u in found] == [30 + 12, 10 + 12]  # 192 ms of padding are 6 windows
    assert found[0].voice == pytest.approx(0.9)


def test_hysteresis_bridges_weak_voice_and_short_pauses() -> None:
    found = cut(sound((5, 0.3), (10, 0.9), (40, 0.3), (5, 0.9), (10, 0.1), (5, 0.9), (20, 0)))
    assert [in_windows(u) for u in found] == [(5, 75)]


def test_a_click_is_no_utterance() -> None:
    assert cut(sound((20, 0), (3, 0.9), (40, 0))) == []
    assert len(cut(sound((20, 0), (5, 0.9), (40, 0)))) == 1


def test_the_end_of_the_stream_ends_the_utterance() -> None:
    found = cut(sound((10, 0), (20, 0.9))[:-100])
    assert [in_windows(u) for u in found] == [(10, 30)]
    assert found[0].span.end_ns == (30 * WINDOW - 100) * NS_PER_S // RATE


def test_too_long_is_cut_at_the_quietest_moment() -> None:
    config = SegmenterConfig(max_ms=100 * 32)
    found = cut(sound((70, 0.9), (4, 0.3), (60, 0.9), (30, 0)), config)
    first, second = (in_windows(u) for u in found)
    assert first[0] == 0 and 70 < first[1] < 74
    assert second == (first[1], 134)


def test_endless_voice_is_held_in_bounds_and_loses_nothing() -> None:
    config = SegmenterConfig(max_ms=3_000)
    segmenter = Segmenter(Level(), config=config)
    ends = [0]
    for i in range(200):
        block = Block(sound((25, 0.9)), round(i * 25 * WINDOW_S * NS_PER_S), False)
        for u in segmenter.push(block):
            assert in_windows(u)[0] == ends[-1]
            assert u.samples.size <= 3.3 * RATE
            ends.append(in_windows(u)[1])
        assert len(segmenter._held) <= 95
    assert ends[-1] > 4_800


def test_hours_of_silence_hold_nothing() -> None:
    segmenter = Segmenter(Level())
    minute = sound((1_875, 0))
    for i in range(180):
        assert not list(segmenter.push(Block(minute, i * 60 * NS_PER_S, False)))
        assert len(segmenter._held) <= 6


def test_a_restart_ends_the_utterance_and_the_memory_of_the_network() -> None:
    vad = Level()
    segmenter = Segmenter(vad)
    assert not list(segmenter.push(Block(sound((20, 0.9)), 0, False)))
    before = vad.resets
    (ended,) = segmenter.push(Block(sound((20, 0.9)), 100 * NS_PER_S, True))
    assert in_windows(ended) == (0, 20)
    assert vad.resets > before
    (last,) = segmenter.flush()
    assert last.span.start_ns == 100 * NS_PER_S


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 30), st.sampled_from([0.0, 0.3, 0.9])), min_size=1, max_size=10),
    st.lists(st.integers(1, 9_000), max_size=20),
)
def test_cutting_into_blocks_changes_nothing(parts: list[tuple[int, float]], sizes: list[int]) -> None:
    whole = sound(*parts)
    config = SegmenterConfig(max_ms=1_500)
    segmenter = Segmenter(Level(), config=config)
    found, at = [], 0
    for size in [*sizes, whole.size]:
        piece = whole[at : at + size]
        if piece.size:
            found += segmenter.push(Block(piece, at * NS_PER_S // RATE, False))
        at += piece.size
    found += segmenter.flush()
    expected = cut(whole, config)
    assert [u.span for u in found] == [u.span for u in expected]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a.samples, b.samples)
