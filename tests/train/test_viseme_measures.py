"""What VisemeNet is judged by: width beyond the opening, meshes of mirrored pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from edgevid.core.errors import MissingPartError
from edgevid.lipsync.mouth_shape import LIPS
from edgevid.lipsync.nouns import Floats
from edgevid.train.viseme_net.clips import Clip
from edgevid.train.viseme_net.evaluate import beyond, correlation
from edgevid.train.viseme_net.repeatability import agreement, mirrored


def round_lips() -> Floats:
    """[40, 2]: two rings from the right corner along the lower lip."""
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    ring = np.stack([-np.cos(angles), np.sin(angles)], axis=1)
    return np.concatenate([ring, 0.6 * ring]).astype(np.float32)


def speaking(name: str, speaker: str) -> Clip:
    """Three seconds of lips that open and close at random, and of noise."""
    rng = np.random.default_rng(len(name))
    grown = np.stack([1 + rng.uniform(0, 0.1, 75), rng.uniform(0.2, 0.6, 75)], axis=1).astype(np.float32)
    samples = rng.normal(0, 0.1, 3 * 16_000).astype(np.float32)
    words = (("bin", 0.5, 1.0), ("blue", 1.0, 1.5))
    return Clip(
        name, speaker, round_lips() * grown[:, None], np.arange(75, dtype=np.float32) / 25, samples, words
    )


def test_width_beyond_opening_forgets_the_habit_of_a_speaker() -> None:
    rng = np.random.default_rng(0)
    opening, own = rng.normal(size=(2, 400)).astype(np.float32)
    spread, narrowed = own + 2 * opening, own - 2 * opening
    assert correlation(spread, narrowed) < 0
    assert correlation(beyond(spread, opening), beyond(narrowed, opening)) > 0.99


def test_a_mirrored_mouth_mirrors_back() -> None:
    lips = round_lips()
    assert len(lips) == len(LIPS)
    np.testing.assert_allclose(mirrored(lips), lips, atol=1e-6)
    crooked = lips + np.random.default_rng(0).normal(0, 0.05, lips.shape).astype(np.float32)
    np.testing.assert_allclose(mirrored(mirrored(crooked)), crooked, atol=1e-6)

    frames = np.stack([lips * np.float32(1 + 0.1 * np.sin(i)) for i in range(40)])
    same = agreement({"plain": frames, "mirrored": mirrored(frames)})
    assert same["mirrored"] == pytest.approx([1, 1, 1], abs=1e-4)


def test_who_is_left_out_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from edgevid.train.viseme_net import leave_one_out

    heard: set[str] = set()
    really_train = leave_one_out.train

    def train(clips: Sequence[Clip], **how: Any) -> Any:
        heard.update(clip.speaker for clip in clips)
        return really_train(clips, **how)

    monkeypatch.setattr(leave_one_out, "train", train)
    clips = [speaking("1", "s1"), speaking("again", "grid_bbaf2n"), speaking("other", "s26")]
    try:
        scores = leave_one_out.score_without("s1", clips, steps=2, texts=1)
    except MissingPartError as error:
        pytest.skip(str(error))
    assert heard == {"s26"}
    assert {speaker: score.clips for speaker, score in scores.items()} == {"s1": 1, "grid_bbaf2n": 1}
    assert all(-1 <= score.spread <= 1 and score.bilabials[1] == 2 for score in scores.values())
