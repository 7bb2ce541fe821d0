"""Cuts a stream into utterances where the voice pauses: hysteresis over voice-activity decisions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgevid.perception.audio_intake import Block
from edgevid.perception.held_sound import WINDOW, HeldSound, Utterance, VoiceActivity, windows_in

__all__ = ["WINDOW", "Segmenter", "SegmenterConfig", "Utterance", "VoiceActivity"]


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


class Segmenter:
    """Turns 16 kHz blocks into utterances; holds at most ``max_ms`` of sound and its padding."""

    def __init__(self, vad: VoiceActivity, *, config: SegmenterConfig | None = None) -> None:
        self._config = config = config or SegmenterConfig()
        self._pad, self._pause = windows_in(config.pad_ms), windows_in(config.min_silence_ms)
        self._enough, self._most = windows_in(config.min_speech_ms), max(4, windows_in(config.max_ms))
        self._held = HeldSound(vad)
        self._forget()

    def _forget(self) -> None:
        self._held.forget()
        self._onset: int | None = None  # index of the first voiced window of the open utterance
        self._voiced = 0  # index of its last voiced window

    def push(self, block: Block) -> Iterator[Utterance]:
        """Take the next block; yield the utterances that ended."""
        if block.restart:
            yield from self.flush()
        for _, probability in self._held.push(block):
            yield from self._decide(self._held.next - 1, probability)

    def flush(self) -> Iterator[Utterance]:
        """The stream ended: yield the utterance still open, and forget the stream."""
        for _, probability in self._held.flush():
            yield from self._decide(self._held.next - 1, probability)
        if self._onset is not None:
            yield from self._close()
        self._forget()

    def _decide(self, index: int, probability: float) -> Iterator[Utterance]:
        if self._onset is None:
            if probability < self._config.on:
                self._held.drop_before(self._held.next - self._pad)
                return
            self._onset = index
        if probability >= self._config.off:
            self._voiced = index
        if index - self._voiced >= self._pause:
            yield from self._close()
        elif self._held.next - self._onset >= self._most:
            yield from self._cut()

    def _close(self) -> Iterator[Utterance]:
        end = self._voiced + 1
        yield from self._utter(end, until=end + self._pad)
        self._onset = None
        self._held.drop_before(max(end, self._held.next - self._pad))

    def _cut(self) -> Iterator[Utterance]:
        """Too long: end the utterance at its quietest moment and go on with the rest."""
        end = self._held.quietest(self._most // 2)
        yield from self._utter(end, until=end)
        self._held.drop_before(end)
        self._onset, self._voiced = end, max(end, self._voiced)

    def _utter(self, end: int, *, until: int) -> Iterator[Utterance]:
        assert self._onset is not None
        said = self._held.utterance(
            self._onset, end, until=until, pad=self._pad, on=self._config.on, enough=self._enough
        )
        if said is not None:
            yield said
