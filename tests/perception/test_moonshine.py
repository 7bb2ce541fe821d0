from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevid.bench.hearing import spoken_words, word_errors
from edgevid.core.errors import BadModelError
from edgevid.media.wav import read_audio
from edgevid.models.session import Array, Session, SessionInfo, onnx_session
from edgevid.models.store import ModelStore
from edgevid.perception.audio_intake import RATE
from edgevid.perception.moonshine import Moonshine, _loops, read_vocabulary


@pytest.fixture(scope="module")
def tiny(store: ModelStore) -> Moonshine:
    files = store.where("moonshine-tiny-en")
    return Moonshine(
        onnx_session(files["encoder.ort"]),
        onnx_session(files["decoder.ort"]),
        read_vocabulary(files["tokenizer.bin"]),
    )


@given(st.lists(st.binary(max_size=300), min_size=4, max_size=20))
def test_vocabulary_of_any_tokens(tmp_path_factory: pytest.TempPathFactory, tokens: list[bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "tokenizer.bin"
    path.write_bytes(b"".join(_length(len(token)) + token for token in tokens))
    assert read_vocabulary(path) == tokens


@pytest.mark.parametrize(
    "data", [b"", b"\x01a\x01b", b"\x05abc", b"\x01a\x01b\x01c\x80", b"\x01a\x01b\x01c\xff\x7f"]
)
def test_broken_vocabularies_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "tokenizer.bin"
    path.write_bytes(data)
    with pytest.raises(BadModelError, match=r"tokenizer\.bin"):
        read_vocabulary(path)


@pytest.mark.parametrize("period", [1, 2, 3, 5])
def test_a_phrase_said_over_and_over_is_a_loop(period: int) -> None:
    tokens = [90, 91, *list(range(10, 10 + period)) * 20]
    first = next(n for n in range(len(tokens) + 1) if _loops(tokens[:n]))
    assert 12 <= first - 2 <= max(12, 4 * period) + period
    assert not _loops(list(range(60)))


def test_an_emphatic_repetition_is_no_loop() -> None:
    assert not _loops([5, 6] + [7, 8] * 5 + [9])


@pytest.mark.packs
def test_reads_a_sentence(tiny: Moonshine, store: ModelStore) -> None:
    speech = read_audio(store.where("sample-video")["speech.wav"])
    heard = tiny(speech[int(8.6 * 16_000) : int(13.1 * 16_000)])
    wanted = spoken_words("It was the epoch of belief. It was the epoch of incredulity.")
    assert word_errors(wanted, spoken_words(heard.text)) <= 1
    assert heard.complete
    assert -0.2 < heard.log_probability < 0


@pytest.mark.packs
@pytest.mark.parametrize("samples", [0, 1, 500, 2_048])
def test_very_short_sound_is_transcribed_without_error(tiny: Moonshine, samples: int) -> None:
    heard = tiny(np.zeros(samples, np.float32))
    assert len(heard.text) < 40


class Listening:
    """An encoder that notes how much sound it was given."""

    def __init__(self, session: Session) -> None:
        self.info, self.heard, self._session = session.info, [], session

    info: SessionInfo
    heard: list[int]

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> tuple[Array, ...]:
        self.heard.append(inputs["input_values"].shape[1])
        return self._session.run(inputs, outputs)


@pytest.mark.packs
def test_a_short_utterance_is_given_silence_after_its_end(store: ModelStore) -> None:
    files = store.where("moonshine-tiny-en")
    encoder = Listening(onnx_session(files["encoder.ort"]))
    decoder = onnx_session(files["decoder.ort"])
    recogniser = Moonshine(encoder, decoder, read_vocabulary(files["tokenizer.bin"]))
    for seconds in (1, 4):
        recogniser(np.zeros(seconds * RATE, np.float32))
    assert encoder.heard == [2 * RATE, 4 * RATE]


@pytest.mark.packs
def test_other_networks_are_refused(store: ModelStore) -> None:
    other = onnx_session(store.where("silero-vad")["model.onnx"])
    with pytest.raises(BadModelError, match="without cache inputs"):
        Moonshine(other, other, [b""])


def _length(n: int) -> bytes:
    return bytes([n]) if n < 128 else bytes([128 + n % 128, n // 128])
