"""The real espeak-ng in its worker: sound, phonemes, speed, pitch, and what happens when it is killed."""

from __future__ import annotations

import ast
import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgevid.core.errors import BadInputError, EdgevidError, MissingPartError
from edgevid.lipsync import espeak
from edgevid.lipsync.espeak import EspeakVoice
from edgevid.lipsync.pitch import median_hz

_TEXTS = {
    "es": "El zorro marrón rápido salta el perro perezoso, y mañana iremos a la ciudad.",
    "en-us": "The quick brown fox jumps over the lazy dog, and tomorrow we go to town.",
    "de": "Der schnelle braune Fuchs springt über den faulen Hund, und morgen gehen wir in die Stadt.",
}


def test_sound_and_phonemes(voice: EspeakVoice) -> None:
    spoken = voice.speak("Hola, mi amigo.", language="es")
    assert spoken.rate == 22_050
    assert spoken.samples.dtype == np.float32
    assert 0.05 < np.abs(spoken.samples).max() <= 1.0
    assert "".join(p.symbol for p in spoken.phonemes) == "olamiamiɣo"
    length_ns = len(spoken.samples) * 1_000_000_000 // spoken.rate
    edges = [t for p in spoken.phonemes for t in (p.start_ns, p.end_ns)]
    assert edges == sorted(edges)
    assert edges[0] >= 0
    assert edges[-1] <= length_ns
    pause = next(
        b.start_ns - a.end_ns for a, b in zip(spoken.phonemes, spoken.phonemes[1:]) if b.symbol == "m"
    )
    assert pause > 100_000_000  # the comma


def test_phonemes_stand_where_they_sound(voice: EspeakVoice) -> None:
    """A hiss is where zero crossings are densest."""
    spoken = voice.speak("asa", language="es")
    (hiss,) = [p for p in spoken.phonemes if p.symbol == "s"]
    crossings = np.abs(np.diff(np.signbit(spoken.samples).astype(np.int8)))
    smooth = np.convolve(crossings, np.ones(441) / 441, mode="same")
    at_ns = int(smooth.argmax()) * 1_000_000_000 // spoken.rate
    assert hiss.start_ns <= at_ns <= hiss.end_ns


@pytest.mark.parametrize("language", _TEXTS)
@pytest.mark.parametrize("rate", [0.9, 1.1, 1.35])
def test_rate_is_how_much_faster_it_gets(voice: EspeakVoice, language: str, rate: float) -> None:
    plain = voice.speak(_TEXTS[language], language=language)
    changed = voice.speak(_TEXTS[language], language=language, rate=rate)
    assert len(plain.samples) / len(changed.samples) == pytest.approx(rate, rel=0.05)


@pytest.mark.parametrize("language", _TEXTS)
@pytest.mark.parametrize("pitch", [0.8, 1.3, 1.6, 2.2])
def test_pitch_is_how_much_higher_it_gets(voice: EspeakVoice, language: str, pitch: float) -> None:
    plain = voice.speak(_TEXTS[language], language=language)
    changed = voice.speak(_TEXTS[language], language=language, pitch=pitch)
    hz, changed_hz = median_hz(plain.samples, plain.rate), median_hz(changed.samples, changed.rate)
    assert hz is not None
    assert changed_hz is not None
    assert changed_hz / hz == pytest.approx(pitch, rel=0.08)


@pytest.mark.parametrize("text", ["", " ", "...", "\0"])
def test_nothing_to_say_is_no_sound(voice: EspeakVoice, text: str) -> None:
    spoken = voice.speak(text, language="es")
    assert len(spoken.samples) == 0
    assert spoken.phonemes == ()


def test_any_text_can_be_spoken(voice: EspeakVoice) -> None:
    for text in (
        "日本語 😀 שלום",
        "a\u0301\u202e",
        "lone \ud800 x",
        "<speak>&amp;</speak>",
        "a\0b",
        "[[xyz]]",
    ):
        assert len(voice.speak(text, language="es").samples) > 0
    long = voice.speak("El perro duerme. " * 118, language="es")
    assert len(long.samples) / long.rate > 60
    with pytest.raises(BadInputError, match="limit"):
        voice.speak("a" * 10_001, language="es")
    assert voice.restarts == 0


def test_spelling(voice: EspeakVoice) -> None:
    spelt = voice.spell("Hola, mi amigo. ¿Qué tal?", language="es")
    assert spelt.replace("ˈ", "").split() == ["ola", "mi", "amiɣo", "ke", "tal"]
    assert voice.spell("", language="es") == ""
    assert len(voice.spell("El perro duerme. " * 118, language="es").split()) == 3 * 118


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60))
def test_no_text_kills_the_worker(voice: EspeakVoice, text: str) -> None:
    spoken = voice.speak(text, language="es")
    assert all(0 <= p.start_ns < p.end_ns for p in spoken.phonemes)
    voice.spell(text, language="en")
    assert voice.restarts == 0


def test_a_language_it_does_not_speak(voice: EspeakVoice) -> None:
    with pytest.raises(MissingPartError, match="no voice 'xx'"):
        voice.speak("hello", language="xx")
    assert len(voice.speak("hola", language="es").samples) > 0


def test_a_killed_worker_loses_no_clause(voice: EspeakVoice) -> None:
    before = voice.speak(_TEXTS["es"], language="es")
    os.kill(voice.pids[0], signal.SIGKILL)
    after = voice.speak(_TEXTS["es"], language="es")
    assert np.array_equal(before.samples, after.samples)
    assert voice.restarts == 1


def test_a_worker_killed_mid_clause_loses_no_clause(voice: EspeakVoice) -> None:
    text = "El perro duerme. " * 500  # 0.4 s of work
    expected = len(voice.speak(text, language="es").samples)
    killer = threading.Timer(0.1, os.kill, (voice.pids[0], signal.SIGKILL))
    killer.start()
    spoken = voice.speak(text, language="es")
    killer.join()
    assert len(spoken.samples) == expected
    assert len(voice.speak("hola", language="es").samples) > 0
    assert voice.restarts == 1


def test_no_library_is_said_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(MissingPartError, match="espeak-ng is missing") as raised:
        EspeakVoice(library=str(tmp_path / "libnothing.so"))
    assert raised.value.fix == espeak.INSTALL
    with pytest.raises(MissingPartError, match="undefined symbol"):
        EspeakVoice(library="libc.so.6")


def test_a_library_without_its_data_is_said(voice: EspeakVoice, tmp_path: Path) -> None:
    with pytest.raises(EdgevidError, match="espeak-ng"):
        EspeakVoice(library="libespeak-ng.so.1", data=tmp_path)


def test_the_library_of_the_package_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("espeakng_loader", reason="pip install espeakng-loader")
    monkeypatch.setattr(espeak, "_SYSTEM_LIBRARY", "libnothing.so")
    voice = EspeakVoice()
    spoken = voice.speak("Hola, mi amigo.", language="es")
    assert "".join(p.symbol for p in spoken.phonemes) == "olamiamiɣo"
    voice.close()


def test_the_worker_stands_alone() -> None:
    """GPL: no import of edgevid, the standard library alone."""
    nodes = list(ast.walk(ast.parse(espeak._WORKER.read_text())))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert imported <= sys.stdlib_module_names
