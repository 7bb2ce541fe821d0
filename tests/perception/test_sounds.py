"""Spans out of looks: with a tagger that hears pitch, so every expected time is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevid.core.nouns import NS_PER_S, AudioChunk, Observation
from edgevid.models.store import ModelStore
from edgevid.perception.audio import sound_channel
from edgevid.perception.sounds import HOP, SoundChannel, SoundConfig, TagTracker
from edgevid.perception.yamnet import PATCH

Samples = npt.NDArray[np.float32]
RATE = 16_000
NAMES = ("low", "high", "Silence")


def hear_pitch(samples: Samples) -> Samples:
    """[share of the energy below 1 kHz, share above, whether there is none]."""
    power = np.square(np.abs(np.fft.rfft(samples)))
    split = power.size // 8
    total = float(power.sum())
    if total < 1e-3:
        return np.array([0, 0, 1], np.float32)
    return np.array([power[:split].sum() / total, power[split:].sum() / total, 0], np.float32)


def channel(config: SoundConfig | None = None) -> SoundChannel:
    return SoundChannel(hear_pitch, NAMES, model_id="pitch", config=config)


def tone(seconds: float, hz: float) -> Samples:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.float32)


def hear(sound: Samples, sizes: list[int] | None = None, *, at_s: float = 0.0) -> list[Observation]:
    listener, found, at = channel(), [], 0
    for size in [*(sizes or []), sound.size]:
        found += listener.push(AudioChunk(sound[at : at + size], RATE, round((at_s + at / RATE) * NS_PER_S)))
        at = min(sound.size, at + size)
    return found + listener.flush()


def test_sounds_get_their_times() -> None:
    sound = np.concatenate([silence(2), tone(5, 300), silence(3), tone(4, 4000), silence(3)])
    low, high = hear(sound, at_s=100.0)
    assert (low.label, high.label) == ("low", "high")
    assert low.kind == "sound" and low.model_id == "pitch" and low.score > 0.9
    assert low.span.start_s == pytest.approx(102, abs=1) and low.span.end_s == pytest.approx(107, abs=1)
    assert high.span.start_s == pytest.approx(110, abs=1) and high.span.end_s == pytest.approx(114, abs=1)


@pytest.mark.parametrize("seconds", [0.0, 0.1, 1.0, 30.0])
def test_silence_yields_nothing(seconds: float) -> None:
    assert hear(silence(seconds)) == []


def test_a_clip_shorter_than_a_patch_is_heard() -> None:
    (found,) = hear(tone(0.5, 300))
    assert found.label == "low" and (found.span.start_s, found.span.end_s) == (0, 0.5)


@pytest.mark.parametrize("seconds", [1.1, 2.0, 3.3, 4.9])
def test_no_sound_outlasts_its_stream(seconds: float) -> None:
    (found,) = hear(tone(seconds, 300))
    assert seconds - 0.3 < found.span.end_s <= seconds


def test_a_steady_sound_is_known_before_it_ends() -> None:
    listener = channel()
    early = [o for i in range(70) for o in listener.push(AudioChunk(tone(1, 300), RATE, i * NS_PER_S))]
    assert [round(o.span.end_s - o.span.start_s) for o in early] == [30, 30]
    spans = [o.span for o in [*early, *listener.flush()]]
    assert spans[0].start_ns == 0 and spans[-1].end_s == pytest.approx(70, abs=0.5)
    assert all(a.end_ns >= b.start_ns for a, b in pairwise(spans))


def test_a_seek_ends_what_was_heard() -> None:
    listener = channel()
    assert listener.push(AudioChunk(tone(3, 300), RATE, 0)) == []
    (first,) = listener.push(AudioChunk(tone(3, 300), RATE, 500 * NS_PER_S))
    assert first.span.end_s < 4
    (second,) = listener.flush()
    assert second.span.start_s == 500


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 20_000), max_size=15))
def test_cutting_into_chunks_changes_nothing(sizes: list[int]) -> None:
    sound = np.concatenate([tone(2.3, 300), silence(1.7), tone(1.9, 4000)])
    assert hear(sound, sizes) == hear(sound)


def test_one_look_must_be_sure_and_two_need_not() -> None:
    def track(*probabilities: float) -> list[tuple[int, int, int, float]]:
        tracker = TagTracker(config=SoundConfig(on=0.6, off=0.3, sure=0.8, gap=1))
        looks = [np.array([p, 0.0], np.float32) for p in probabilities]
        return [t for i, p in enumerate(looks) for t in tracker.push(i, p)] + list(tracker.flush())

    assert track(0.7) == []
    assert track(0.9) == [(0, 0, 0, pytest.approx(0.9))]
    assert track(0.7, 0.4) == [(0, 0, 1, pytest.approx(0.55))]
    assert track(0.5, 0.5, 0.5) == []
    assert track(0.9, 0.1, 0.4, 0.1, 0.1, 0.9) == [
        (0, 0, 2, pytest.approx(0.65)),
        (0, 5, 5, pytest.approx(0.9)),
    ]


def test_hours_of_changing_sound_hold_nothing() -> None:
    """Three hours; a tagger whose tags come and go at random."""
    rng = np.random.default_rng(1)
    listener = SoundChannel(
        lambda _: rng.uniform(0, 1, 50).astype(np.float32) ** 3,
        [str(i) for i in range(50)],
        model_id="random",
    )
    minute = silence(60)
    for i in range(180):
        listener.push(AudioChunk(minute, RATE, i * 60 * NS_PER_S))
        assert listener._samples.size < PATCH + HOP
        open_tags = listener._tracker._open.values()
        assert len(open_tags) <= 50
        assert sum(len(tag.probabilities) for tag in open_tags) <= 50 * 63


@pytest.mark.packs
def test_the_reading_is_speech_and_nothing_else(store: ModelStore) -> None:
    from edgevid.media.wav import read_audio

    listener = sound_channel(store)
    speech = read_audio(store.where("sample-video")["speech.wav"])[: 15 * RATE]
    found = listener.push(AudioChunk(speech, RATE, 0)) + listener.flush()
    assert {o.label for o in found} == {"Speech"}
    assert sum(o.span.end_s - o.span.start_s for o in found) > 11
