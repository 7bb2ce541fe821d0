"""What flows between the parts of a dub. Times ``_ns`` are presentation times of the source unless said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

NUM_MOUTH_PARAMS = 6
"""Opening, width, protrusion, and three weights of the lip-point basis that VisemeNet carries. Opening and
width are in units of the speaker's neutral mouth width; at opening 0 the lips touch at the inner line."""

CURVE_STEP_NS = 20_000_000  # 50 Hz


@dataclass(frozen=True, slots=True)
class Phoneme:
    """One sound of a spoken clause.

    Attributes:
        symbol: as espeak-ng writes it in IPA.
        start_ns, end_ns: since the first sample of its clause.
    """

    symbol: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Clause:
    """What was said in one breath of the source.

    Attributes:
        seq: running number in the stream.
        generation: stale once the stream's is higher (barge-in).
        text: as recognised.
        language: ISO 639-1 code of ``text``.
        start_ns, end_ns: first and last voiced sample.
    """

    seq: int
    generation: int
    text: str
    language: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class SpokenClause:
    """A clause said anew.

    Attributes:
        clause: what was said in the source.
        text, language: what is said now.
        samples: float32 [n] in [-1, 1], mono.
        rate: Hz.
        phonemes: in order; empty when the voice does not tell.
        start_ns: when the first sample shall be heard.
    """

    clause: Clause
    text: str
    language: str
    samples: Floats
    rate: int
    phonemes: tuple[Phoneme, ...]
    start_ns: int

    @property
    def end_ns(self) -> int:
        """When the last sample has been heard."""
        return self.start_ns + len(self.samples) * 1_000_000_000 // self.rate


@dataclass(frozen=True, slots=True)
class MouthCurve:
    """How the mouth moves.

    Attributes:
        params: float32 [steps, NUM_MOUTH_PARAMS].
        start_ns: of ``params[0]``, on the clock of its sound.
        step_ns: between two rows.
    """

    params: Floats
    start_ns: int = 0
    step_ns: int = CURVE_STEP_NS
