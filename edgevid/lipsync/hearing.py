"""The listening stages of a dub: sound -> clauses -> their words."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

from edgevid.core.nouns import AudioChunk
from edgevid.lipsync.clauses import ClauseSegmenter, Cut, Draft
from edgevid.lipsync.flow import Said, Settled
from edgevid.lipsync.nouns import Clause, Floats
from edgevid.lipsync.pitch import median_hz
from edgevid.lipsync.protocols import Recognizer
from edgevid.perception.audio_intake import RATE, AudioIntake, Block, rms

_REPEATED_MARKS = re.compile(r"([,;:])(?:\s*[,;:])+")
_BEFORE_ONSET_NS = 200_000_000  # a clause may be found to have begun this much before the window that told


class Generation:
    """Barge-in: a clause of an older generation is dropped wherever it is. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = 0

    def bump(self) -> None:
        """Make all clauses heard so far stale."""
        with self._lock:
            self.now += 1

    def stale(self, clause: Clause) -> bool:
        return clause.generation < self.now


class Cutter:
    """Stage: ``AudioChunk`` -> ``Draft``, ``Cut`` and, after each chunk, ``Settled``."""

    def __init__(self, segmenter: ClauseSegmenter) -> None:
        self._segmenter = segmenter
        self._intake = AudioIntake()
        self._heard_ns = 0

    def __call__(self, chunk: AudioChunk) -> Iterator[Draft | Cut | Settled]:
        for block in self._intake.push(chunk):
            yield from self._cut(block)
        yield self._settled()

    def flush(self) -> Iterator[Draft | Cut | Settled]:
        """The source ended: the clause still open, and then nothing more to wait for."""
        for block in self._intake.flush():
            yield from self._cut(block)
        yield from self._segmenter.flush()
        yield Settled(1 << 62, False)

    def _cut(self, block: Block) -> Iterator[Draft | Cut]:
        yield from self._segmenter.push(block)
        self._heard_ns = block.pts_ns + block.samples.size * 1_000_000_000 // RATE

    def _settled(self) -> Settled:
        since_ns = self._segmenter.open_since_ns
        until_ns = self._heard_ns - _BEFORE_ONSET_NS if since_ns is None else since_ns
        return Settled(until_ns, since_ns is not None)


class Listener:
    """Stage: ``Cut`` -> ``Said``. With ``drafts`` words are recognised while the pause still lasts.

    Args:
        segmenter: is told the words of drafts.
        language: of the words, where the recogniser has no attribute ``language`` that tells what it heard.
        drafts: live; else drafts and ``Settled`` of a clause that is still open are no news to anybody.

    Attributes:
        clauses: cut so far; ``unrecognised``: how many of them gave no words.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        segmenter: ClauseSegmenter,
        *,
        language: str,
        generation: Generation,
        drafts: bool,
    ) -> None:
        self._recognizer, self._segmenter = recognizer, segmenter
        self._language, self._generation, self._drafts = language, generation, drafts
        self._drafted: tuple[int, str] | None = None
        self.clauses = self.unrecognised = 0

    def __call__(self, item: Draft | Cut | Settled) -> Said | Settled | None:
        if isinstance(item, Settled):
            return None if self._drafts else item
        if isinstance(item, Draft):
            if self._drafts:
                text = self._recognize(item.utterance.samples)
                self._drafted = item.number, text
                self._segmenter.hint(item, text)
            return None
        return self._said(item)

    def _said(self, cut: Cut) -> Said:
        samples, span = cut.utterance.samples, cut.utterance.span
        if cut.as_drafted and self._drafted is not None and self._drafted[0] == cut.number:
            text = self._drafted[1]
        else:
            text = self._recognize(samples)
        self.clauses += 1
        self.unrecognised += not text
        language = getattr(self._recognizer, "language", None) or self._language
        clause = Clause(cut.number, self._generation.now, text, language, span.start_ns, span.end_ns)
        return Said(clause, rms(samples), median_hz(samples, RATE), span.end_ns + int(cut.waited_ms * 1e6))

    def _recognize(self, samples: Floats) -> str:
        """Words, without marks that recognisers repeat within a clause (", ,")."""
        return _REPEATED_MARKS.sub(r"\1", self._recognizer.recognize(samples, RATE))
