"""How close two models' next-token distributions are, from what was recorded of one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Agreement(NamedTuple):
    """Means over positions.

    Attributes:
        top1: share of positions where both have the same likeliest token.
        kl: KL(reference || other) in nats. Everything outside the reference's recorded tokens is one lump,
            which makes it a lower bound of the full KL (log-sum inequality).
    """

    top1: float
    kl: float


def log_softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Log probabilities of logits [n, vocab]."""
    wide = logits.astype(np.float64)
    return np.asarray(wide - np.logaddexp.reduce(wide, axis=1, keepdims=True))


def agreement(
    top_ids: npt.NDArray[Any], top_logprobs: npt.NDArray[Any], logits: npt.NDArray[np.float32]
) -> Agreement:
    """Compare a reference's k likeliest tokens per position [n, k] with another model's logits [n, vocab]."""
    ids = top_ids.astype(np.int64)
    p = top_logprobs.astype(np.float64)
    highest = logits.max(axis=1, keepdims=True)
    total = highest + np.log(np.exp(logits - highest).sum(axis=1, keepdims=True, dtype=np.float64))
    q = np.take_along_axis(logits, ids, axis=1) - total
    # 1 - sum loses all digits of a rest below rounding.
    p_rest = np.maximum(1.0 - np.exp(p).sum(axis=1), 1e-9)
    q_rest = np.maximum(1.0 - np.exp(q).sum(axis=1), 1e-9)
    kl = (np.exp(p) * (p - q)).sum(axis=1) + p_rest * np.log(p_rest / q_rest)
    return Agreement(float((logits.argmax(axis=1) == ids[:, 0]).mean()), float(kl.mean()))


def recorded() -> dict[str, Any] | None:
    """What tests/fixtures/record_llama_cpp.py recorded; None outside a source tree."""
    path = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "llama_cpp_smollm2.npz"
    return dict(np.load(path)) if path.is_file() else None
