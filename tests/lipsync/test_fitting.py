"""Keeping up with a speaker: real espeak-ng, and a voice of exact lengths for the arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevid.core.nouns import NS_PER_S
from edgevid.lipsync.condensing import condensed
from edgevid.lipsync.espeak import EspeakVoice
from edgevid.lipsync.fitting import FittedVoice
from edgevid.lipsync.nouns import Clause
from edgevid.lipsync.protocols import SpokenAudio

MS = 1_000_000


class Metronome:
    """A tenth of a second per character at rate 1, ``error`` times that: 1 kHz of silence."""

    def __init__(self, error: float = 1.0) -> None:
        self.error = error
        self.rates: list[float] = []

    def speak(self, text: str, *, language: str, rate: float = 1.0, pitch: float = 1.0) -> SpokenAudio:
        self.rates.append(rate)
        return SpokenAudio(np.zeros(round(100 * len(text) * self.error / rate), np.float32), 1000, ())

    def close(self) -> None: ...


def clause(start_ms: int, end_ms: int, *, seq: int = 0) -> Clause:
    return Clause(seq, 0, "...", "en", start_ms * MS, end_ms * MS)


def words(characters: int) -> str:
    return ("abcd " * (characters // 5 + 1))[:characters].strip() or "a"


def test_a_text_that_fits_is_spoken_as_it_is() -> None:
    voice = Metronome()
    fitted = FittedVoice(voice)
    fitted.speak(clause(0, 4000), words(40), language="es")  # learns the voice
    voice.rates.clear()
    spoken = fitted.speak(clause(9000, 12_000), words(32), language="es")
    assert spoken.start_ns == 9000 * MS
    assert voice.rates == [pytest.approx(1.0)]
    assert fitted.condensed == fitted.worst_lag_ns == 0


@pytest.mark.parametrize(("characters", "rate"), [(20, 0.9), (29, 0.967), (36, 1.09), (42, 1.27), (50, 1.35)])
def test_speed_follows_the_length(characters: int, rate: float) -> None:
    """The clause lasts 3 s, a pause may take 0.3 s more."""
    voice = Metronome()
    fitted = FittedVoice(voice)
    fitted.speak(clause(0, 4000), "abcdefghijklmnopqrst", language="es")  # learns the voice
    fitted.speak(clause(400_000, 403_000), "a" * characters, language="es")
    assert voice.rates[-1] == pytest.approx(rate, rel=0.02)


def test_what_comes_next_waits_and_catches_up() -> None:
    fitted = FittedVoice(Metronome())
    first = fitted.speak(clause(0, 3000), words(50), language="es")
    second = fitted.speak(clause(3000, 6000), words(20), language="es")
    third = fitted.speak(clause(7000, 9000), words(15), language="es")
    assert second.start_ns == first.end_ns
    assert third.start_ns == 7000 * MS
    assert fitted.worst_lag_ns == second.start_ns - 3000 * MS


def test_too_much_is_condensed_and_counted() -> None:
    fitted = FittedVoice(Metronome())
    spoken = fitted.speak(clause(0, 1000), words(200), language="es")
    assert len(spoken.samples) <= 4000
    assert fitted.condensed == 1
    assert fitted.dropped_words == 40 - len(spoken.text.split())
    assert spoken.text


def test_a_live_stream_counts_from_now() -> None:
    fitted = FittedVoice(Metronome())
    spoken = fitted.speak(clause(0, 3000), words(30), language="es", earliest_ns=3500 * MS)
    assert spoken.start_ns == 3500 * MS
    assert fitted.worst_lag_ns == 0
    fitted.reset()
    assert fitted.speak(clause(3000, 4000), "a", language="es", earliest_ns=3600 * MS).start_ns == 3600 * MS


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(200, 9000), st.integers(0, 400)), max_size=25),
    st.floats(0.4, 2.5),
)
def test_the_lag_is_bounded_whatever_is_said(said: list[tuple[int, int, int]], error: float) -> None:
    """Each of ``said`` is a pause, a clause (ms), and the characters of its translation."""
    fitted, now, end_ns = FittedVoice(Metronome(error)), 0, 0
    for number, (pause, length, characters) in enumerate(said):
        now += pause
        spoken = fitted.speak(clause(now, now + length, seq=number), words(characters), language="es")
        assert spoken.start_ns >= max(end_ns, now * MS)
        assert spoken.start_ns - now * MS <= 3 * NS_PER_S + 20 * MS
        now, end_ns = now + length, spoken.end_ns
    assert fitted.worst_lag_ns <= 3 * NS_PER_S + 20 * MS


def test_real_clauses_keep_up(voice: EspeakVoice) -> None:
    """A fast speaker: each translation takes longer than its clause, for a minute without a pause."""
    fitted = FittedVoice(voice)
    text = "Así que, mis compatriotas, no preguntéis qué puede hacer vuestro país por vosotros."
    for number in range(20):
        spoken = fitted.speak(clause(3000 * number, 3000 * number + 3000, seq=number), text, language="es")
        assert spoken.start_ns <= (3000 * number + 3000) * MS
        assert spoken.text
    assert fitted.worst_lag_ns <= 3 * NS_PER_S
    assert fitted.condensed > 0
    assert fitted.dropped_words > 0


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("Hola, mi amigo.", 15, "Hola, mi amigo."),
        ("El perro (que es grande) duerme.", 20, "El perro duerme."),
        ("Pues, el perro, o sea, duerme.", 20, "el perro, duerme."),
        ("El perro duerme, el gato come, la vaca canta.", 30, "El perro duerme, el gato come,"),
        ("El perro marrón duerme", 17, "El perro marrón"),
        ("Supercalifragilístico", 5, ""),
        ("", 5, ""),
        ("Hola", 0, ""),
    ],
)
def test_condensing(text: str, most: int, expected: str) -> None:
    assert condensed(text, most, language="es") == expected


@given(st.text(max_size=80), st.integers(0, 80), st.sampled_from(["en", "es", "xx"]))
def test_condensing_never_grows_and_keeps_words_whole(text: str, most: int, language: str) -> None:
    shorter = condensed(text, most, language=language)
    assert len(shorter) <= most
