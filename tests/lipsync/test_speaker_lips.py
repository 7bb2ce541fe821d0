"""One speaker's lips: their range, their manner, and what a turned head does to them."""

from __future__ import annotations

import numpy as np
import pytest

from edgevid.lipsync.mouth_shape import LIPS, lips_of, measure
from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.seam import SHUT, redness
from edgevid.lipsync.speaker_lips import SpeakerLips
from edgevid.lipsync.visemes import VisemeNet
from tests.lipsync.test_mouth_shape import face

_STILL = np.zeros(2, np.float32)


def _asked(opening: float, width: float = 0.975) -> Floats:
    return np.array([opening, width, 0.011, 0, 0, 0], np.float32)


def _speaker(most: float, *, frames: int = 80) -> tuple[SpeakerLips, Floats, Floats]:
    """Opens up to ``most`` px of 60; a turn of 30 degrees moves the lips by a tenth of the eyes' distance."""
    rng = np.random.default_rng(0)
    openings = np.concatenate([np.zeros(frames // 4), rng.uniform(0, most, frames - frames // 4)])
    turns = rng.uniform(-15, 15, (frames, 2)).astype(np.float32)
    lips = np.stack([lips_of(face(opening=float(o))) for o in openings])
    lips[:, :, 0] += 0.1 * turns[:, :1] / 30
    return SpeakerLips(lips, turns, VisemeNet().basis), lips, turns


def test_lips_follow_the_opening_and_the_head() -> None:
    speaker, lips, turns = _speaker(24.0)
    measures = measure(lips, speaker.speaker)
    for i in range(0, 80, 7):
        got = speaker.lips(measures[i], float(turns[i, 0]), float(turns[i, 1]))
        assert np.abs(got - lips[i]).max() < 0.03
    ahead, aside = (speaker.lips(measures[0], yaw, 0.0) for yaw in (0.0, 30.0))
    assert (aside - ahead)[:, 0].mean() == pytest.approx(0.1, abs=0.01)


def test_a_speaker_seen_closed_only_opens_as_people_do() -> None:
    lips = np.stack([lips_of(face(opening=0.0))] * 30)
    speaker = SpeakerLips(lips, np.zeros((30, 2), np.float32), VisemeNet().basis)
    for opening in (0.0, 0.1, 0.2):
        got = speaker.lips(np.array([opening, 1, 0], np.float32), 0.0, 0.0)
        assert measure(got, speaker.speaker)[0] == pytest.approx(opening, abs=0.03)


@pytest.mark.parametrize("most", [10.0, 24.0])
def test_openings_fill_the_speakers_own_range(most: float) -> None:
    speaker, lips, _ = _speaker(most)
    own = np.quantile(measure(lips, speaker.speaker)[:, 0], [0.9, 0.95])
    opened = [float(speaker.wanted(_asked(o), _STILL)[0]) for o in (0.0, 0.02, 0.04, 0.07, 0.2)]
    assert opened[0] == 0 and opened == sorted(opened)
    assert opened[3] == pytest.approx(np.clip(own[0], 0.07, 0.3), rel=1e-4)
    assert opened[4] <= max(own[1], own[0]) + 1e-6
    assert opened[1] / opened[3] < 0.02 / 0.07  # small openings less than wide ones


def test_a_smile_stays_while_somebody_speaks() -> None:
    speaker, lips, _ = _speaker(24.0)
    measures = measure(lips, speaker.speaker)
    smiling = measures[40] + np.array([0, 0.15, 0], np.float32)
    manner = speaker.manner(smiling) - speaker.manner(measures[40])
    assert manner == pytest.approx([0.15, 0], abs=1e-5)
    wider = speaker.wanted(_asked(0.05), manner) - speaker.wanted(_asked(0.05), _STILL)
    assert wider == pytest.approx([0, 0.15, 0], abs=1e-5)
    assert speaker.wanted(_asked(0.05, 0.93), _STILL)[1] < speaker.wanted(_asked(0.05), _STILL)[1]


@pytest.mark.parametrize("light", [0.3, 1.0])
def test_redness_tells_lips_that_touch_from_teeth_and_dark(light: float) -> None:
    mesh = face(opening=8.0)
    lips = mesh[list(LIPS)] + np.float32([60, 0])
    y, x = np.mgrid[0:120, 0:120]
    image = np.full((120, 120, 3), (200, 160, 140), np.float32)
    image[np.hypot((x - 60) / 32, (y - 70) / 15) < 1] = (190, 90, 100)

    def between(colour: tuple[int, int, int]) -> float:
        parted = image.copy()
        parted[np.hypot((x - 60) / 25, (y - 70) / 5) < 1] = colour
        return redness((parted * light).astype(np.uint8), lips)

    assert redness((image * light).astype(np.uint8), lips) > 0.95
    assert between((230, 225, 215)) < SHUT / 2 and between((40, 33, 33)) < SHUT
    grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    assert redness(grey, lips) == 1
