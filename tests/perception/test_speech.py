"""What the speech channel believes, and that streaming changes nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.bench.hearing import spoken_words, word_errors
from edgevid.core.errors import MissingPartError
from edgevid.core.nouns import NS_PER_S, AudioChunk, Observation
from edgevid.media.wav import read_audio
from edgevid.models.store import ModelStore
from edgevid.perception.audio import default_channels, speech_channel
from edgevid.perception.moonshine import Transcript
from edgevid.perception.speech import UNRECOGNISED, SpeechChannel

Samples = npt.NDArray[np.float32]
RATE = 16_000

TWO_CITIES = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of "
    "foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the season of "
    "light, it was the season of darkness, it was the spring of hope, it was the winter of despair, we "
    "had everything before us, we had nothing before us, we were all going direct to heaven, we were all "
    "going direct the other way. In short, the period was so far like the present period, that some of "
    "its noisiest authorities insisted on its being received, for good or for evil, in the superlative "
    "degree of comparison only."
)
"""The opening of "A Tale of Two Cities", as the reader of speech.wav reads it."""


class Voice:
    """Voice activity by level, at a fixed confidence."""

    def __init__(self, confidence: float) -> None:
        self._confidence = confidence

    def __call__(self, windows: Samples) -> Samples:
        return np.where(np.abs(windows).max(axis=1, initial=0) > 0, self._confidence, 0).astype(np.float32)

    def reset(self) -> None: ...


def listen(transcripts: list[Transcript], *, voice: float = 0.9, level: float = 0.1) -> list[Observation]:
    """One second of sound and one of silence per transcript, given to the channel in one chunk."""
    answers: Iterator[Transcript] = iter(transcripts)
    channel = SpeechChannel(lambda _: next(answers), Voice(voice), model_id="test")
    second = np.concatenate([np.full(RATE, level, np.float32), np.zeros(RATE, np.float32)])
    return channel.push(AudioChunk(np.tile(second, len(transcripts)), RATE, 0)) + channel.flush()


def said(text: str, score: float, *, complete: bool = True) -> Transcript:
    return Transcript(text, math.log(score), complete)


def test_believed_words_are_reported_with_their_time() -> None:
    first, second = listen([said("One.", 0.9), said("Two.", 0.8)])
    assert (first.label, second.label) == ("One.", "Two.")
    assert first.kind == "speech" and first.model_id == "test" and first.score == pytest.approx(0.9)
    assert second.span.start_s == pytest.approx(2, abs=0.04) and second.span.end_s == pytest.approx(
        3, abs=0.04
    )


@pytest.mark.parametrize("transcript", [said("Guess.", 0.4), said("Loop loop loop", 0.9, complete=False)])
def test_guessed_words_are_not_reported(transcript: Transcript) -> None:
    (found,) = listen([transcript])
    assert found.label == UNRECOGNISED
    assert found.score == pytest.approx(0.9)  # how sure it is that somebody speaks
    assert listen([transcript], voice=0.6) == []


@pytest.mark.parametrize("text", ["", "♪♪♪", "...", " "])
def test_no_words_are_no_speech(text: str) -> None:
    assert listen([said(text, 0.95)]) == []


def test_doubt_lasts_for_a_while() -> None:
    labels = [o.label for o in listen([said("Garble.", 0.3), said("Maybe.", 0.6), said("Sure.", 0.9)])]
    assert labels == [UNRECOGNISED, UNRECOGNISED, "Sure."]
    labels = [o.label for o in listen([said("Sure.", 0.9), said("Maybe.", 0.6)])]
    assert labels == ["Sure.", "Maybe."]


def test_doubt_ends_with_the_stream() -> None:
    answers = iter([said("Garble.", 0.3), said("Maybe.", 0.6)])
    channel = SpeechChannel(lambda _: next(answers), Voice(0.9), model_id="test")
    second = AudioChunk(np.full(RATE, 0.1, np.float32), RATE, 0)
    later = AudioChunk(second.samples, RATE, 2 * NS_PER_S)
    found = [o for chunk in (second, later) for o in (*channel.push(chunk), *channel.flush())]
    assert [o.label for o in found] == [UNRECOGNISED, "Maybe."]


def test_a_whisper_below_the_noise_floor_is_not_transcribed() -> None:
    assert listen([said("Invented.", 0.9)], level=1e-4) == []


def test_missing_packs_name_the_command(tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = ModelStore(tmp_path_factory.mktemp("models"))
    with pytest.raises(MissingPartError) as caught:
        default_channels(empty, channels=["sound"])
    assert caught.value.fix == "edgevid models pull yamnet"
    with pytest.raises(MissingPartError) as caught:
        default_channels(empty, channels=["speech"])
    assert caught.value.fix == "edgevid models pull moonshine-tiny-en"
    assert default_channels(empty, channels=["object", "cut"]) == []


@pytest.fixture(scope="module")
def speech(store: ModelStore) -> Samples:
    return read_audio(store.where("sample-video")["speech.wav"])


@pytest.fixture(scope="module")
def channel(store: ModelStore) -> SpeechChannel:
    return speech_channel(store)


def hear(
    channel: SpeechChannel, sound: Samples, *, rate: int = RATE, size: int | None = None
) -> list[Observation]:
    size = size or sound.size
    starts = range(0, sound.size, size)
    chunks = (AudioChunk(sound[i : i + size], rate, i * NS_PER_S // rate) for i in starts)
    return [o for chunk in chunks for o in channel.push(chunk)] + channel.flush()


@pytest.mark.packs
def test_reads_a_tale_of_two_cities(channel: SpeechChannel, speech: Samples) -> None:
    found = hear(channel, speech)
    wanted = spoken_words(TWO_CITIES)
    errors = word_errors(wanted, spoken_words(" ".join(o.label for o in found)))
    assert errors / len(wanted) <= 0.06
    assert len(found) >= 6
    assert all(a.span.end_ns <= b.span.start_ns for a, b in pairwise(found))
    assert min(o.score for o in found) > 0.8


@pytest.mark.packs
@pytest.mark.parametrize("size", [160, 7_777])
def test_cutting_into_chunks_changes_nothing(channel: SpeechChannel, speech: Samples, size: int) -> None:
    start = speech[: 14 * RATE]
    assert hear(channel, start, size=size) == hear(channel, start)


@pytest.mark.packs
@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_other_sample_rates(channel: SpeechChannel, store: ModelStore, rate: int) -> None:
    sound = read_audio(store.where("sample-video")["speech.wav"], sample_rate=rate)[: 9 * rate]
    text = " ".join(o.label for o in hear(channel, sound, rate=rate, size=rate // 3))
    assert word_errors(spoken_words(TWO_CITIES)[:24], spoken_words(text)) <= 4


@pytest.mark.packs
def test_damaged_and_clipped_speech_is_survived(channel: SpeechChannel, speech: Samples) -> None:
    damaged = np.clip(speech[: 9 * RATE] * 100, -1, 1)
    damaged[::997] = np.nan
    found = hear(channel, damaged)
    assert all(0 <= o.score <= 1 and o.span.end_s <= 9.1 for o in found)


@pytest.mark.packs
def test_nobody_speaks(channel: SpeechChannel) -> None:
    rng = np.random.default_rng(0)
    clock = np.arange(20 * RATE) / RATE
    sounds = {
        "zeros": np.zeros(20 * RATE),
        "hiss": rng.normal(0, 0.1, 20 * RATE),
        "hum": 0.2 * np.sin(2 * np.pi * 50 * clock),
        "beeps": 0.3 * np.sin(2 * np.pi * 880 * clock) * (clock % 1 < 0.3),
        "chord": sum(0.1 * np.sin(2 * np.pi * hz * clock) for hz in (261.6, 329.6, 392.0)),
        "square": np.sign(np.sin(2 * np.pi * 120 * clock)),
    }
    heard = {name: hear(channel, np.asarray(sound, np.float32)) for name, sound in sounds.items()}
    assert not any(heard.values()), heard


@pytest.mark.packs
def test_faint_speech_is_heard(channel: SpeechChannel, speech: Samples) -> None:
    """16 dB below a reading that is itself at -37 dBFS."""
    assert [o.label for o in hear(channel, speech[: 9 * RATE] * 0.16)]
