"""Fundamentals of tones that are known, and of real voices."""

from __future__ import annotations

import numpy as np
import pytest

from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.pitch import fundamentals, median_hz


def buzz(hz: float, *, seconds: float = 1.0, rate: int = 16_000) -> Floats:
    """Eight harmonics, as a voice has."""
    times = np.arange(round(seconds * rate)) / rate
    return sum(np.sin(2 * np.pi * hz * k * times) / k for k in range(1, 9)).astype(np.float32) * 0.1


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 48_000])
@pytest.mark.parametrize("hz", [75.0, 110.0, 187.3, 260.0, 400.0])
def test_tones(hz: float, rate: int) -> None:
    assert median_hz(buzz(hz, rate=rate), rate) == pytest.approx(hz, rel=0.01)


def test_tones_in_noise() -> None:
    noise = np.random.default_rng(1).normal(size=16_000).astype(np.float32) * 0.03
    assert median_hz(buzz(140) + noise, 16_000) == pytest.approx(140, rel=0.01)


def test_no_voice_has_no_pitch() -> None:
    noise = np.random.default_rng(1).normal(size=16_000).astype(np.float32)
    for samples in (noise, np.zeros(16_000, np.float32), np.zeros(0, np.float32), buzz(100, seconds=0.03)):
        assert median_hz(samples, 16_000) is None


def test_silence_between_does_not_count() -> None:
    quiet = np.zeros(16_000, np.float32)
    assert median_hz(np.concatenate([quiet, buzz(120), quiet]), 16_000) == pytest.approx(120, rel=0.01)
    assert len(fundamentals(np.concatenate([quiet, buzz(120), quiet]), 16_000)) == pytest.approx(50, abs=5)
