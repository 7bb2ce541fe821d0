"""The sound channel: AudioSet tags of a stream, joined into spans."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgevid.core.nouns import NS_PER_S, AudioChunk, Kind, Observation, TimeSpan
from edgevid.perception.audio_intake import RATE, AudioIntake, Block
from edgevid.perception.yamnet import PATCH

HOP = 7_680
"""Samples between two looks: 0.48 s, half a patch."""

_LEAST_UNHEARD = RATE // 4  # a shorter tail at the end of the stream is not worth a look of its own
_UNREPORTED = frozenset({"Silence"})

Tagger = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
"""Samples [15600] at 16 kHz -> probability of every class [n]."""


@dataclass(frozen=True, slots=True)
class SoundConfig:
    """When a tag begins and ends.

    Attributes:
        on, off: a tag begins at probability ``on`` and lasts while it is at least ``off``.
        sure: a tag heard in one look only must have reached this.
        gap: looks below ``off`` that do not end a tag.
        at_once: tags that may begin in one look, the likeliest first.
        max_s: a longer span is given out in parts, so that a steady sound is known before it ends.
    """

    on: float = 0.65
    off: float = 0.3
    sure: float = 0.8
    gap: int = 2
    at_once: int = 3
    max_s: float = 30.0


@dataclass(slots=True)
class _Open:
    first: int
    last: int
    probabilities: list[float]


class TagTracker:
    """Joins the tags of consecutive looks into spans; holds one entry per tag now heard."""

    def __init__(self, *, config: SoundConfig, ignored: frozenset[int] = frozenset()) -> None:
        self._config, self._ignored = config, ignored
        self._open: dict[int, _Open] = {}
        self._longest = max(1, int(config.max_s * RATE) // HOP)

    def push(
        self, look: int, probabilities: npt.NDArray[np.float32]
    ) -> Iterator[tuple[int, int, int, float]]:
        """Take look number ``look``; yield (class, first look, last look, mean probability) of what ended."""
        likeliest = np.argsort(-probabilities, kind="stable")[: self._config.at_once].tolist()
        for index in likeliest:
            if probabilities[index] >= self._config.on and index not in self._ignored:
                self._open.setdefault(index, _Open(look, look, []))
        for index, tag in sorted(self._open.items()):
            if (probability := float(probabilities[index])) >= self._config.off:
                tag.last = look
                tag.probabilities.append(probability)
            if look - tag.last > self._config.gap or look - tag.first + 1 >= self._longest:
                yield from self._close(index)

    def flush(self) -> Iterator[tuple[int, int, int, float]]:
        """The stream ended: yield what is still heard."""
        for index in sorted(self._open):
            yield from self._close(index)

    def _close(self, index: int) -> Iterator[tuple[int, int, int, float]]:
        tag = self._open.pop(index)
        if len(tag.probabilities) > 1 or max(tag.probabilities) >= self._config.sure:
            yield index, tag.first, tag.last, sum(tag.probabilities) / len(tag.probabilities)


class SoundChannel:
    """Tags sounds with AudioSet labels (see `AudioChannel`). Silence is no sound and is not reported.

    Args:
        tagger: the network.
        names: a label per class.
        model_id: the pack that tags.
    """

    kind: Kind = "sound"

    def __init__(
        self, tagger: Tagger, names: Sequence[str], *, model_id: str, config: SoundConfig | None = None
    ) -> None:
        self.model_id = model_id
        self._tagger, self._names = tagger, names
        self._ignored = frozenset(i for i, name in enumerate(names) if name in _UNREPORTED)
        self._config = config or SoundConfig()
        self._intake = AudioIntake()
        self._forget()

    def push(self, chunk: AudioChunk) -> list[Observation]:
        """See `AudioChannel.push`."""
        return [o for block in self._intake.push(chunk) for o in self._hear(block)]

    def flush(self) -> list[Observation]:
        """See `AudioChannel.flush`."""
        heard = [o for block in self._intake.flush() for o in self._hear(block)]
        return heard + list(self._end())

    def _forget(self) -> None:
        self._tracker = TagTracker(config=self._config, ignored=self._ignored)
        self._samples = np.zeros(0, np.float32)
        self._heard = 0  # of self._samples, how many an earlier look covered
        self._look = 0
        self._taken = 0  # samples so far
        self._origin_ns: int | None = None

    def _hear(self, block: Block) -> Iterator[Observation]:
        if block.restart:
            yield from self._end()
        if self._origin_ns is None:
            self._origin_ns = block.pts_ns
        self._taken += block.samples.size
        samples = np.concatenate([self._samples, block.samples])
        at = 0
        while samples.size - at >= PATCH:
            yield from self._tag(samples[at : at + PATCH])
            at += HOP
            self._heard = PATCH - HOP
        self._samples = samples[at:].copy()

    def _end(self) -> Iterator[Observation]:
        if self._samples.size - self._heard >= _LEAST_UNHEARD:
            yield from self._tag(np.pad(self._samples, (0, PATCH - self._samples.size)))
        yield from map(self._observe, self._tracker.flush())
        self._forget()

    def _tag(self, samples: npt.NDArray[np.float32]) -> Iterator[Observation]:
        look, self._look = self._look, self._look + 1
        yield from map(self._observe, self._tracker.push(look, self._tagger(samples)))

    def _observe(self, span: tuple[int, int, int, float]) -> Observation:
        index, first, last, score = span
        assert self._origin_ns is not None
        start_ns = self._origin_ns + first * HOP * NS_PER_S // RATE
        end = min(last * HOP + PATCH, self._taken)  # the last look may reach past the end of the stream
        end_ns = self._origin_ns + end * NS_PER_S // RATE
        return Observation(
            "sound", self._names[index], TimeSpan(start_ns, end_ns), score, model_id=self.model_id
        )
