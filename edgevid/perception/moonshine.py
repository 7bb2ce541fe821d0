"""Moonshine speech recognition: the greedy decode loop over its encoder and its cached decoder.

Jeffries et al., "Moonshine: Speech Recognition for Live Transcription and Voice Commands", arXiv 2410.15608.
The encoder eats raw samples (one vector per 384); the decoder is the usual one with cross attention, merged
so that one file serves the first step (``use_cache_branch`` false, makes the cross-attention cache) and all
later ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import BadModelError
from edgevid.models.session import Array, Session
from edgevid.perception.audio_intake import RATE

_START, _END = 1, 2
_SPECIAL = 3  # <unk>, <s>, </s>
_TOKENS_PER_S, _TOKENS_FREE = 6.5, 4  # the authors' bound on the rate; a short word needs a little more
_MIN_SAMPLES = 2048  # shorter input leaves the encoder no frame
_LOOP_TOKENS = 12
_TAIL, _SHORT = RATE, 3 * RATE  # silence after a short utterance, whose last word is else often misheard


@dataclass(frozen=True, slots=True)
class Transcript:
    """What one utterance was taken to say.

    Attributes:
        text: UTF-8, stripped.
        log_probability: mean over the tokens, the end token included; 0 when there is none.
        complete: the model ended it itself; False when it ran into the token limit or a loop.
    """

    text: str
    log_probability: float
    complete: bool


class Moonshine:
    """One recogniser. Not thread-safe.

    Args:
        encoder: input_values float32 [1, samples] (and attention_mask int64 [1, samples] in newer exports)
            -> last_hidden_state [1, frames, width].
        decoder: input_ids, encoder_hidden_states, caches, use_cache_branch -> logits [1, 1, vocabulary] and
            caches [1, heads, steps, head_dim].
        vocabulary: bytes of every token, see ``read_vocabulary``.
    """

    def __init__(self, encoder: Session, decoder: Session, vocabulary: list[bytes]) -> None:
        self._encoder, self._decoder, self._vocabulary = encoder, decoder, vocabulary
        self._masks_encoder = any(port.name == "attention_mask" for port in encoder.info.inputs)
        inputs = {port.name: port.shape for port in decoder.info.inputs}
        self._masks_decoder = "encoder_attention_mask" in inputs
        self._caches = [name for name in inputs if name.startswith("past_key_values.")]
        if not self._caches:
            raise BadModelError(f"{decoder.info.name}: a speech decoder without cache inputs")
        _, heads, _, head_dim = inputs[self._caches[0]]
        if not isinstance(heads, int) or not isinstance(head_dim, int):
            raise BadModelError(f"{decoder.info.name}: cache {self._caches[0]} has no fixed shape")
        self._no_cache = np.zeros((1, heads, 0, head_dim), np.float32)
        self._outputs = ["logits", *(name.replace("past_key_values", "present") for name in self._caches)]

    def __call__(self, samples: npt.NDArray[np.float32]) -> Transcript:
        """Transcribe float32 [n] at 16 kHz, best up to about 30 s."""
        tail = _TAIL if samples.size < _SHORT else 0
        samples = np.pad(samples, (0, max(tail, _MIN_SAMPLES - samples.size)))[None]
        mask = np.ones(samples.shape, np.int64)
        heard = {"input_values": samples} | ({"attention_mask": mask} if self._masks_encoder else {})
        (states,) = self._encoder.run(heard, ("last_hidden_state",))
        # The decoder's mask is over samples too: the export thins it out to encoder frames itself.
        fixed = {"encoder_hidden_states": states} | (
            {"encoder_attention_mask": mask} if self._masks_decoder else {}
        )
        tokens, total = self._decode(
            fixed, limit=math.ceil(samples.size / RATE * _TOKENS_PER_S) + _TOKENS_FREE
        )
        text = b"".join(self._vocabulary[t] for t in tokens if t >= _SPECIAL).decode("utf-8", "replace")
        return Transcript(text.replace("▁", " ").strip(), total / len(tokens), tokens[-1] == _END)

    def _decode(self, fixed: dict[str, Array], *, limit: int) -> tuple[list[int], float]:
        """Greedy tokens, the end token included when reached, and the sum of their log probabilities."""
        caches: dict[str, Array] = dict.fromkeys(self._caches, self._no_cache)
        tokens: list[int] = []
        total = 0.0
        while len(tokens) < limit and not _loops(tokens):
            feed = {
                "input_ids": np.array([[tokens[-1] if tokens else _START]], np.int64),
                "use_cache_branch": np.array([bool(tokens)]),
            }
            logits, *present = self._decoder.run(fixed | caches | feed, self._outputs)
            for name, value in zip(self._caches, present, strict=True):
                if not tokens or ".decoder." in name:  # later steps return no cross-attention cache
                    caches[name] = value
            token, log_probability = _best(logits[0, -1, : len(self._vocabulary)])
            tokens.append(token)
            total += log_probability
            if token == _END:
                break
        return tokens, total


def read_vocabulary(path: Path) -> list[bytes]:
    """Read ``tokenizer.bin``: per token its length (one byte, or two: 128 + low, high) and its bytes.

    Raises:
        BadModelError: the file ends inside a token.
    """
    data, at = path.read_bytes(), 0
    tokens: list[bytes] = []
    while at < len(data):
        length, at = data[at], at + 1
        if length >= 128 and at < len(data):
            length, at = length - 128 + 128 * data[at], at + 1
        if at + length > len(data):
            raise BadModelError(f"{path.name}: token {len(tokens)} runs past the end of the file")
        tokens.append(data[at : at + length])
        at += length
    if len(tokens) <= _SPECIAL:
        raise BadModelError(f"{path.name}: holds no vocabulary")
    return tokens


def _best(logits: npt.NDArray[np.float32]) -> tuple[int, float]:
    token = int(logits.argmax())
    return token, -math.log(float(np.exp(logits.astype(np.float64) - float(logits[token])).sum()))


def _loops(tokens: list[int]) -> bool:
    """The last tokens are one phrase said over and over: four times, and at least 12 tokens in all."""
    for period in range(1, len(tokens) // 4 + 1):
        length = max(4 * period, -(-_LOOP_TOKENS // period) * period)
        tail = tokens[-length:]
        if len(tail) == length and tail[period:] == tail[:-period]:
            return True
    return False
