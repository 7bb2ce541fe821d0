"""Cuts a stream into utterances where the voice pauses: hysteresis over voice-activity decisions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edgevid.core.nouns import NS_PER_S, TimeSpan
from edgevid.perception.audio_intake import RATE, Block

WINDOW = 512
"""Samples per voice-activity decision: 32 ms at 16 kHz."""


class VoiceActivity(Protocol):
    """Says how likely each window holds speech; carries its own state from call to call."""

    def __call__(self, windows: npt.NDArray[np.float32], /) -> npt.NDArray[np.float32]:
        """Probabilities [n] of consecutive windows [n, 512], n >= 0."""
        ...

    def reset(self) -> None:
        """Forget the stream."""
        ...


@dataclass(frozen=True, slots=True)
class SegmenterConfig:
    """When an utterance begins and ends. Times are rounded up to windows of 32 ms.

    Attributes:
        on, off: speech begins at probability ``on`` and lasts while it is at least ``off``.
        min_speech_ms: less voice than this is no utterance.
        min_silence_ms: a pause this long ends the utterance.
        pad_ms: sound kept before and after, for the recogniser.
        max_ms: a longer utterance is cut at the quietest moment of its second half.
    """

    on: float = 0.4
    off: float = 0.25
    min_speech_ms: int = 160
    min_silence_ms: int = 480
    pad_ms: int = 192
    max_ms: int = 15_000


@dataclass(frozen=True, slots=True)
class Utterance:
    """Speech between two pauses.

    Attributes:
        samples: float32 [n] at 16 kHz, padding included.
        span: from the first to the last voiced window, padding left out.
        voice: mean voice-activity probability over ``span``.
    """

    samples: npt.NDArray[np.float32]
    span: TimeSpan
    voice: float


class Segmenter:
    """Turns 16 kHz blocks into utterances; holds at most ``max_ms`` of sound and its padding.

    ::

        held windows   |pad|onset ......... voiced ...|pause|
        first = next - len(held)                             next
    """

    def __init__(self, vad: VoiceActivity, *, config: SegmenterConfig | None = None) -> None:
        self._vad = vad
        self._config = config = config or SegmenterConfig()
        self._pad, self._pause = _windows(config.pad_ms), _windows(config.min_silence_ms)
        self._enough, self._most = _windows(config.min_speech_ms), max(4, _windows(config.max_ms))
        self._forget()

    def _forget(self) -> None:
        self._vad.reset()
        self._origin_ns: int | None = None
        self._partial = np.zeros(0, np.float32)
        self._held: list[npt.NDArray[np.float32]] = []
        self._probabilities: list[float] = []
        self._taken = 0  # samples so far
        self._next = 0  # index of the window to come
        self._onset: int | None = None  # index of the first voiced window of the open utterance
        self._voiced = 0  # index of its last voiced window

    def push(self, block: Block) -> Iterator[Utterance]:
        """Take the next block; yield the utterances that ended."""
        if block.restart:
            yield from self.flush()
        if self._origin_ns is None:
            self._origin_ns = block.pts_ns
        self._taken += block.samples.size
        samples = np.concatenate([self._partial, block.samples])
        whole = samples.size // WINDOW * WINDOW
        self._partial = samples[whole:].copy()
        yield from self._listen(samples[:whole])

    def flush(self) -> Iterator[Utterance]:
        """The stream ended: yield the utterance still open, and forget the stream."""
        if self._partial.size:
            yield from self._listen(np.pad(self._partial, (0, WINDOW - self._partial.size)))
        if self._onset is not None:
            yield from self._close()
        self._forget()

    def _listen(self, samples: npt.NDArray[np.float32]) -> Iterator[Utterance]:
        windows = samples.reshape(-1, WINDOW)
        for window, probability in zip(windows, self._vad(windows).tolist(), strict=True):
            self._held.append(window.copy())  # a view would keep the whole block alive
            self._probabilities.append(probability)
            self._next += 1
            yield from self._decide(self._next - 1, probability)

    def _decide(self, index: int, probability: float) -> Iterator[Utterance]:
        if self._onset is None:
            if probability < self._config.on:
                self._drop_before(self._next - self._pad)
                return
            self._onset = index
        if probability >= self._config.off:
            self._voiced = index
        if index - self._voiced >= self._pause:
            yield from self._close()
        elif self._next - self._onset >= self._most:
            yield from self._cut()

    def _close(self) -> Iterator[Utterance]:
        end = self._voiced + 1
        yield from self._utter(end, until=end + self._pad)
        self._onset = None
        self._drop_before(max(end, self._next - self._pad))

    def _cut(self) -> Iterator[Utterance]:
        """Too long: end the utterance at its quietest moment and go on with the rest."""
        half = self._most // 2
        power = np.array([float(np.mean(np.square(w, dtype=np.float64))) for w in self._held[-half:]])
        smooth = np.convolve(power, np.ones(3), mode="valid")  # three windows: a dip, not one weak period
        end = self._next - half + 1 + int(smooth.argmin())
        yield from self._utter(end, until=end)
        self._drop_before(end)
        self._onset, self._voiced = end, max(end, self._voiced)

    def _utter(self, end: int, *, until: int) -> Iterator[Utterance]:
        assert self._onset is not None and self._origin_ns is not None
        first = self._next - len(self._held)
        probabilities = self._probabilities[self._onset - first : end - first]
        if sum(p >= self._config.on for p in probabilities) < self._enough:
            return
        start = max(first, self._onset - self._pad)
        samples = np.concatenate(self._held[start - first : until - first])
        end_ns = _ns(min(end * WINDOW, self._taken))  # the last window may reach past the end of the stream
        span = TimeSpan(self._origin_ns + _ns(self._onset * WINDOW), self._origin_ns + end_ns)
        yield Utterance(samples, span, sum(probabilities) / len(probabilities))

    def _drop_before(self, index: int) -> None:
        excess = index - (self._next - len(self._held))
        if excess > 0:
            del self._held[:excess], self._probabilities[:excess]


def _windows(ms: int) -> int:
    return -(-ms * RATE // (1000 * WINDOW))


def _ns(samples: int) -> int:
    return samples * NS_PER_S // RATE
