"""E2: the stream is prefilled with retrieval on, errors compounding; what it costs in likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgevid.bench.parity import log_softmax
from edgevid.bench.streaming_traces import Floats
from edgevid.core.kv_config import RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel

Doubles = npt.NDArray[np.float64]


class Scored(NamedTuple):
    """Negative log likelihoods of tokens [n], the position each was predicted at, and the share retrieved."""

    nll: Doubles
    at: npt.NDArray[np.int64]
    retrieved: float


class Piece(NamedTuple):
    """Part of a stream: embedding rows that are only seen, then tokens, scored but for the first."""

    rows: Floats
    ids: list[int]


def score(
    model: NativeLanguageModel, pieces: Sequence[Piece], retrieval: RetrievalConfig | None, *, step: int
) -> Scored:
    """Run ``pieces`` as one stream, tokens in steps of ``step``."""
    sequence = model.new_sequence(retrieval=retrieval)
    nll: list[Doubles] = []
    at: list[npt.NDArray[np.int64]] = []
    try:
        for rows, ids in pieces:
            for first in range(0, len(rows), step):
                sequence.append_rows(rows[first : first + step], logits="none")
            for first in range(0, len(ids) - 1, step):
                part = ids[first : min(first + step, len(ids) - 1)]
                begin = sequence.length
                logits = sequence.append_tokens(part, logits="all")
                targets = ids[first + 1 : first + 1 + len(part)]
                nll.append(-log_softmax(logits)[np.arange(len(part)), targets])
                at.append(begin + np.arange(len(part)))
        return Scored(np.concatenate(nll), np.concatenate(at), retrieved_share(sequence.retrieval()))
    finally:
        sequence.close()


def score_all(
    model: NativeLanguageModel,
    streams: Sequence[Sequence[Piece]],
    retrieval: RetrievalConfig | None,
    *,
    step: int,
) -> Scored:
    """:func:`score` of each stream, one after the other; the share is their mean."""
    found = [score(model, pieces, retrieval, step=step) for pieces in streams]
    return Scored(
        np.concatenate([f.nll for f in found]),
        np.concatenate([f.at for f in found]),
        float(np.mean([f.retrieved for f in found])),
    )


def between_frames(frames: Floats, ids: list[int], *, tokens: int) -> list[Piece]:
    """A stream of about ``tokens`` tokens: 300 rows of ``frames``, then 700 of ``ids``, and so on."""
    return [
        Piece(frames[300 * i : 300 * (i + 1)], ids[700 * i : 700 * (i + 1)]) for i in range(tokens // 1000)
    ]


def retrieved_share(found: dict[str, Any] | None) -> float:
    """Attended share of the sealed tokens, mean of layers and of steps with sealed tokens; 1 without."""
    if found is None:
        return 1.0
    shares = [layer["retrieved"] / layer["steps"] for layer in found["layers"] if layer["steps"]]
    return float(np.mean(shares)) if shares else 1.0


def paired(difference: Doubles) -> tuple[float, float]:
    """Mean and half width of its 95 % interval, from batches of 50 neighbours, which are not independent."""
    batches = difference[: len(difference) // 50 * 50].reshape(-1, 50).mean(axis=1)
    if len(batches) < 2:
        return float(difference.mean()), float("nan")
    return float(difference.mean()), float(1.96 * batches.std(ddof=1) / len(batches) ** 0.5)
