"""What VisemeNet learns from: clips as lips and sound, phonemes in the time of words, made-up speech."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edgevid.core.errors import MissingPartError
from edgevid.lipsync.mouth_shape import lips_of
from edgevid.models.store import ModelStore
from edgevid.train.viseme_net.clips import (
    HELD_OUT,
    OTHER,
    TRAIN,
    Clip,
    Lexicon,
    person_of,
    read_clips,
    resting,
)
from edgevid.train.viseme_net.synthesis import LANGUAGES, made_up_text
from edgevid.train.viseme_net.tracks import LipReader, read_clip, speaker_of
from edgevid.train.viseme_net.weights_file import checksum

RATE = 16_000


@pytest.fixture
def lexicon() -> Iterator[Lexicon]:
    try:
        found = Lexicon()
    except MissingPartError as error:
        pytest.skip(str(error))
    yield found
    found.close()


def clip_of(words: tuple[tuple[str, float, float], ...]) -> Clip:
    """Three seconds of a face that does nothing."""
    seconds = np.arange(75) / 25
    return Clip("x-1", "x", np.zeros((75, 40, 2), np.float32), seconds, np.zeros(3 * RATE, np.float32), words)


def test_no_speaker_is_on_both_sides() -> None:
    assert not set(TRAIN) & set(HELD_OUT)
    assert not set(TRAIN) & set(OTHER)


def test_no_person_is_on_both_sides() -> None:
    assert not {person_of(s) for s in TRAIN} & {person_of(s) for s in HELD_OUT}


def test_the_mouth_rests_well_outside_words() -> None:
    clip = clip_of((("sil", 0.0, 1.0), ("bin", 1.0, 1.5), ("sil", 1.5, 3.0)))
    rest = resting(clip)
    assert len(rest) == clip.steps == 149
    assert (rest[:42] == 1).all() and (rest[50:75] == 0).all() and (rest[84:] == 1).all()
    assert not resting(clip_of(())).any()


def test_phonemes_fill_their_words(lexicon: Lexicon) -> None:
    phonemes = lexicon.phonemes(clip_of((("sil", 0.0, 1.0), ("bin", 1.0, 1.5), ("blue", 1.5, 2.0))))
    assert phonemes[0].symbol == "b"
    assert sum("b" in p.symbol for p in phonemes) == 2
    assert phonemes[0].start_ns == 1_000_000_000 and phonemes[-1].end_ns == 2_000_000_000
    assert all(a.end_ns <= b.start_ns + 1 for a, b in pairwise(phonemes))


def test_made_up_words_are_of_their_language() -> None:
    rng = np.random.default_rng(0)
    for language in LANGUAGES:
        texts = {made_up_text(language, rng) for _ in range(5)}
        assert len(texts) == 5
        assert all(text.endswith(".") and "-" not in text for text in texts)


def test_the_checksum_shows_a_change_of_any_byte() -> None:
    data = bytes(range(45))
    sums = {checksum(data[:i] + b"\xff" + data[i + 1 :]) for i in range(45)} | {checksum(data)}
    assert len(sums) == 46
    assert checksum(data) != checksum(data + b"\0")


@pytest.mark.packs
def test_a_real_clip_becomes_lips_and_sound(test_data: Path, store: ModelStore, tmp_path: Path) -> None:
    source = min((test_data / "talking" / "grid" / "s1").glob("*.mpg"))
    assert speaker_of(source) == "s1"
    assert read_clip(source, LipReader(store), tmp_path / f"s1-{source.stem}.npz")
    (clip,) = read_clips(tmp_path, ["s1"])
    assert clip.lips.shape[1:] == (40, 2) and len(clip.lips) >= 70
    assert 2.5 < len(clip.samples) / RATE < 3.5
    assert len(clip.words) >= 6 and clip.words[0][0] == "sil"
    assert 0.4 < float(np.ptp(clip.lips[0, :20, 0])) < 0.8  # a mouth is half as wide as the eyes are apart


def test_lips_of_a_mesh_without_size_are_no_error() -> None:
    assert np.isfinite(lips_of(np.zeros((468, 2), np.float32))).all()
