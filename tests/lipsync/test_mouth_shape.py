"""Mouth parameters do not depend on where a face is, how large or how tilted; phonemes name mouths."""

from __future__ import annotations

import numpy as np
import pytest

from edgevid.lipsync.mouth_shape import INNER, OUTER, fit_basis, fit_speaker, lips_of, measure
from edgevid.lipsync.nouns import Floats, Phoneme
from edgevid.lipsync.phoneme_mouth import (
    BILABIAL,
    LABIODENTAL,
    SILENCE,
    VISEMES,
    hold_closures,
    shares,
    spans_of,
    visemes_of,
)


def face(*, opening: float, width: float = 60.0) -> Floats:
    """A mesh [468, 2] in pixels: only eyes, nose and lips are of interest."""
    mesh = np.zeros((468, 2), np.float32)
    mesh[33], mesh[263], mesh[2] = (-50, 0), (50, 0), (0, 45)
    for line, (across, thick) in ((OUTER, (1.0, 10.0)), (INNER, (0.9, 0.0))):
        for i, point in enumerate(line):
            angle = np.pi - 2 * np.pi * i / len(line)  # right corner, lower lip, left corner, upper lip
            mesh[point] = (across * width / 2 * np.cos(angle), 70 + np.sin(angle) * (opening / 2 + thick))
    return mesh


def moved(mesh: Floats) -> Floats:
    """Twice as large, turned by 20 degrees, elsewhere."""
    c, s = np.cos(0.35), np.sin(0.35)
    return (2 * mesh @ np.array([[c, s], [-s, c]]) + [300, 200]).astype(np.float32)


def test_place_size_and_tilt_do_not_matter() -> None:
    for opening in (0.0, 5.0, 20.0):
        mesh = face(opening=opening)
        assert np.allclose(lips_of(moved(mesh)), lips_of(mesh), atol=1e-5)


def test_measures_are_in_neutral_mouth_widths() -> None:
    lips = np.stack([lips_of(face(opening=o)) for o in (0, 0, 0, 12, 24, 12, 0)])
    speaker = fit_speaker(lips)
    assert speaker.width == pytest.approx(0.6)
    assert speaker.gap == pytest.approx(0, abs=1e-6)
    got = measure(lips, speaker)
    assert got[0] == pytest.approx([0, 1, 0], abs=1e-5)
    assert got[4, 0] == pytest.approx(2 * got[3, 0], rel=1e-4) and got[4, 0] > 0.3
    assert measure(lips_of(face(opening=0, width=48)), speaker)[1] == pytest.approx(0.8, rel=1e-4)


def test_the_basis_gives_back_what_it_took() -> None:
    rng = np.random.default_rng(0)
    lips = np.stack([lips_of(face(opening=rng.uniform(0, 25), width=rng.uniform(50, 66))) for _ in range(80)])
    lips[0] = lips_of(face(opening=0))
    speaker = fit_speaker(lips)
    basis = fit_basis([(lips, speaker)])
    params = basis.params(lips, speaker)
    assert params.shape == (80, 6)
    assert np.abs(basis.lips(params, speaker) - lips).max() < 0.02
    axes = basis.directions[3:].reshape(3, -1)
    assert np.allclose(axes @ axes.T, np.eye(3), atol=1e-4)


def test_symbols_name_mouths() -> None:
    assert visemes_of("p") == visemes_of("m") == visemes_of("b") == (BILABIAL,)
    assert visemes_of("f") == (LABIODENTAL,)
    assert visemes_of("a\u026a") == (VISEMES.index("open"), VISEMES.index("close front"))
    assert visemes_of("t\u0283") == (VISEMES.index("alveolar"), VISEMES.index("postalveolar"))
    assert visemes_of("u\u02d0") == (VISEMES.index("close rounded"),)
    assert visemes_of("") == visemes_of("_") == (SILENCE,)


def test_shares_are_weights_in_time() -> None:
    spans = spans_of((Phoneme("a", 200_000_000, 400_000_000), Phoneme("m", 400_000_000, 480_000_000)))
    got = shares(spans, 40)
    assert np.allclose(got.sum(axis=1), 1, atol=1e-5)
    assert got[15].argmax() == VISEMES.index("open")
    assert got[22].argmax() == BILABIAL
    assert got[0, SILENCE] > 0.99 and got[39, SILENCE] > 0.99
    assert shares(spans_of(()), 3)[:, SILENCE].tolist() == [1, 1, 1]


def test_closures_are_held_and_the_rest_is_left() -> None:
    opening = np.full(50, 0.2, np.float32)
    spans = spans_of((Phoneme("b", 400_000_000, 480_000_000), Phoneme("f", 800_000_000, 860_000_000)))
    held = hold_closures(opening, spans)
    assert held[19:26].max() == pytest.approx(0, abs=1e-6)
    assert 0 < held[40:43].max() <= 0.03
    assert (held[:15] == np.float32(0.2)).all() and (held[30:35] == np.float32(0.2)).all()
    assert (held <= opening).all()
