"""``edgevid bench streaming``: retrieval of the KV cache, in quality (E1 to E5) and speed, on real video.

One configuration is measured throughout, ``SHIPPED``. Frames of real clips enter SmolLM2-135M as rows of the
label connector, so keys, values and attention are real, though what the model would say about them means
nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edgevid.bench import (
    streaming_hours,
    streaming_joining,
    streaming_needles,
    streaming_noise,
    streaming_peer,
    streaming_speed,
)
from edgevid.bench.machine import read_bandwidth
from edgevid.bench.report import Row, configuration
from edgevid.bench.streaming_nll import Piece, between_frames, paired, score_all
from edgevid.bench.streaming_rivals import ESTIMATED, METHODS, Ids, Loss, losses
from edgevid.bench.streaming_tiers import agreement, following, time_tiers
from edgevid.bench.streaming_traces import ROWS, Floats, Trace, frame_rows, held_out_text, real_text
from edgevid.core.errors import MissingPartError, UsageError
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel, NativeSequence
from edgevid.models.store import ModelStore

MODEL = "smollm2-135m-instruct"
SHIPPED = RetrievalConfig()
PARTS = ("e1", "speed", "disk", "e2", "e5", "e4", "e3", "llama", "flat", "rss")
BUDGETS = (0.06, 0.12, 0.25)
E2_GOAL = 0.02
_DEPTH, _QUICK_DEPTH = 7700, 2000
_TIMED = 20  # steps, the fewest that count
_STEP = 64  # tokens of text per step
_CAP = 512  # sealed tokens of a KV head and step, for the second row of the disk tier
_HARD_STEPS, _QUICK_HARD_STEPS = 30, 5  # frames of E5
_NEEDLE_S, _QUICK_NEEDLE_S = 200, 64  # seconds of E3's streams
_ON_VIDEO = {"e1", "speed", "disk", "e2", "e5", "llama", "flat", "rss"}
_HOURS, _QUICK_HOURS = 10.0, 1 / 3
_QUICK_LAYERS = 4  # of the disk tier and of rss
_QUESTION = "\nWhat is on the road?\n"


def rows(
    data: Path | None, *, quick: bool = False, threads: int = 0, only: Sequence[str] = ()
) -> Iterator[Row]:
    """Rows of the bench; ``quick`` stays at a depth of 2,000 tokens; ``only`` names some of ``PARTS``.

    Raises:
        UsageError: there is no such part.
        MissingPartError: the model pack or the clips are not there.
    """
    wanted = set(only or PARTS)
    if unknown := wanted - set(PARTS):
        raise UsageError(f"no such part: {', '.join(sorted(unknown))}", fix=f"choose of {', '.join(PARTS)}")
    if data is None:
        raise MissingPartError("the clips are not here", fix="set EDGEVID_TEST_DATA")
    yield configuration(SHIPPED)
    if wanted & _ON_VIDEO:
        yield from _on_video(data, wanted, quick=quick, threads=threads)
    if "e4" in wanted:
        yield from streaming_joining.rows(quick=quick)
    if "e3" in wanted:
        yield from _needles(quick=quick, threads=threads)


def _on_video(data: Path, wanted: set[str], *, quick: bool, threads: int) -> Iterator[Row]:
    path = ModelStore().where(MODEL)["model.gguf"]
    model = NativeLanguageModel(path, kv=KVConfig(), kv_tokens=4 * 8192, threads=threads)
    depth = _QUICK_DEPTH if quick else _DEPTH
    stream = frame_rows(model, data, frames=depth // ROWS + _TIMED)
    frames = stream[: depth + ROWS]
    frame = frames[depth : depth + ROWS]
    if wanted & {"e1", "speed", "disk"}:
        with closing(model.new_sequence(trace=True)) as dense:
            dense.append_rows(frames[:depth], logits="none")
            if "e1" in wanted:
                yield from _pareto(model, dense, frame, layers=6 if quick else 3)
            if "speed" in wanted:
                yield from streaming_speed.rows(model, dense, stream[depth:], SHIPPED, repetitions=_TIMED)
            if "disk" in wanted:
                yield from _tiers(path, model, dense, frames, repetitions=_TIMED if quick else 40)
    if "e2" in wanted:
        yield from _likelihood(model, data, frames, tokens=depth)
    if "e5" in wanted:
        hard = streaming_noise.hard_streams(model, frames[: depth // ROWS * ROWS])
        steps = _QUICK_HARD_STEPS if quick else _HARD_STEPS
        yield from streaming_noise.rows(model, hard, SHIPPED, steps=steps)
    yield from _system(path, stream, wanted, quick=quick, threads=threads)


def _system(path: Path, frames: Floats, wanted: set[str], *, quick: bool, threads: int) -> Iterator[Row]:
    """Rows of the whole system, each with models of its own."""
    layers = _QUICK_LAYERS if quick else None
    if "disk" in wanted:
        yield from streaming_hours.disk_rows(
            path,
            frames,
            SHIPPED,
            factor=2 if quick else 10,
            layers=layers,
            repetitions=_TIMED if quick else 40,
            threads=threads,
        )
    if "llama" in wanted:
        yield from streaming_peer.rows(
            path,
            frames[: len(frames) - ROWS * _TIMED],
            frames[len(frames) - ROWS * _TIMED :],
            {"2K": streaming_peer.Depth(1)} if quick else streaming_peer.DEPTHS,
            SHIPPED,
            bandwidth=read_bandwidth(threads or os.cpu_count() or 1),
            repetitions=_TIMED,
            threads=threads,
        )
    if "flat" in wanted:
        hours = _QUICK_HOURS if quick else _HOURS
        yield from streaming_hours.flat_rows(path, frames, SHIPPED, hours=hours, threads=threads)
    if "rss" in wanted:
        yield from streaming_hours.rss_rows(
            path, frames, SHIPPED, factor=2 if quick else 6, layers=layers, threads=threads
        )


def _pareto(
    model: NativeLanguageModel, dense: NativeSequence, frame: Floats, *, layers: int
) -> Iterator[Row]:
    sealed = dense.fork(retrieval=SHIPPED)
    sealed.append_rows(frame, logits="none")
    question = model.embed(model.tokenize(_QUESTION))
    sinks = KVConfig().sinks
    for stage, step in (("frame", frame), ("text", question)):
        probe = dense.fork()
        probe.append_rows(step, logits="none")
        for by_bytes in (False, True):
            found: dict[tuple[str, float], list[Loss]] = {}
            for layer in range(0, model.config.layers, layers):
                clusters = _cluster_of_token(sealed.clusters(layer))
                trace = Trace(*probe.trace(layer))
                for key, new in losses(
                    trace, clusters, first=sinks, budgets=BUDGETS, by_bytes=by_bytes, seed=layer
                ).items():
                    found.setdefault(key, []).extend(new)
            yield from _pareto_rows(found, stage, "bytes" if by_bytes else "tokens", dense.length)
        probe.close()
    sealed.close()


def _pareto_rows(
    found: dict[tuple[str, float], list[Loss]], stage: str, unit: str, depth: int
) -> Iterator[Row]:
    for budget in BUDGETS:
        for column, what in enumerate(("output error", "mass left out")):
            mean = {m: float(np.mean([loss[column] for loss in found[m, budget]])) for m in METHODS}
            own = {method: mean.pop(method) for method in ("ReSV", ESTIMATED)}
            best = min(value for method, value in mean.items() if method != "oracle")
            how = "rivals: " + ", ".join(f"{m} {value:.4f}" for m, value in mean.items())
            how += f"; {depth} tokens of real video, every KV head of every third layer or fewer"
            for method, ours in own.items():
                if method == ESTIMATED and column == 1:
                    continue  # nothing is left out
                suffix = " with estimates" if method == ESTIMATED else ""
                measure = f"E1 {stage}, {budget:.0%} of {unit}, {what}{suffix}"
                yield Row(measure, round(ours, 4), "", round(best, 4), ours <= best, how)


def _needles(*, quick: bool, threads: int) -> Iterator[Row]:
    try:
        yield from streaming_needles.rows(
            seconds=_QUICK_NEEDLE_S if quick else _NEEDLE_S, quick=quick, threads=threads
        )
    except MissingPartError as error:  # what was measured before must not be lost
        yield Row("E3", None, "", None, None, str(error))


def _cluster_of_token(segments: Sequence[tuple[list[int], list[int]]]) -> Ids:
    """ReSV's cluster of each sealed token, counted over segments."""
    parts: list[Ids] = []
    clusters = 0
    for order, begin in segments:
        of_token = np.empty(len(order), np.intp)
        of_token[order] = clusters + np.repeat(np.arange(len(begin) - 1), np.diff(begin))
        parts.append(of_token)
        clusters += len(begin) - 1
    return np.concatenate(parts)


def _tiers(
    path: Path, model: NativeLanguageModel, dense: NativeSequence, frames: Floats, *, repetitions: int
) -> Iterator[Row]:
    """What the trained context allows, where KV is about the cap; the goal is stated at ten times the cap."""
    for what, retrieval in (
        ("shipped", SHIPPED),
        (f"at most {_CAP} tokens", replace(SHIPPED, max_tokens=_CAP)),
    ):
        with TemporaryDirectory() as folder:
            session = Path(folder) / "session.kv"
            with closing(dense.fork(retrieval=retrieval)) as whole:
                whole.append_rows(frames[-ROWS:], logits="none")
                whole.save(session)
            steps = following(frames, begin=0, repetitions=repetitions)
            found = time_tiers(path, session, steps, retrieval=retrieval, threads=model.threads)
        ratio = found.from_file_ms / found.in_ram_ms
        method = (
            f"p95 of {repetitions} following 10-row steps, in turn, from depth {dense.length}: "
            f"{found.from_file_ms:.1f} ms under the least cap on RAM, page cache dropped before each, "
            f"{found.in_ram_ms:.1f} ms in RAM; KV is {found.kv_over_cap:.1f} x the cap, "
            f"{found.kv_over_slots:.1f} x its slots; {found.read_bytes / 1e6:.1f} MB read a step, "
            f"disk {found.disk_bytes_per_s / 1e6:.0f} MB/s; {agreement(found)}"
        )
        yield Row(f"disk tier, {what}, over RAM", round(ratio, 2), "x", None, None, method)


def _likelihood(model: NativeLanguageModel, data: Path, frames: Floats, *, tokens: int) -> Iterator[Row]:
    """The settings were chosen on the beginning of ``text``; ``held_out`` and what follows had no part."""
    text, held_out = (model.tokenize(t[: 16 * tokens]) for t in (real_text(data), held_out_text()))
    none = np.empty((0, model.config.hidden), np.float32)
    streams = {
        "text": [[Piece(none, text[: tokens + 1])]],
        "held-out text": [[Piece(none, held_out[: tokens + 1])]],
        "text between frames": [
            between_frames(frames, ids[tokens:], tokens=tokens) for ids in (text, held_out)
        ],
    }
    for what, pieces in streams.items():
        plain = score_all(model, pieces, None, step=_STEP)
        ours = score_all(model, pieces, SHIPPED, step=_STEP)
        bounds = [0, 1024, 2048, 4096, 8192]
        for low, high in pairwise(bounds):
            inside = (plain.at >= low) & (plain.at < high)
            if inside.sum() < 100:
                continue
            mean, half = paired(ours.nll[inside] - plain.nll[inside])
            last = high == bounds[-1]
            method = (
                f"NLL with retrieval minus dense, {int(inside.sum())} tokens predicted at positions {low} to "
                f"{high}, 95 % interval +-{half:.4f}, {ours.retrieved:.1%} retrieved, steps of {_STEP} tokens"
            )
            goal, passed = (E2_GOAL, mean <= E2_GOAL) if last else (None, None)
            yield Row(f"E2 {what}, to {high}", round(mean, 4), "nats", goal, passed, method)
