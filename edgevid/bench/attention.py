"""``edgevid bench attention``: attention over pages, dense and retrieved, against torch at 8K, 32K, 128K.

Keys, values and queries are those of SmolLM2-135M on real video, made longer by repetition. A step goes
through as many layers as fill the processor's caches several times. All sides take turns. torch computes
``scaled_dot_product_attention`` with query heads folded into rows, in float32 and in bfloat16; the better
counts. Choosing is timed operation by operation as Python calls them; turning the choice into lists
of extents, which the decoder does natively, is not timed, handing those lists over is.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgevid.bench.attention_layers import PagedLayer, Stretched, stretch
from edgevid.bench.decoder import read_bandwidth
from edgevid.bench.report import Row
from edgevid.bench.streaming_traces import ROWS, Floats, Trace, frame_rows
from edgevid.core.errors import MissingPartError
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel, NativeSequence
from edgevid.models.store import ModelStore

MODEL = "smollm2-135m-instruct"
DEPTHS = {"8K": 8192, "32K": 32768, "128K": 131072}
GOALS = {  # decode over torch; frame step over our dense
    "8K": (4.0, 1.7),
    "32K": (10.0, 2.3),
    "128K": (18.0, 2.5),
}
_SEEN, _QUICK_SEEN = 7700, 2000  # rows of video behind the traces
_WORKING_SET = 200e6  # bytes of KV that one round reads
_ROUNDS, _QUICK_ROUNDS = 20, 5
_REST_S = 0.05  # workers of one side spin for a while after a call; let them fall asleep before the other's


class Machine(NamedTuple):
    """Bytes and float32 operations a second that all threads reach."""

    bytes_per_s: float
    flops_per_s: float


class Timed(NamedTuple):
    """Milliseconds a layer: dense, retrieved (of which choosing), both with int8 pages, torch by dtype; the
    share retrieved."""

    dense: float
    ours: float
    choosing: float
    dense_int8: float
    ours_int8: float
    torch: dict[str, float]
    share: float


def rows(data: Path | None, *, quick: bool = False, threads: int = 0) -> Iterator[Row]:
    """Rows of the bench; ``quick`` measures at 8K only, on a stream of 2,000 tokens.

    Raises:
        MissingPartError: the model pack or the clips are not there.
    """
    if data is None:
        raise MissingPartError("the clips are not here", fix="set EDGEVID_TEST_DATA")
    path = ModelStore().where(MODEL)["model.gguf"]
    model = NativeLanguageModel(path, kv=KVConfig(), kv_tokens=3 * 8192, threads=threads)
    seen = _QUICK_SEEN if quick else _SEEN
    stream = frame_rows(model, data, frames=seen // ROWS + 1)
    machine = Machine(read_bandwidth(model.threads), matmul_rate())
    yield Row("memory read", round(machine.bytes_per_s / 1e9, 1), "GB/s", None, None, "best of 5")
    yield Row("matrix product", round(machine.flops_per_s / 1e9, 1), "GFLOP/s", None, None, "numpy, float32")
    with closing(model.new_sequence(trace=True)) as dense:
        dense.append_rows(stream[:seen], logits="none")
        for name in ("8K",) if quick else DEPTHS:
            yield from rows_at(
                name,
                model,
                dense,
                stream[seen : seen + ROWS],
                machine,
                rounds=_QUICK_ROUNDS if quick else _ROUNDS,
                config=RetrievalConfig(),
            )


def rows_at(
    name: str,
    model: NativeLanguageModel,
    dense: NativeSequence,
    frame: Floats,
    machine: Machine,
    *,
    rounds: int,
    config: RetrievalConfig,
) -> Iterator[Row]:
    """Rows of the depth ``name``, for the step of appending ``frame`` to ``dense`` and of its last row."""
    threads = model.threads
    traces, layers, own_layers = _layers(model, dense, frame, DEPTHS[name], config)
    torch_layers = _torch_layers(layers, threads)
    kept = [PagedLayer(layer, threads=threads) for layer in layers]
    in_int8 = [PagedLayer(layer, threads=threads, dtype="int8") for layer in layers]
    for what, count, (torch_goal, dense_goal) in (
        ("decode", 1, (GOALS[name][0], None)),
        ("10-row frame step", ROWS, (None, GOALS[name][1])),
    ):
        queries = [trace.q[-count:] for trace in traces]
        real = [
            layer.plan(layer.choose(q, config), config).share
            for layer, q in zip(own_layers, queries, strict=True)
        ]
        found = _time(kept, in_int8, queries, torch_layers, config, rounds)
        method = (
            f"{kept[0].tokens} tokens, {len(kept)} layers, ms a layer, median of {rounds} rounds, "
            f"{threads} threads"
        )
        measure = f"{what}, {name}"
        share = float(np.mean(real))
        enough = found.share >= 0.99 * share
        how = f"of sealed tokens; on the stream itself ({own_layers[0].tokens} tokens) {share:.3f}; {method}"
        yield Row(f"{measure}, retrieved", round(found.share, 3), "share", None, enough, how)
        yield from _cost(measure, found, kept[0], queries[0], machine, method)
        ratio = found.dense / found.ours
        yield _against(f"{measure}, over our dense", ratio, dense_goal, enough, method)
        for what, f16, int8 in (
            ("dense", found.dense, found.dense_int8),
            ("with retrieval", found.ours, found.ours_int8),
        ):
            yield Row(
                f"{measure}, {what}, int8 over f16",
                round(f16 / int8, 2),
                "x",
                None,
                None,
                f"{int8:.3f} ms; {method}",
            )
        if found.torch:
            best = min(found.torch, key=lambda dtype: found.torch[dtype])
            how = ", ".join(f"torch {dtype} {ms:.3f} ms" for dtype, ms in found.torch.items())
            ratio = found.torch[best] / found.ours
            yield _against(f"{measure}, over torch", ratio, torch_goal, enough, f"{how}; {method}")
            ratio = found.torch[best] / found.dense
            yield Row(f"{measure}, our dense over torch", round(ratio, 2), "x", None, None, method)
        else:
            missing = "torch is not installed: pip install torch"
            yield Row(f"{measure}, over torch", None, "x", torch_goal, None, missing)


def _against(measure: str, ratio: float, goal: float | None, enough: bool, method: str) -> Row:
    passed = None if goal is None else ratio >= goal and enough
    return Row(measure, round(ratio, 2), "x", goal, passed, method)


def _cost(
    measure: str, found: Timed, layer: PagedLayer, q: Floats, machine: Machine, method: str
) -> Iterator[Row]:
    """Times with what they moved and computed, and the share of what the machine allows."""
    kv_heads = layer.kv_heads
    whole, chosen = layer.tokens, layer.tokens - layer.sealed * (1 - found.share)
    for what, ms, tokens, table in (
        ("dense", found.dense, whole, 0),
        ("with retrieval", found.ours, chosen, layer.table_bytes),
    ):
        touched = tokens * kv_heads * q.shape[2] * 4 + table
        flops = 4 * q.size * tokens
        least_ms = 1e3 * max(touched / machine.bytes_per_s, flops / machine.flops_per_s)
        how = (
            f"{touched / 1e6:.2f} MB, {touched / ms / 1e6:.1f} GB/s, {flops / 1e6:.1f} MFLOP, "
            f"{least_ms / ms:.0%} of roofline; {method}"
        )
        if table:
            how = f"of which choosing {found.choosing:.3f} ms; {how}"
        yield Row(f"{measure}, {what}", round(ms, 3), "ms", None, None, how)


def _layers(
    model: NativeLanguageModel, dense: NativeSequence, frame: Floats, tokens: int, config: RetrievalConfig
) -> tuple[list[Trace], list[Stretched], list[PagedLayer]]:
    """Traces of a step, the same made ``tokens`` long, and in pages as they are."""
    shape = model.config
    layer_bytes = 4 * tokens * shape.kv_heads * shape.head_dim
    count = int(np.clip(_WORKING_SET // layer_bytes, 2, shape.layers))
    chosen = np.linspace(0, shape.layers - 1, count).astype(int).tolist()
    sinks = KVConfig().sinks
    with closing(dense.fork(retrieval=config)) as sealed, closing(dense.fork()) as probe:
        sealed.append_rows(frame, logits="none")
        probe.append_rows(frame, logits="none")
        traces = [Trace(*probe.trace(layer)) for layer in chosen]
        clusters = [sealed.clusters(layer) for layer in chosen]
    pairs = list(zip(traces, clusters, strict=True))
    long = [stretch(trace, found, sinks=sinks, tokens=tokens) for trace, found in pairs]
    own = [
        PagedLayer(stretch(trace, found, sinks=sinks, tokens=0), threads=model.threads)
        for trace, found in pairs
    ]
    return traces, long, own


def _time(
    layers: Sequence[PagedLayer],
    in_int8: Sequence[PagedLayer],
    queries: Sequence[Floats],
    torch_layers: dict[str, list[Callable[[Floats], Callable[[], object]]]],
    config: RetrievalConfig,
    rounds: int,
) -> Timed:
    pairs = list(zip(layers, queries, strict=True))
    plans = [layer.plan(layer.choose(q, config), config) for layer, q in pairs]
    peers = {
        dtype: [made(q) for made, q in zip(makers, queries, strict=True)]
        for dtype, makers in torch_layers.items()
    }

    def choosing() -> None:
        for layer, q in pairs:
            layer.choose(q, config)

    def ours(kept: Sequence[PagedLayer]) -> None:
        for layer, q, plan in zip(kept, queries, plans, strict=True):
            choice = layer.choose(q, config)
            layer.attend(q, plan if plan.rest is None else plan._replace(rest=choice.rest))

    def dense(kept: Sequence[PagedLayer]) -> None:
        for layer, q in zip(kept, queries, strict=True):
            layer.attend(q, layer.everything)

    def all_of(calls: list[Callable[[], object]]) -> Callable[[], object]:
        return lambda: [call() for call in calls]

    sides: dict[str, Callable[[], object]] = {
        "dense": partial(dense, layers),
        "ours": partial(ours, layers),
        "choosing": choosing,
        "dense_int8": partial(dense, in_int8),
        "ours_int8": partial(ours, in_int8),
    }
    sides |= {f"torch {dtype}": all_of(calls) for dtype, calls in peers.items()}
    ms = {side: value / len(layers) for side, value in _in_turn(sides, rounds).items()}
    torch = {side.removeprefix("torch "): value for side, value in ms.items() if side.startswith("torch ")}
    share = float(np.mean([plan.share for plan in plans]))
    own = {side: value for side, value in ms.items() if not side.startswith("torch ")}
    return Timed(**own, torch=torch, share=share)


def _in_turn(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each; the first round warms up."""
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds + 1):
        for side, run in sides.items():
            time.sleep(_REST_S)
            began = time.perf_counter()
            run()
            times[side].append(1e3 * (time.perf_counter() - began))
    return {side: statistics.median(found[1:]) for side, found in times.items()}


def _torch_layers(
    layers: Sequence[Stretched], threads: int
) -> dict[str, list[Callable[[Floats], Callable[[], object]]]]:
    """Per dtype and layer what makes, of queries, a call of torch's attention; empty without torch."""
    try:
        import torch
    except ImportError:
        return {}
    torch.set_num_threads(threads)

    def maker(k: Any, v: Any, dtype: Any) -> Callable[[Floats], Callable[[], object]]:
        def make(q: Floats) -> Callable[[], object]:
            kv_heads = k.shape[1]
            grouped = q.reshape(len(q), kv_heads, -1, q.shape[2]).transpose(1, 0, 2, 3)
            folded = torch.tensor(grouped.reshape(1, kv_heads, -1, q.shape[2]), dtype=dtype)
            return lambda: torch.nn.functional.scaled_dot_product_attention(folded, k, v)

        return make

    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        made = []
        for layer in layers:
            k, v = (torch.tensor(x.transpose(1, 0, 2)[None].copy(), dtype=dtype) for x in (layer.k, layer.v))
            made.append(maker(k, v, dtype))
        found[str(dtype).removeprefix("torch.")] = made
    return found


def matmul_rate() -> float:
    """Float32 operations a second of numpy's matrix product, on all its threads."""
    n = 1024
    a = np.ones((n, n), np.float32)
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - began)
    return 2 * n**3 / best
