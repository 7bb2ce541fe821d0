"""A whole step of the decoder with retrieval against llama.cpp: same file, threads, stream, turn by turn.

llama.cpp runs with flash attention on and off; the better median counts. Beyond the trained context both
sides hold the same stream repeated: llama.cpp's at the positions that follow, through its state API, ours
with every copy as far from the step as the stream is (``NativeSequence.repeated``), so that the share
retrieved is about that of the stream. Steps are the frames that come next in the video, each taken back.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from edgevid.bench.decoder import repacking_works
from edgevid.bench.report import Row
from edgevid.bench.streaming_gguf import reshaped
from edgevid.bench.streaming_nll import retrieved_share
from edgevid.bench.streaming_speed import ENOUGH, quality_share, sealed_from
from edgevid.bench.streaming_traces import ROWS, Floats
from edgevid.core.errors import MissingPartError
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.models.llama_cpp_llm import LlamaCppModel, LlamaCppSequence
from edgevid.models.native_llm import NativeLanguageModel, NativeSequence


class Depth(NamedTuple):
    """How often the stream is repeated; what decode and a frame step should gain on llama.cpp, if
    anything is asked of them."""

    copies: int
    decode: float | None = None
    frame: float | None = None


DEPTHS = {"8K": Depth(1, 4.0, 3.0), "32K": Depth(4, 10.0, 6.0), "128K": Depth(16, 20.0, 8.0)}
_ROOM = 1024  # tokens of a context beyond the stream
_REST_S = 0.01  # workers of one side spin for a while after a call; let them fall asleep before the other's


def rows(
    path: Path,
    past: Floats,
    frames: Floats,
    depths: Mapping[str, Depth],
    config: RetrievalConfig,
    *,
    bandwidth: float,
    repetitions: int,
    threads: int,
) -> Iterator[Row]:
    """Rows of each of ``depths``.

    Args:
        past: rows [n, hidden].
        frames: rows [m, hidden] that follow.
        bandwidth: bytes a second that the machine reads.
    """
    quality: dict[str, float] = {}  # share retrieved at the first depth, where quality is measured
    repack = repacking_works(path)
    for name, depth in depths.items():
        try:
            with ExitStack() as stack:
                folder = Path(stack.enter_context(TemporaryDirectory()))
                peers = {
                    f"flash attention {'on' if on else 'off'}": _peer(
                        path, past, depth, on, repack, threads, stack
                    )
                    for on in (False, True)
                }
                model, ours = _ours(path, folder, past, depth, config, threads, stack)
                for what, count, goal in (("decode", 1, depth.decode), ("frame step", ROWS, depth.frame)):
                    fork = stack.enter_context(closing(ours.fork()))
                    steps = frames[: count * repetitions]
                    if what not in quality:
                        quality[what] = quality_share(ours, steps, count)
                    wanted = quality[what]
                    ms = _in_turn({"ours": fork, **peers}, steps, count, repetitions)
                    share = retrieved_share(fork.retrieval())
                    enough = share >= ENOUGH * wanted
                    method = (
                        f"median of {repetitions} in turn, {ours.length} tokens, {model.threads} threads, "
                        f"logits of the last row; {share:.3f} of sealed tokens attended "
                        f"({wanted:.3f} when the steps follow one another behind the video); llama.cpp "
                        f"{'with' if repack else 'without'} repacked weights"
                    )
                    touched = _touched(model, fork, repetitions + 1)
                    yield from _compared(f"{what}, {name}", ms, touched / bandwidth, goal, enough, method)
        except MissingPartError as error:
            for what, goal in (("decode", depth.decode), ("frame step", depth.frame)):
                yield Row(f"{what}, {name}, end to end over llama.cpp", None, "x", goal, None, str(error))


def _compared(
    measure: str, ms: dict[str, float], least_s: float, goal: float | None, enough: bool, method: str
) -> Iterator[Row]:
    """``enough``: the share retrieved is not below that of the run which showed the quality."""
    ours = ms.pop("ours")
    best = min(ms, key=lambda side: ms[side])
    theirs = ", ".join(f"{side} {value:.2f} ms" for side, value in ms.items())
    share = f"reading weights, tables and chosen KV alone takes {1e3 * least_s / ours:.0%} of it"
    yield Row(f"{measure}, end to end", round(ours, 2), "ms", None, None, f"{share}; {method}")
    yield Row(f"{measure}, llama.cpp", round(ms[best], 2), "ms", None, None, f"{theirs}; {method}")
    ratio = ms[best] / ours
    how = f"llama.cpp's better time ({best}) over ours; {method}"
    if not enough:
        how = f"fails: attends less than where quality was measured; {how}"
    passed = None if goal is None else ratio >= goal and enough
    yield Row(f"{measure}, end to end over llama.cpp", round(ratio, 2), "x", goal, passed, how)


def _peer(
    path: Path,
    past: Floats,
    depth: Depth,
    flash_attention: bool,
    repack: bool,
    threads: int,
    stack: ExitStack,
) -> LlamaCppSequence:
    context = len(past) * depth.copies + _ROOM
    model = LlamaCppModel(
        path, threads=threads, context=context, flash_attention=flash_attention, repack=repack
    )
    sequence = stack.enter_context(model).new_sequence()
    sequence.append_rows(past, logits="none")
    sequence.repeat(depth.copies)
    return sequence


def _ours(
    path: Path,
    folder: Path,
    past: Floats,
    depth: Depth,
    config: RetrievalConfig,
    threads: int,
    stack: ExitStack,
) -> tuple[NativeLanguageModel, NativeSequence]:
    tokens = len(past) * depth.copies + _ROOM
    if depth.copies > 1:
        path = reshaped(path, folder / "long.gguf", context=tokens)
    model = NativeLanguageModel(path, kv=KVConfig(), kv_tokens=3 * tokens + 8 * _ROOM, threads=threads)
    with closing(model.new_sequence()) as once:
        once.append_rows(past, logits="none")
        with closing(once.repeated(depth.copies)) as dense:
            ours = sealed_from(dense, past[:1], config)
    return model, stack.enter_context(closing(ours))


def _in_turn(
    sequences: Mapping[str, NativeSequence | LlamaCppSequence], rows: Floats, count: int, repetitions: int
) -> dict[str, float]:
    """Median milliseconds of each to append the next ``count`` of ``rows``, which are taken back; the first
    round warms up."""
    times: dict[str, list[float]] = {side: [] for side in sequences}
    for i in range(repetitions + 1):
        at = i * count % len(rows)
        for side, sequence in sequences.items():
            length = sequence.length
            time.sleep(_REST_S)
            began = time.perf_counter()
            sequence.append_rows(rows[at : at + count])
            times[side].append(1e3 * (time.perf_counter() - began))
            sequence.truncate(length)
    return {side: statistics.median(found[1:]) for side, found in times.items()}


def _touched(model: NativeLanguageModel, sequence: NativeSequence, steps: int) -> float:
    """Bytes of weights, tables and sealed KV that one step read."""
    found = sequence.retrieval()
    assert found is not None
    read = np.sum([layer["kv_bytes"] + layer["table_bytes"] for layer in found["layers"]])
    return model.weight_bytes + float(read) / steps
