"""The windows of sound that a segmenter holds back until it knows where speech ended."""

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

Samples = npt.NDArray[np.float32]


class VoiceActivity(Protocol):
    """Says how likely each window holds speech; carries its own state from call to call."""

    def __call__(self, windows: Samples, /) -> Samples:
        """Probabilities [n] of consecutive windows [n, 512], n >= 0."""
        ...

    def reset(self) -> None:
        """Forget the stream."""
        ...


@dataclass(frozen=True, slots=True)
class Utterance:
    """Speech between two pauses.

    Attributes:
        samples: float32 [n] at 16 kHz, padding included.
        span: from the first to the last voiced window, padding left out.
        voice: mean voice-activity probability over ``span``.
    """

    samples: Samples
    span: TimeSpan
    voice: float


class HeldSound:
    """Consecutive windows of one stream with their voice activity, by index since its start.

    ::

        held windows   |pad|onset ......... voiced ...|pause|
        first = next - len(held)                             next

    Args:
        vad: the voice-activity network; this object alone may call it.
    """

    def __init__(self, vad: VoiceActivity) -> None:
        self._vad = vad
        self.forget()

    def forget(self) -> None:
        """Hold nothing; the next block begins a stream."""
        self._vad.reset()
        self._origin_ns = 0
        self._begun = False
        self._partial = np.zeros(0, np.float32)
        self._held: list[Samples] = []
        self._probabilities: list[float] = []
        self._taken = 0  # samples so far
        self.next = 0
        """Index of the window to come."""

    def __len__(self) -> int:
        """How many windows are held."""
        return len(self._held)

    def push(self, block: Block) -> Iterator[tuple[Samples, float]]:
        """Take the next block; hold each window that is whole, and yield it with its voice activity."""
        if not self._begun:
            self._origin_ns, self._begun = block.pts_ns, True
        self._taken += block.samples.size
        samples = np.concatenate([self._partial, block.samples])
        whole = samples.size // WINDOW * WINDOW
        self._partial = samples[whole:].copy()
        yield from self._hold(samples[:whole])

    def flush(self) -> Iterator[tuple[Samples, float]]:
        """The stream ended: hold and yield the window begun, filled up with silence."""
        if self._partial.size:
            yield from self._hold(np.pad(self._partial, (0, WINDOW - self._partial.size)))

    def _hold(self, samples: Samples) -> Iterator[tuple[Samples, float]]:
        windows = samples.reshape(-1, WINDOW)
        for window, probability in zip(windows, self._vad(windows).tolist(), strict=True):
            self._held.append(window.copy())  # a view would keep the whole block alive
            self._probabilities.append(probability)
            self.next += 1
            yield window, probability

    def between(self, start: int, until: int) -> Samples:
        """Samples of the windows from ``start`` (or the first held) up to ``until`` (or the last held)."""
        first = self.next - len(self._held)
        return np.concatenate(self._held[max(0, start - first) : until - first])

    def time_ns(self, index: int) -> int:
        """When window ``index`` begins; the last one may reach past the end of the stream."""
        return self._origin_ns + min(index * WINDOW, self._taken) * NS_PER_S // RATE

    def quietest(self, windows: int) -> int:
        """Index of the quietest moment among the last ``windows``: where to cut what is too long."""
        power = np.array([float(np.mean(np.square(w, dtype=np.float64))) for w in self._held[-windows:]])
        smooth = np.convolve(power, np.ones(3), mode="valid")  # three windows: a dip, not one weak period
        return self.next - windows + 1 + int(smooth.argmin())

    def utterance(
        self, onset: int, end: int, *, until: int, pad: int, on: float, enough: int
    ) -> Utterance | None:
        """Windows ``onset`` up to ``end``; None when the voice reaches ``on`` in fewer than ``enough``.

        Args:
            until: the samples go on to this window; they begin ``pad`` windows before the onset.
        """
        first = self.next - len(self._held)
        probabilities = self._probabilities[onset - first : end - first]
        if sum(p >= on for p in probabilities) < enough:
            return None
        span = TimeSpan(self.time_ns(onset), self.time_ns(end))
        voice = sum(probabilities) / len(probabilities)
        return Utterance(self.between(onset - pad, until), span, voice)

    def drop_before(self, index: int) -> None:
        """Let go of earlier windows."""
        excess = index - (self.next - len(self._held))
        if excess > 0:
            del self._held[:excess], self._probabilities[:excess]


def windows_in(ms: int) -> int:
    """Windows that hold ``ms``, rounded up."""
    return -(-ms * RATE // (1000 * WINDOW))
