"""VisemeNet: the shipped network, its stream, agreement with the integer reference, the rules around it."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from edgevid.core.errors import BadModelError
from edgevid.lipsync.espeak import EspeakVoice
from edgevid.lipsync.mouth_features import SILENT, mel_rows, steps_of
from edgevid.lipsync.nouns import NUM_MOUTH_PARAMS, Floats, MouthCurve, Phoneme
from edgevid.lipsync.phoneme_mouth import BILABIAL, visemes_of
from edgevid.lipsync.visemes import VisemeNet, at
from edgevid.train.viseme_net.export import shipped
from edgevid.train.viseme_net.weights_file import read, write
from tests.lipsync.small_viseme_net import small_net

RATE = 16_000
OPEN = 0.03


@pytest.fixture(scope="module")
def native() -> Any:
    try:
        return importlib.import_module("edgevid._native").lipsync
    except ImportError:
        pytest.skip("the native core is not built")


@pytest.fixture(scope="module")
def net(native: Any) -> VisemeNet:
    return VisemeNet()


def murmur(seconds: float, *, seed: int = 0) -> Floats:
    """A buzz that swells and fades three times a second, in noise."""
    t = np.arange(int(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 30))
    noise = np.random.default_rng(seed).standard_normal(len(t))
    return (0.1 * buzz * np.sin(np.pi * 3 * t) ** 2 + 0.002 * noise).astype(np.float32)


def test_the_shipped_weights_are_small() -> None:
    assert len(shipped()) <= 300 * 1024
    file = read(shipped())
    assert 50_000 <= sum(layer.weights.size for layer in file.layers) <= 270_000
    assert write(file) == shipped()


def test_the_native_network_equals_the_integer_reference(native: Any) -> None:
    rng = np.random.default_rng(1)
    for file in (small_net(), small_net(bands=7, channels=17, seed=3), read(shipped())):
        stream = native.VisemeStream(native.VisemeWeights(write(file)))
        rows = rng.normal(0, 2, (141, len(file.mel_mean))).astype(np.float32)
        rows[3, 0], rows[40, 1], rows[50, 2] = np.nan, np.inf, -np.inf
        got, want = stream.push(rows), file.params(file.run(rows))
        assert got.shape == want.shape and len(got) > 20
        assert np.allclose(got, want, atol=1e-6)
        assert len(np.unique(want)) > 20


def test_a_curve_covers_the_sound_at_any_rate(net: VisemeNet) -> None:
    for n in (0, 1, 319, 320, 16_000, 16_001):
        assert net.curve(np.zeros(n, np.float32), RATE).params.shape == (steps_of(n), NUM_MOUTH_PARAMS)
    sound = murmur(2.0)
    full = net.curve(sound, RATE).params
    low = net.curve(sound[::2], RATE // 2).params  # 8 kHz, as a telephone has it
    assert low.shape == full.shape
    hurt = sound.copy()
    hurt[100:110] = np.nan
    assert np.isfinite(net.curve(hurt, RATE).params).all()


@pytest.mark.parametrize("piece", [1, 160, 333, 5000])
def test_how_a_sound_is_cut_changes_nothing(net: VisemeNet, piece: int) -> None:
    sound = murmur(0.3 if piece == 1 else 1.7)
    stream = net.stream()
    parts = [stream.push(sound[i : i + piece]) for i in range(0, len(sound), piece)]
    cut = np.concatenate([*parts, stream.flush()])
    stream.reset()
    for whole in (net.curve(sound, RATE).params, np.concatenate([stream.push(sound), stream.flush()])):
        assert whole.shape == cut.shape
        assert np.abs(whole - cut).max() < 0.02  # a log-mel row on the edge between two codes
        assert (whole == cut).mean() > 0.9


def test_a_step_is_there_75_ms_after_its_sound(net: VisemeNet) -> None:
    stream = net.stream()
    sound = murmur(1.0)
    assert len(stream.push(sound[: int(0.075 * RATE) - 1])) == 0
    assert len(stream.push(sound[int(0.075 * RATE) - 1 : int(0.075 * RATE)])) == 1
    assert len(stream.push(sound[int(0.075 * RATE) : int(0.5 * RATE)])) == 21


def test_the_mouth_is_closed_in_silence_and_between_words(net: VisemeNet) -> None:
    assert net.curve(np.zeros(3 * RATE, np.float32), RATE).params[:, 0].max() == 0
    hiss = 1e-4 * np.random.default_rng(0).standard_normal(3 * RATE).astype(np.float32)
    assert net.curve(hiss, RATE).params[:, 0].max() <= OPEN
    pause = np.zeros(RATE, np.float32)
    curve = net.curve(np.concatenate([pause, murmur(1.0), pause]), RATE).params
    assert curve[55:95, 0].max() > 0
    assert curve[:45, 0].max() <= OPEN and curve[112:, 0].max() <= OPEN


def test_spoken_words_open_the_mouth_and_bilabials_close_it(net: VisemeNet, voice: EspeakVoice) -> None:
    closed, bilabials, rest_open, rest = 0, 0, 0, 0
    for language, text in (
        ("es", "Mañana por la mañana vamos a comprar pan, y después mi amigo Pablo viene a comer."),
        ("en", "My brother put a big map of Poland up above the bed, maybe to remember the place."),
        ("de", "Der Bäcker am Bahnhof backt um vier, aber mein Bruder mag lieber Apfelkuchen."),
    ):
        spoken = voice.speak(text, language=language)
        curve = net.curve(spoken.samples, spoken.rate, spoken.phonemes).params
        times = np.arange(len(curve)) * 20_000_000
        assert curve[:, 0].max() > 2 * OPEN
        for p in spoken.phonemes:
            if BILABIAL in visemes_of(p.symbol):
                near = (times >= p.start_ns - 40_000_000) & (times <= p.end_ns + 40_000_000)
                closed, bilabials = closed + int(curve[near, 0].min() <= OPEN), bilabials + 1
        away = [np.maximum(p.start_ns - times, times - p.end_ns) for p in spoken.phonemes]
        quiet = np.min(away, axis=0) > 150_000_000
        rest_open, rest = rest_open + int((curve[quiet, 0] > OPEN).sum()), rest + int(quiet.sum())
    assert bilabials >= 20
    assert closed >= 0.9 * bilabials
    assert rest_open <= 0.02 * rest


def test_phonemes_correct_the_network(net: VisemeNet) -> None:
    sound = murmur(1.0)
    phonemes = (
        Phoneme("a", 0, 400_000_000),
        Phoneme("m", 400_000_000, 500_000_000),
        Phoneme("a", 500_000_000, 1_000_000_000),
    )
    alone, both = net.curve(sound, RATE).params, net.curve(sound, RATE, phonemes).params
    said = net.curve_of_phonemes(phonemes, len(both))
    assert both[20:26, 0].max() == 0
    assert not np.array_equal(alone, both)
    middle = 0.5 * alone + 0.5 * said
    assert np.allclose(both[:15, 1:], middle[:15, 1:], atol=1e-6)


def test_between_steps_a_curve_is_linear() -> None:
    curve = MouthCurve(np.arange(18, dtype=np.float32).reshape(3, 6), start_ns=100)
    assert at(curve, 100).tolist() == [0, 1, 2, 3, 4, 5]
    assert at(curve, 100 + 30_000_000)[0] == 9
    assert at(curve, -5)[0] == 0 and at(curve, 10**12)[0] == 12


def test_broken_weights_are_refused(native: Any) -> None:
    data = write(small_net())
    for bad in (b"", data[:-1], data + b"\0", data[:40] + b"\xff" + data[41:], b"GGUF" + data[4:]):
        with pytest.raises(BadModelError, match=r"VisemeNet weights|truncated"):
            VisemeNet(bad)


def test_rows_end_in_silence() -> None:
    rows = mel_rows(np.zeros(0, np.float32))
    assert rows.shape == (6, 64) and np.allclose(rows, SILENT)
