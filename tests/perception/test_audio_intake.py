"""Any chunks in, one clean 16 kHz clock out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevid.core.errors import BadInputError
from edgevid.core.nouns import NS_PER_S, AudioChunk
from edgevid.perception.audio_intake import RATE, AudioIntake, Block, level_dbfs

Samples = npt.NDArray[np.float32]


def tone(rate: int, seconds: float, hz: float = 440.0) -> Samples:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def chunk(samples: Samples, rate: int = RATE, at_s: float = 0.0) -> AudioChunk:
    return AudioChunk(samples, rate, round(at_s * NS_PER_S))


def take(*chunks: AudioChunk) -> list[Block]:
    intake = AudioIntake()
    blocks = [block for c in chunks for block in intake.push(c)]
    return blocks + list(intake.flush())


def joined(blocks: list[Block]) -> Samples:
    return np.concatenate([np.zeros(0, np.float32), *(b.samples for b in blocks)])


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_a_tone_survives_resampling_in_place(rate: int) -> None:
    heard = joined(take(chunk(tone(rate, 1.0), rate)))
    assert heard.size == RATE
    inner = slice(800, -800)
    assert np.abs(heard[inner] - tone(RATE, 1.0)[inner]).max() < 0.005


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5_000), max_size=12), st.sampled_from([16_000, 44_100, 48_000]))
def test_cutting_into_chunks_changes_nothing(sizes: list[int], rate: int) -> None:
    whole = np.random.default_rng(7).uniform(-1, 1, rate // 2).astype(np.float32)
    parts = np.split(whole, sorted({min(n, whole.size) for n in np.cumsum(sizes).tolist()}))
    starts = np.cumsum([0] + [p.size for p in parts[:-1]])
    cut = take(*(chunk(p, rate, float(s) / rate) for p, s in zip(parts, starts, strict=True)))
    np.testing.assert_array_equal(joined(cut), joined(take(chunk(whole, rate))))
    ends = [b.pts_ns + b.samples.size * NS_PER_S // RATE for b in cut]
    assert all(abs(end - b.pts_ns) <= 1 for end, b in zip(ends, cut[1:], strict=False))


def test_jitter_of_time_stamps_is_ignored() -> None:
    blocks = take(*(chunk(tone(RATE, 0.1), at_s=i / 10 + 0.03 * (i % 2)) for i in range(10)))
    assert joined(blocks).size == RATE
    assert not any(b.restart for b in blocks)


def test_a_short_gap_becomes_silence() -> None:
    blocks = take(chunk(tone(RATE, 0.5)), chunk(tone(RATE, 0.5), at_s=1.0))
    heard = joined(blocks)
    assert heard.size == int(1.5 * RATE)
    assert not heard[RATE // 2 : RATE].any()
    assert not any(b.restart for b in blocks)


def test_a_short_overlap_is_dropped() -> None:
    heard = joined(take(chunk(tone(RATE, 1.0)), chunk(tone(RATE, 1.0), at_s=0.5)))
    assert heard.size == int(1.5 * RATE)


@pytest.mark.parametrize("second", [chunk(tone(RATE, 0.5), at_s=60.0), chunk(tone(48_000, 0.5), 48_000, 0.5)])
def test_a_seek_or_another_rate_restarts_the_clock(second: AudioChunk) -> None:
    blocks = take(chunk(tone(RATE, 0.5), at_s=5.0), second)
    assert [b.restart for b in blocks].count(True) == 1
    restarted = next(b for b in blocks if b.restart)
    assert restarted.pts_ns == second.pts_ns


def test_a_restart_gives_out_the_tail_of_the_resampler_first() -> None:
    blocks = take(chunk(tone(48_000, 0.5), 48_000), chunk(tone(48_000, 0.5), 48_000, at_s=60.0))
    first = [b for b in blocks if b.pts_ns < 30 * NS_PER_S]
    assert joined(first).size == RATE // 2


def test_damaged_samples_are_made_finite() -> None:
    bad = np.array([np.nan, np.inf, -np.inf, 7.0, -7.0, 0.25], np.float32)
    np.testing.assert_array_equal(joined(take(chunk(bad))), [0, 1, -1, 1, -1, 0.25])


def test_empty_chunks_do_nothing() -> None:
    empty = np.zeros(0, np.float32)
    blocks = take(
        chunk(empty), chunk(tone(RATE, 0.1)), chunk(empty, at_s=99.0), chunk(tone(RATE, 0.1), at_s=0.1)
    )
    assert joined(blocks).size == RATE // 5


@pytest.mark.parametrize("rate", [0, -1, 999, 10**9])
def test_impossible_rates_are_refused(rate: int) -> None:
    with pytest.raises(BadInputError, match="sample rate"):
        take(chunk(tone(RATE, 0.1), rate))


def test_two_dimensional_samples_are_refused() -> None:
    with pytest.raises(BadInputError, match="one dimension"):
        take(chunk(np.zeros((10, 2), np.float32)))


def test_level() -> None:
    assert level_dbfs(tone(RATE, 1.0)) == pytest.approx(-9.03, abs=0.01)
    assert level_dbfs(np.zeros(9, np.float32)) == level_dbfs(np.zeros(0, np.float32)) == float("-inf")
