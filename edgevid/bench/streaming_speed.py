"""Speed of retrieval at the depth of a real stream.

Attention, with everything that chooses it, is timed against the same decoder attending everything and against
torch's scaled_dot_product_attention on the same shapes.
"""

from __future__ import annotations

import statistics
import time
from typing import NamedTuple

import numpy as np

from edgevid.bench.streaming_nll import retrieved_share
from edgevid.bench.streaming_traces import Floats
from edgevid.core.kv_config import RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel, NativeSequence


class Timed(NamedTuple):
    """Medians in milliseconds of one step: all of it, its attention with selection, the selection; and the
    attended share of sealed tokens."""

    step: float
    attention: float
    prediction: float
    retrieved: float


def time_steps(
    dense: NativeSequence, rows: Floats, *, retrieval: RetrievalConfig | None, repetitions: int
) -> Timed:
    """Append ``rows`` to a fork of ``dense`` again and again, each time taken back; the first warms up."""
    sequence = dense.fork(retrieval=retrieval)
    length = sequence.length
    steps: list[float] = []
    attention: list[float] = []
    prediction: list[float] = []
    try:
        for _ in range(repetitions + 1):
            attended, chosen = sequence.attention_s, _prediction_s(sequence)
            began = time.perf_counter()
            sequence.append_rows(rows)
            steps.append(1e3 * (time.perf_counter() - began))
            attention.append(1e3 * (sequence.attention_s - attended))
            prediction.append(1e3 * (_prediction_s(sequence) - chosen))
            sequence.truncate(length)
        share = retrieved_share(sequence.retrieval())
    finally:
        sequence.close()
    medians = [statistics.median(times[1:]) for times in (steps, attention, prediction)]
    return Timed(medians[0], medians[1], medians[2], share)


def time_torch(model: NativeLanguageModel, *, tokens: int, rows: int, repetitions: int) -> dict[str, float]:
    """Median milliseconds of all layers' attention per dtype, query heads folded into rows; empty without
    torch."""
    try:
        import torch
    except ImportError:
        return {}
    shape = model.config
    torch.set_num_threads(model.threads)
    folded = rows * shape.heads // shape.kv_heads
    found: dict[str, float] = {}
    for dtype in (torch.float32, torch.bfloat16):
        made = np.random.default_rng(0).standard_normal((shape.kv_heads, tokens, shape.head_dim))
        kv = [torch.tensor(made, dtype=dtype)[None].clone() for _ in range(2 * shape.layers)]
        q = torch.randn(1, shape.kv_heads, folded, shape.head_dim).to(dtype)
        times = []
        with torch.inference_mode():
            for _ in range(repetitions + 1):
                began = time.perf_counter()
                for layer in range(shape.layers):
                    torch.nn.functional.scaled_dot_product_attention(q, kv[2 * layer], kv[2 * layer + 1])
                times.append(1e3 * (time.perf_counter() - began))
        found[str(dtype).removeprefix("torch.")] = statistics.median(times[1:])
    return found


def _prediction_s(sequence: NativeSequence) -> float:
    found = sequence.retrieval()
    return 0.0 if found is None else float(found["prediction_s"])
