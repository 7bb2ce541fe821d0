"""The judge finds how late sound is, on mouths and sound made here that move together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgevid.bench.lipsync_judge import INJECTED_MS, leave_one_out, prove
from edgevid.lipsync.mouth_shape import LIPS
from edgevid.train.lip_judge.judge import Judge, delayed, learn
from edgevid.train.viseme_net.clips import Clip

_RATE, _FPS, _SECONDS = 16_000, 25, 4


def _clip(speaker: str, seed: int) -> Clip:
    """Noise as loud as the mouth is open."""
    random = np.random.default_rng(seed)
    knots = random.uniform(0, 1, 5 * _SECONDS)
    opening = np.interp(np.arange(_SECONDS * _RATE), np.linspace(0, _SECONDS * _RATE, len(knots)), knots)
    sound = (0.2 * opening * random.standard_normal(len(opening))).astype(np.float32)
    seconds = np.arange(_SECONDS * _FPS) / _FPS
    lips = np.zeros((len(seconds), 40, 2), np.float32)
    lips[:, LIPS.index(61), 0], lips[:, LIPS.index(291), 0] = -0.3, 0.3
    for point in (87, 14, 317):
        lips[:, LIPS.index(point), 1] = 0.2 * opening[(seconds * _RATE).astype(int)]
    return Clip(f"{speaker}-{seed}", speaker, lips, seconds.astype(np.float32), sound, ())


@pytest.fixture(scope="module")
def judge() -> Judge:
    return learn([_clip("a", seed) for seed in range(6)])


@pytest.mark.parametrize("late_ms", [*INJECTED_MS, 0])
def test_injected_offsets_are_found(judge: Judge, late_ms: int) -> None:
    clip = _clip("b", 100)
    assert judge.offset_ms(replace(clip, samples=delayed(clip.samples, late_ms))) == pytest.approx(
        late_ms, abs=20
    )


def test_a_mouth_that_moves_late_makes_the_sound_early(judge: Judge) -> None:
    clip = _clip("b", 101)
    assert judge.offset_ms(replace(clip, seconds=clip.seconds + 0.1)) == pytest.approx(-100, abs=20)


def test_a_foreign_sound_agrees_less(judge: Judge) -> None:
    clip, other = _clip("b", 102), _clip("b", 103)
    assert judge.scores(replace(clip, samples=other.samples)).max() < judge.scores(clip).max()


def test_what_is_proven_is_reported(judge: Judge) -> None:
    originals, errors = prove(judge, [_clip("b", seed) for seed in (104, 105)], "made here")
    assert isinstance(originals.value, float) and originals.value <= 20
    assert isinstance(errors.value, float) and errors.value <= 20
    assert f"of {2 * len(INJECTED_MS)}," in errors.method


def test_each_speaker_is_judged_by_the_others() -> None:
    (row,) = leave_one_out([_clip(speaker, seed) for speaker in "ab" for seed in range(200, 203)])
    assert isinstance(row.value, float) and row.value <= 20
    assert "of 6," in row.method


@pytest.mark.parametrize("ms", [0, 100, -100])
def test_delayed_sound_keeps_its_length(ms: int) -> None:
    samples = np.arange(1, 8001, dtype=np.float32)
    moved = delayed(samples, ms)
    assert len(moved) == len(samples)
    assert moved[4000] == samples[4000 - ms * 16]
