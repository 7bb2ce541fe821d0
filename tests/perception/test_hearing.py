"""The audio channels on real recordings, against transcripts and speaker times.

Bounds are a little wider than what was measured (docs/model_cards).
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from edgevid.bench.hearing import FrameScore, frame_score, read_rttm, spoken_words, word_errors
from edgevid.core.nouns import AudioChunk, Observation
from edgevid.media.wav import read_audio
from edgevid.models.session import onnx_session
from edgevid.models.store import ModelStore
from edgevid.perception.audio import sound_channel, speech_channel
from edgevid.perception.audio_intake import RATE, Block
from edgevid.perception.protocols import AudioChannel
from edgevid.perception.segmenter import Segmenter
from edgevid.perception.speech import UNRECOGNISED, SpeechChannel
from edgevid.perception.vad import SileroVad

pytestmark = pytest.mark.packs

RTTM = (
    ("sample", "sample.wav", "sample.rttm"),
    ("dev00", "ami_dev00.wav", "ami_debug.development.rttm"),
    ("trn01", "ami_trn01.wav", "ami_debug.train.rttm"),
)


@pytest.fixture(scope="module")
def speech(store: ModelStore) -> SpeechChannel:
    return speech_channel(store)


def hear(channel: AudioChannel, path: Path) -> list[Observation]:
    return channel.push(AudioChunk(read_audio(path), RATE, 0)) + channel.flush()


def test_voice_activity_against_speaker_times(store: ModelStore, test_data: Path) -> None:
    vad = SileroVad(onnx_session(store.where("silero-vad")["model.onnx"]))
    total = FrameScore()
    for recording, sound, turns in RTTM:
        samples = read_audio(test_data / "vad" / sound)
        segmenter = Segmenter(vad)
        found = [*segmenter.push(Block(samples, 0, False)), *segmenter.flush()]
        wanted = read_rttm((test_data / "vad" / turns).read_text(), recording=recording)
        total += frame_score(wanted, [u.span for u in found], duration_s=samples.size / RATE)
    assert total.f1 > 0.88 and total.precision > 0.95


def test_voice_activity_does_not_depend_on_the_call(store: ModelStore, test_data: Path) -> None:
    vad = SileroVad(onnx_session(store.where("silero-vad")["model.onnx"]))
    windows = read_audio(test_data / "vad" / "sample.wav")[: 300 * 512].reshape(-1, 512)
    at_once = vad(windows)
    vad.reset()
    one_by_one = np.concatenate([vad(windows[i : i + 1]) for i in range(len(windows))])
    np.testing.assert_allclose(at_once, one_by_one, atol=1e-6)


def test_words_of_clean_english(speech: SpeechChannel, test_data: Path) -> None:
    errors = words = 0
    for path, text in clean_english(test_data / "audio"):
        wanted = spoken_words(text)
        errors += word_errors(wanted, spoken_words(" ".join(o.label for o in hear(speech, path))))
        words += len(wanted)
    assert words > 150
    assert errors / words < 0.08


@pytest.mark.parametrize("name", ["pico_test_de", "pico_test_es", "pico_test_fr"])
def test_other_languages_are_not_put_into_english(speech: SpeechChannel, test_data: Path, name: str) -> None:
    found = hear(speech, test_data / "audio" / f"{name}.wav")
    assert {o.label for o in found} == {UNRECOGNISED}


@pytest.mark.parametrize(
    "name", ["audio/rain.mp3", "audio/crunching.mp3", "audio/sb_noise1.wav", "audio/sb_noise2.wav",
             "audio/kws/noise_1000ms.wav", "video/chaplin.mp4", "video/bigbuckbunny.mp4"]
)  # fmt: skip
def test_nothing_is_said_in_noise_and_music(speech: SpeechChannel, test_data: Path, name: str) -> None:
    assert hear(speech, test_data / name) == []


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("audio/rain.mp3", {"Rain", "Thunderstorm", "Water"}),
        ("audio/crunching.mp3", {"Crunch"}),
        ("audio/jfk.wav", {"Speech"}),
        ("video/chaplin.mp4", {"Music"}),
        ("video/bigbuckbunny.mp4", {"Music"}),
        ("video/nasa_13013.mp4", {"Speech", "Music"}),
        ("audio/kws/noise_1000ms.wav", {"Pink noise"}),
    ],
)
def test_sounds_of_real_recordings(store: ModelStore, test_data: Path, name: str, labels: set[str]) -> None:
    assert labels <= {o.label for o in hear(sound_channel(store), test_data / name)}


def test_utterances_are_where_the_words_are(speech: SpeechChannel, test_data: Path) -> None:
    """Against the word times of GRID clips (unit: 1/25000 s)."""
    clips = sorted((test_data / "talking/grid/s1").glob("*.align"))[:20]
    late = []
    for clip in clips:
        words = [line.split() for line in clip.read_text().splitlines()]
        spoken = [(int(a) / 25_000, int(b) / 25_000) for a, b, word in words if word not in ("sil", "sp")]
        found = hear(speech, clip.with_suffix(".mpg"))
        assert found
        late.append((found[0].span.start_s - spoken[0][0], found[-1].span.end_s - spoken[-1][1]))
    starts, ends = np.abs(np.array(late)).T
    assert np.median(starts) < 0.15 and np.median(ends) < 0.25


def clean_english(audio: Path) -> list[tuple[Path, str]]:
    pairs = [
        (
            audio / "jfk.wav",
            "And so, my fellow Americans, ask not what your country can do for you,"
            " ask what you can do for your country.",
        ),
        (audio / "new-home-in-the-stars-16k.wav", "we must find a new home in the stars"),
        (
            audio / "pico_test.wav",
            "Mr quilter is the apostle of the middle classes and we are glad to welcome his gospel",
        ),
    ]
    for listing in (audio / "librivox/transcription", audio / "cards/cards.transcription"):
        for text, name in re.findall(r"<s> (.*?)\s*</s> \((.*)\)", listing.read_text()):
            pairs.append((listing.parent / f"{name}.wav", text))
    with (audio / "sb_asr/ASR_train.csv").open() as rows:
        pairs += [(audio / "sb_asr" / f"{row['ID']}.wav", row["wrd"]) for row in csv.DictReader(rows)]
    return pairs
