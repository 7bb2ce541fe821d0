"""Figures of drawn frames, on films whose mouths are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgevid.bench.lipsync_frames import measured, report, rows, write_strips
from edgevid.bench.lipsync_strip import strip, write_strip
from edgevid.bench.lipsync_watch import SIDE, Film, Look, view, watch
from edgevid.lipsync import parts as parts_
from edgevid.lipsync.compositor import MouthCompositor
from edgevid.lipsync.mouth_shape import INNER, LIPS, OUTER, fit_speaker
from edgevid.lipsync.nouns import Floats, Phoneme
from edgevid.lipsync.visemes import VisemeNet
from edgevid.media.png import read_image
from edgevid.models.store import ModelStore
from edgevid.perception import face_detector, face_mesh

_FRAME_NS = 40_000_000


def _lips(opening: float, droop: float = 0.0) -> Floats:
    """Lips half an eye distance wide, ``opening`` and ``droop`` (of the corners) in widths."""
    lips = np.zeros((40, 2), np.float32)
    for line, (across, thick) in ((OUTER, (0.5, 0.08)), (INNER, (0.45, 0.0))):
        for i, point in enumerate(line):
            angle = np.pi - 2 * np.pi * i / len(line)
            height = np.sin(angle) * (opening / 4 + thick) + 0.5 * droop * np.cos(angle) ** 8
            lips[LIPS.index(point)] = (across / 2 * np.cos(angle), 0.4 + height)
    return lips


def _look(n: int, asked: float, own: float, drawn: float, *, droop: float = 0.0, level: int = 120) -> Look:
    picture = np.full((SIDE, SIDE, 3), 100, np.uint8)
    other = picture.copy()
    other[30:90, 20:100] = level
    red = 1.0 if drawn < 0.1 else 0.3
    return Look(n * _FRAME_NS, asked, red, _lips(own), _lips(drawn, droop), picture, other)


def _film(looks: list[Look], phonemes: tuple[Phoneme, ...] = ()) -> Film:
    speaker = fit_speaker(np.stack([_lips(0.0)] * 3 + [_lips(0.2)]))
    return Film("made.mp4", tuple(looks), phonemes, speaker, len(looks), {})


def test_openings_are_compared_with_what_was_asked_and_the_own_range() -> None:
    wave = 0.1 + 0.1 * np.sin(np.arange(60) / 5)
    found = measured(_film([_look(i, w, 1.5 * w, 0.75 * w) for i, w in enumerate(wave)]))
    assert found.gain is not None and found.correlation is not None
    assert found.gain / 0.75 == pytest.approx(1, abs=0.1)
    assert found.correlation > 0.999
    assert found.range_ratio == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("late_ms", [-80, 0, 55])
def test_a_mouth_drawn_late_is_found(late_ms: int) -> None:
    def asked(n: float) -> float:
        return 0.1 + 0.05 * np.sin(n / 3) + 0.04 * np.sin(n / 1.7)

    late = late_ms / 40
    film = _film([_look(i, asked(i), 0.1, asked(i - late)) for i in range(75)])
    assert measured(film).delay_ms == pytest.approx(late_ms, abs=5)


def test_hanging_corners_are_told_from_open_mouths() -> None:
    wave = 0.1 + 0.1 * np.sin(np.arange(60) / 5)
    for droop, degrees in ((0.0, 0.0), (0.05, 5.7), (-0.05, -5.7)):
        film = _film([_look(i, w, w, 0.5 * w, droop=droop) for i, w in enumerate(wave)])
        assert measured(film).corner_deg == pytest.approx(degrees, abs=0.3)


def test_flicker_and_jumps() -> None:
    still = measured(_film([_look(i, 0.1, 0.1, 0.1) for i in range(30)]))
    assert still.flicker == 0 and still.own_flicker == 0 and still.jumps == 0
    blinking = measured(_film([_look(i, 0.1, 0.1, 0.1, level=120 + 9 * (i % 2)) for i in range(26)]))
    assert blinking.flicker == pytest.approx(9, abs=0.01)
    assert blinking.jumps == pytest.approx(25, abs=0.1)


def test_lips_shut_in_bilabials_and_silence() -> None:
    said = (Phoneme("b", 200_000_000, 280_000_000), Phoneme("a", 280_000_000, 400_000_000))
    opening = [0.0] * 6 + [0.3] * 5 + [0.0] * 10
    good = measured(_film([_look(i, o, o, o) for i, o in enumerate(opening)], said))
    assert good.bilabials == 1 and good.closed == good.touching == 1 and good.open_in_silence == 0
    assert good.silent == 3 + 8  # 0 to 80 ms, 520 to 800 ms
    bad = measured(_film([_look(i, o, o, 0.2) for i, o in enumerate(opening)], said))
    assert bad.closed == bad.touching == 0 and bad.open_in_silence == 1


def test_nothing_drawn_gives_no_figures() -> None:
    assert all(row.value is None for row in report([_film([])]))
    (row,) = rows(None)
    assert row.value is None and "EDGEVID_TEST_DATA" in row.method


def test_a_strip_shows_both_mouths_and_the_sound(tmp_path: Path) -> None:
    looks = [_look(i, 0.1, 0.1, 0.1, level=200) for i in range(5)]
    film = _film(looks, (Phoneme("ɾ", 0, _FRAME_NS),))
    page = strip(film, looks, columns=2)
    assert page.shape[1] > 2 * SIDE and page.shape[0] > 3 * 2 * SIDE
    assert ((page == 200).all(axis=2)).sum() == 5 * 60 * 80
    write_strip(tmp_path / "strip.png", film, start_s=0.1, count=1)
    assert ((read_image(tmp_path / "strip.png") == 200).all(axis=2)).sum() == 60 * 80


def test_every_film_gets_a_strip(tmp_path: Path) -> None:
    film = _film([_look(i, 0.1, 0.1, 0.1, level=200) for i in range(3)], ())
    (row,) = write_strips([film], tmp_path / "deep" / "strips")
    assert row.value == str(tmp_path / "deep" / "strips" / f"{Path(film.name).stem}.png")
    assert ((read_image(Path(str(row.value))) == 200).all(axis=2)).sum() == 3 * 60 * 80


def test_a_view_is_upright_whatever_the_head_does() -> None:
    mesh = np.zeros((468, 2), np.float32)
    mesh[33], mesh[263], mesh[2] = (-50, 0), (50, 0), (0, 45)
    y, x = np.mgrid[0:400, 0:400].astype(np.float32)

    def picture(turn: float) -> tuple[np.ndarray, Floats]:
        c, s = np.cos(turn), np.sin(turn)
        along = (x - 200) * c + (y - 200) * s
        down = (y - 200) * c - (x - 200) * s
        shades = np.stack([128 + along / 2, 128 + down / 2, np.full_like(x, 9)], axis=-1)
        return shades.clip(0, 255).astype(np.uint8), (mesh @ [[c, s], [-s, c]] + 200).astype(np.float32)

    upright, turned = (view(*picture(turn)).astype(int) for turn in (0.0, 0.4))
    assert np.abs(upright - turned).max() <= 2
    assert upright[64, 64] == pytest.approx([128, 128 + (45 + 32) / 2, 9], abs=2)


@pytest.mark.packs
def test_a_real_dub_is_measured(test_data: Path, store: ModelStore) -> None:
    for pack in ("moonshine-tiny-en", "silero-vad", face_detector.PACK, face_mesh.PACK):
        store.where(pack)
    parts = parts_.load(target="en", store=store)
    try:
        parts.compositor = MouthCompositor(VisemeNet().basis)
        film = watch(test_data / "talking" / "vretalk_4.mp4", parts, store, target="en")
    finally:
        parts.close()
    found = measured(film)
    assert len(film.looks) > 100 and film.phonemes and not film.untouched
    assert found.correlation is not None and found.correlation > 0.6
    assert found.range_ratio is not None and found.range_ratio > 0.6
    assert found.flicker is not None and found.own_flicker is not None
    assert found.flicker < 1.5 * found.own_flicker
    assert found.open_in_silence is None or found.open_in_silence < 0.05
