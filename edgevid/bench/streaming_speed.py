"""Speed of retrieval at the depth of a real stream.

Attention, with everything that chooses it, is timed against the same decoder attending everything and against
torch's scaled_dot_product_attention on the same shapes.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np

from edgevid.bench.machine import Machine, matmul_rate, read_bandwidth
from edgevid.bench.report import Row
from edgevid.bench.streaming_nll import retrieved_share
from edgevid.bench.streaming_traces import ROWS, Floats
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel, NativeSequence

PREDICTION_GOAL = 0.10
_GOALS = {"decode": (1, 4.0, None), "10-row frame step": (ROWS, None, 1.7)}  # rows, x torch, x our dense
ENOUGH = 0.95
"""Of the share that the same steps retrieve when they follow one another: those taken back do not."""
_TORCH_BYTES = 2e9  # of keys and values; more layers are not timed, but counted


class Timed(NamedTuple):
    """Medians in milliseconds of one step: all of it, its attention with selection, the selection; the
    attended share of sealed tokens; bytes of keys and values, and of tables, that its attention reads."""

    step: float
    attention: float
    prediction: float
    retrieved: float
    kv_bytes: float
    table_bytes: float


def rows(
    model: NativeLanguageModel,
    dense: NativeSequence,
    stream: Floats,
    config: RetrievalConfig,
    *,
    repetitions: int,
) -> Iterator[Row]:
    """Decode and a frame step behind ``dense``, with and without ``config``, against torch; rooflines.

    ``stream`` [n, hidden] are the rows that follow ``dense``: ``repetitions`` frames or more.
    """
    machine = Machine(read_bandwidth(model.threads), matmul_rate())
    yield Row("memory read", round(machine.bytes_per_s / 1e9, 1), "GB/s", None, None, "256 MB a thread")
    with closing(sealed_from(dense, stream[:1], config)) as retrieving:
        for what, (count, torch_goal, dense_goal) in _GOALS.items():
            steps = stream[: count * repetitions]
            whole = time_steps(dense, steps, count=count, repetitions=repetitions)
            ours = time_steps(retrieving, steps, count=count, repetitions=repetitions)
            method = (
                f"median of {repetitions} at depth {dense.length}, {model.threads} threads, "
                "selection included"
            )
            wanted = quality_share(retrieving, steps, count)
            enough = ours.retrieved >= ENOUGH * wanted
            how = f"{wanted:.3f} when the same steps follow one another; {method}"
            yield Row(f"{what}, retrieved", round(ours.retrieved, 3), "share", round(wanted, 3), enough, how)
            yield Row(f"{what}, attention", round(ours.attention, 2), "ms", None, None, method)
            yield Row(f"{what}, dense attention", round(whole.attention, 2), "ms", None, None, method)
            for side, timed in (("attention", ours), ("dense attention", whole)):
                yield roofline(f"{what}, {side}, share of roofline", model, timed, machine, rows=count)
            told = method if enough else f"fails: attends less than where quality was measured; {method}"
            ratio = whole.attention / ours.attention
            yield _ratio(f"{what}, attention over our dense", ratio, dense_goal, enough, told)
            over, peer = _over_torch(model, ours, dense.length, count, repetitions)
            yield _ratio(f"{what}, attention over torch", over, torch_goal, enough, f"{peer}; {told}")
            yield Row(f"{what}, whole step", round(ours.step, 2), "ms", None, None, method)
            yield Row(f"{what}, whole dense step", round(whole.step, 2), "ms", None, None, method)
            if count > 1:
                share = ours.prediction / ours.step
                passed = share <= PREDICTION_GOAL and enough
                yield Row("prediction", round(share, 3), "of a step", PREDICTION_GOAL, passed, told)


def roofline(
    measure: str,
    model: NativeLanguageModel,
    timed: Timed,
    machine: Machine,
    *,
    rows: int,
    element_bytes: int = 2,
) -> Row:
    """The least time for what a step's attention reads and computes, over the time it took.

    Each element of KV takes part in two operations per row and query head of its group (a product and a sum),
    each byte of a table likewise.
    """
    touched = timed.kv_bytes + timed.table_bytes
    grouped = rows * model.config.heads / model.config.kv_heads
    flops = grouped * 2 * (timed.kv_bytes / element_bytes + timed.table_bytes)
    seconds = 1e-3 * timed.attention
    least = max(touched / machine.bytes_per_s, flops / machine.flops_per_s)
    method = (
        f"{touched / 1e6:.1f} MB of KV and tables ({timed.table_bytes / 1e6:.1f} MB) read: "
        f"{touched / 1e9 / seconds:.1f} GB/s of {machine.bytes_per_s / 1e9:.1f}; {flops / 1e9:.2f} GFLOP: "
        f"{flops / seconds / machine.flops_per_s:.0%} of numpy's float32 matrix product"
    )
    return Row(measure, round(least / seconds, 3), "", None, None, method)


def sealed_from(dense: NativeSequence, row: Floats, config: RetrievalConfig) -> NativeSequence:
    """A fork that retrieves, its past sealed once, before forks of it: ``row`` [1, hidden] is appended and
    taken back."""
    ours = dense.fork(retrieval=config)
    ours.append_rows(row, logits="none")
    ours.truncate(dense.length)
    return ours


def quality_share(past: NativeSequence, rows: Floats, count: int) -> float:
    """Share that a fork of ``past`` retrieves when ``rows`` follow, ``count`` a step, none taken back."""
    with closing(past.fork()) as sequence:
        for at in range(0, len(rows), count):
            sequence.append_rows(rows[at : at + count], logits="none")
        return retrieved_share(sequence.retrieval())


def _over_torch(
    model: NativeLanguageModel, ours: Timed, depth: int, count: int, repetitions: int
) -> tuple[float | None, str]:
    rounds = min(repetitions, 10)
    peers = time_torch(model, tokens=depth, rows=count, repetitions=rounds)
    if not peers:
        return None, "torch is not installed"
    best = min(peers, key=lambda dtype: peers[dtype])
    return peers[best] / ours.attention, f"torch {best} {peers[best]:.2f} ms, median of {rounds}"


def _ratio(measure: str, ratio: float | None, goal: float | None, enough: bool, method: str) -> Row:
    if ratio is None:
        return Row(measure, None, "x", goal, None, method)
    passed = None if goal is None else ratio >= goal and enough
    return Row(measure, round(ratio, 2), "x", goal, passed, method)


def time_steps(
    past: NativeSequence,
    rows: Floats,
    *,
    count: int,
    repetitions: int,
) -> Timed:
    """Append the next ``count`` of ``rows``, and the first again after the last, to a fork of ``past``, each
    step taken back; the first warms up."""
    sequence = past.fork()
    length, kept = sequence.length, sequence.kv()
    steps: list[float] = []
    attention: list[float] = []
    prediction: list[float] = []
    try:
        for i in range(-1, repetitions):
            at = i * count % len(rows)
            attended, chosen = sequence.attention_s, _prediction_s(sequence)
            began = time.perf_counter()
            sequence.append_rows(rows[at : at + count])
            steps.append(1e3 * (time.perf_counter() - began))
            attention.append(1e3 * (sequence.attention_s - attended))
            prediction.append(1e3 * (_prediction_s(sequence) - chosen))
            sequence.truncate(length)
        found = sequence.retrieval()
    finally:
        sequence.close()
    medians = [statistics.median(times[1:]) for times in (steps, attention, prediction)]
    token_bytes = kept.bytes / (kept.pages * KVConfig().page_size)
    read = (kept.tokens * token_bytes, 0.0) if found is None else _read(found, repetitions + 1)
    return Timed(medians[0], medians[1], medians[2], retrieved_share(found), *read)


def _read(found: dict[str, Any], steps: int) -> tuple[float, float]:
    kv, table = (sum(layer[what] for layer in found["layers"]) for what in ("kv_bytes", "table_bytes"))
    return kv / steps, table / steps


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
    for dtype, element in ((torch.float32, 4), (torch.bfloat16, 2)):
        made = np.random.default_rng(0).standard_normal((shape.kv_heads, tokens, shape.head_dim), np.float32)
        timed = min(shape.layers, max(1, int(_TORCH_BYTES / (2 * element * made.size))))  # layers
        kv = [torch.tensor(made, dtype=dtype)[None].clone() for _ in range(2 * timed)]
        q = torch.randn(1, shape.kv_heads, folded, shape.head_dim).to(dtype)
        times = []
        with torch.inference_mode():
            for _ in range(repetitions + 1):
                began = time.perf_counter()
                for layer in range(timed):
                    torch.nn.functional.scaled_dot_product_attention(q, kv[2 * layer], kv[2 * layer + 1])
                times.append(1e3 * (time.perf_counter() - began) * shape.layers / timed)
        found[str(dtype).removeprefix("torch.")] = statistics.median(times[1:])
    return found


def _prediction_s(sequence: NativeSequence) -> float:
    found = sequence.retrieval()
    return 0.0 if found is None else float(found["prediction_s"])
