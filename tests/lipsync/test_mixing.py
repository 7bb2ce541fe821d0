"""The mixer: what stays, what steps back, and that no sample is lost, whatever the order of arrival."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevid.core.nouns import AudioChunk
from edgevid.lipsync.flow import DubbedSound, Settled, Talk
from edgevid.lipsync.hearing import Generation
from edgevid.lipsync.mixing import Mixer
from edgevid.lipsync.nouns import Clause, SpokenClause

_RATE = 8_000
_S = 1_000_000_000


def _chunk(start_s: float, seconds: float, value: float = 0.5) -> AudioChunk:
    return AudioChunk(np.full(round(seconds * _RATE), value, np.float32), _RATE, round(start_s * _S))


def _talk(
    start_s: float, end_s: float, *, seconds: float, at_s: float | None = None, value: float = 0.1
) -> Talk:
    clause = Clause(0, 0, "said", "en", round(start_s * _S), round(end_s * _S))
    samples = np.full(round(seconds * _RATE), value, np.float32)
    start_ns = clause.start_ns if at_s is None else round(at_s * _S)
    return Talk(SpokenClause(clause, "dicho", "es", samples, _RATE, (), start_ns), None)


def _run(mixer: Mixer, *items: AudioChunk | Talk | Settled) -> list[DubbedSound]:
    return [given for item in items for given in mixer(item)] + list(mixer.flush())


def _whole(sounds: list[DubbedSound]) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.concatenate([sound.samples for sound in sounds])


def test_without_clauses_sound_passes_bit_by_bit() -> None:
    noise = np.random.default_rng(1).uniform(-1, 1, 4 * _RATE).astype(np.float32)
    chunks = [AudioChunk(part, _RATE, n * _S) for n, part in enumerate(np.split(noise, 4))]
    assert np.array_equal(_whole(_run(Mixer(generation=Generation()), *chunks)), noise)


def test_speech_goes_and_ambience_stays_inside_the_clause_only() -> None:
    random = np.random.default_rng(3)
    time = np.arange(4 * _RATE) / _RATE
    hum = 0.1 * np.sin(2 * np.pi * 180 * time)
    syllables = np.where((time * 8).astype(int) % 2 == 0, 0.3, 0.0) * random.normal(size=time.size)
    speech = np.where((time > 1.6) & (time < 2.4), syllables, 0.0)
    original = np.clip(hum + speech, -1, 1).astype(np.float32)
    chunks = [AudioChunk(part, _RATE, n * _S // 2) for n, part in enumerate(np.split(original, 8))]
    mixer = Mixer(generation=Generation())
    first = [given for item in [*chunks, Settled(round(1.4 * _S), False)] for given in mixer(item)]
    heard = _whole(first + _run(mixer, _talk(1.6, 2.4, seconds=0.1, value=0.0)))
    outside = (time < 1.4) | (time > 2.6)
    assert np.array_equal(heard[outside], original[outside])
    inside = slice(round(1.6 * _RATE), round(2.4 * _RATE))
    left = heard[inside] - hum[inside]
    assert np.std(left) < 0.25 * np.std(speech[inside])
    kept = np.dot(heard[inside], hum[inside]) / np.dot(hum[inside], hum[inside])
    assert 0.7 < kept < 1.3
    assert np.abs(np.diff(heard[: round(1.59 * _RATE)])).max() < 0.05  # no click


def test_a_dub_longer_than_the_source_is_heard_to_its_end() -> None:
    sounds = _run(Mixer(generation=Generation()), _chunk(0, 1, 0.0), _talk(0.5, 1.0, seconds=2.0))
    heard = _whole(sounds)
    assert heard.size == round(2.5 * _RATE)
    assert heard[round(0.5 * _RATE) :] == pytest.approx(0.1)
    assert not sounds[-1].original.any()


def test_sound_waits_until_it_is_settled() -> None:
    mixer = Mixer(generation=Generation())
    assert not list(mixer(_chunk(0, 1)))
    assert not list(mixer(Settled(1 * _S, False)))  # a clause found now still reaches back by its margin
    assert len(list(mixer(Settled(round(1.2 * _S), False)))) == 1


def test_a_clause_is_told_with_the_sound_it_begins_in() -> None:
    talk = _talk(1.5, 1.8, seconds=0.2)
    sounds = _run(Mixer(generation=Generation()), _chunk(0, 1), _chunk(1, 1), _chunk(2, 1), talk)
    assert [sound.talks for sound in sounds] == [(), (talk,), ()]
    assert [sound.speaking for sound in sounds] == [False, True, False]


def test_live_a_clause_is_placed_ahead_of_what_was_heard() -> None:
    mixer = Mixer(generation=Generation(), live=True, lead_ns=_S // 10)
    assert not list(mixer(_chunk(0, 1)))
    (first,) = mixer(Settled(0, False))
    assert first.samples.size == _RATE and not first.speaking
    list(mixer(_talk(0.2, 0.6, seconds=0.3)))
    list(mixer(_talk(0.6, 0.9, seconds=0.3)))
    list(mixer(_chunk(1, 1)))
    (second,) = mixer(Settled(0, True))
    assert second.speaking
    assert [talk.spoken.start_ns for talk in second.talks] == [1_100_000_000, 1_400_000_000]


def test_live_a_clause_waits_for_others_but_not_for_stale_ones() -> None:
    generation = Generation()
    mixer = Mixer(generation=generation, live=True, lead_ns=_S // 10)
    list(mixer(_chunk(0, 1)))
    list(mixer(Settled(0, False)))
    list(mixer(_talk(0.2, 0.6, seconds=5)))
    assert mixer.now_ns == 1_100_000_000  # so that a voice can tell how long it is kept waiting
    generation.bump()
    list(mixer(_chunk(1, 1)))
    list(mixer(Settled(0, False)))
    fresh = _talk(1.2, 1.6, seconds=0.3)
    fresh = Talk(replace(fresh.spoken, clause=replace(fresh.spoken.clause, generation=1)), None)
    list(mixer(fresh))
    list(mixer(_chunk(2, 1)))
    (sound,) = mixer(Settled(0, False))
    assert [talk.spoken.start_ns for talk in sound.talks] == [2_100_000_000]


def test_after_barge_in_a_voice_ends_within_10_ms() -> None:
    generation = Generation()
    mixer = Mixer(generation=generation, live=True)
    list(mixer(_chunk(0, 1, 0.0)))
    list(mixer(Settled(0, False)))
    list(mixer(_talk(0.2, 0.9, seconds=5)))
    list(mixer(_chunk(1, 1, 0.0)))
    (before,) = mixer(Settled(0, False))
    assert before.samples == pytest.approx(0.1)
    generation.bump()
    list(mixer(_talk(0.9, 1.0, seconds=1)))  # of the old generation: never heard
    list(mixer(_chunk(2, 1, 0.0)))
    (after,) = mixer(Settled(0, False))
    assert after.samples[round(0.01 * _RATE) :] == pytest.approx(0)
    assert after.samples[1] == pytest.approx(0.1, abs=0.01)


@settings(max_examples=50, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 2 * _RATE), max_size=6),
    start_s=st.floats(0, 2),
    length_s=st.floats(0.1, 2),
    spoken_s=st.floats(0.05, 3),
)
def test_chunks_do_not_change_what_is_heard(
    cuts: list[int], start_s: float, length_s: float, spoken_s: float
) -> None:
    noise = np.random.default_rng(2).uniform(-0.5, 0.5, 2 * _RATE).astype(np.float32)
    edges = sorted({0, 2 * _RATE, *cuts})
    chunks = [AudioChunk(noise[a:b], _RATE, a * _S // _RATE) for a, b in pairwise(edges)]
    talk = _talk(start_s, start_s + length_s, seconds=spoken_s)
    whole = _whole(_run(Mixer(generation=Generation()), talk, AudioChunk(noise, _RATE, 0), talk))
    parts = _whole(_run(Mixer(generation=Generation()), *chunks, talk))
    assert parts.size == whole.size
    assert parts == pytest.approx(whole, abs=1e-4)
