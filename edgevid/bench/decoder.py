"""``edgevid bench decoder``: the native decoder against llama.cpp, on the same file, threads and tokens.

Timed are one token, a 10-token step (a frame of a video LLM) and a 512-token prefill, each appended to a text
of a given depth and taken back. Both sides run in one process and take turns, so that what else the machine
does hits both; llama.cpp runs with flash attention on and off, and its better median counts.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgevid.bench.machine import read_bandwidth
from edgevid.bench.parity import agreement, recorded
from edgevid.bench.report import Row
from edgevid.core.errors import MissingPartError
from edgevid.models.llama_cpp_llm import LlamaCppModel
from edgevid.models.llm import LanguageModel, LanguageSequence
from edgevid.models.native_llm import NativeLanguageModel
from edgevid.models.store import ModelStore

MODEL = "smollm2-135m-instruct"
GOAL = 1.3
DEPTHS = (512, 2048, 7680)  # the last leaves room for a prefill inside the trained context of 8192
STEPS = {"decode": (1, 20), "10-token step": (10, 12), "512-token prefill": (512, 3)}  # rows, repetitions
_REST_S = 0.01  # both sides' workers spin for a while after a call; let them fall asleep before the other's


def rows(*, quick: bool = False, threads: int = 0) -> Iterator[Row]:
    """Rows of the bench; ``quick`` measures depth 512 only, with half the repetitions.

    Raises:
        MissingPartError: the model pack is not pulled.
    """
    path = ModelStore().where(MODEL)["model.gguf"]
    depths = DEPTHS[:1] if quick else DEPTHS
    ours = NativeLanguageModel(path, threads=threads)
    peers, missing = _peers(path, ours.threads, depths[-1] + 512)
    bandwidth = read_bandwidth(ours.threads)
    ids = [int(t) for t in np.random.default_rng(0).integers(100, 40000, depths[-1] + 512)]
    for depth in depths:
        yield from _rows_at(depth, ours, peers, missing, ids, bandwidth, quick)
    how = f"{ours.threads} threads each read 256 MB, best of 5"
    yield Row("memory read bandwidth", round(bandwidth / 1e9, 1), "GB/s", None, None, how)
    yield from _parity_rows(path, ours, tokens=300 if quick else 2000)


def _rows_at(
    depth: int,
    ours: NativeLanguageModel,
    peers: dict[str, LlamaCppModel],
    missing: str,
    ids: list[int],
    bandwidth: float,
    quick: bool,
) -> Iterator[Row]:
    backends: dict[str, LanguageModel] = {"ours": ours, **peers}
    sequences = {name: model.new_sequence() for name, model in backends.items()}
    for sequence in sequences.values():
        sequence.append_tokens(ids[:depth], logits="none")
    for what, (count, full) in STEPS.items():
        repetitions = (full + 1) // 2 if quick else full
        ms = _take_turns(sequences, ids[depth : depth + count], repetitions)
        method = f"median of {repetitions} at depth {depth}, {ours.threads} threads, logits of the last row"
        mine = ms.pop("ours")
        yield Row(f"{what}, depth {depth}", round(mine, 2), "ms", None, None, method)
        yield from _against(what, depth, mine, ms, missing, method)
        if what == "decode":
            touched = ours.weight_bytes + sequences["ours"].kv().bytes
            how = f"{touched / 1e6:.0f} MB of weights and KV at the bandwidth below, over the measured time"
            share = touched / bandwidth * 1e3 / mine
            yield Row(f"{what}, depth {depth}, share of roofline", round(share, 2), "", None, None, how)
    for sequence in sequences.values():
        sequence.close()


def _against(
    what: str, depth: int, mine: float, theirs: dict[str, float], missing: str, method: str
) -> Iterator[Row]:
    goal = GOAL if depth == DEPTHS[0] else None
    if not theirs:
        yield Row(f"{what}, depth {depth}, over llama.cpp", None, "x", goal, None, missing)
        return
    best = min(theirs, key=lambda name: theirs[name])
    named = f"llama.cpp, {best}; " + ", ".join(f"{name} {ms:.2f} ms" for name, ms in theirs.items())
    yield Row(
        f"{what}, depth {depth}, llama.cpp", round(theirs[best], 2), "ms", None, None, f"{named}; {method}"
    )
    ratio = mine / theirs[best]
    passed = None if goal is None else ratio <= goal
    yield Row(
        f"{what}, depth {depth}, over llama.cpp", round(ratio, 3), "x", goal, passed, "our time over its best"
    )


def _take_turns(sequences: dict[str, LanguageSequence], ids: list[int], repetitions: int) -> dict[str, float]:
    """Median milliseconds per backend of appending ``ids``, round by round; the first round warms up."""
    times: dict[str, list[float]] = {name: [] for name in sequences}
    for _ in range(repetitions + 1):
        for name, sequence in sequences.items():
            depth = sequence.length
            time.sleep(_REST_S)
            began = time.perf_counter()
            sequence.append_tokens(ids)
            times[name].append(1e3 * (time.perf_counter() - began))
            sequence.truncate(depth)
    return {name: statistics.median(t[1:]) for name, t in times.items()}


def _peers(path: Path, threads: int, context: int) -> tuple[dict[str, LlamaCppModel], str]:
    """llama.cpp in the settings that compete, or none and the reason."""
    repack = repacking_works(path)
    try:
        return {
            f"flash attention {'on' if on else 'off'}{', repacked weights' if repack else ''}": LlamaCppModel(
                path, threads=threads, context=context, flash_attention=on, repack=repack
            )
            for on in (False, True)
        }, ""
    except MissingPartError as error:
        return {}, str(error)


def repacking_works(path: Path) -> bool:
    """Whether llama.cpp survives rearranging its weights: with AMX, release 0.3.36 may crash the process."""
    probe = (
        "import sys\n"
        "from edgevid.models.llama_cpp_llm import LlamaCppModel\n"
        "model = LlamaCppModel(sys.argv[1], context=256, repack=True)\n"
        "model.new_sequence().append_tokens([1] * 64)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, str(path)], capture_output=True, check=False, timeout=120
    )
    return done.returncode == 0


def _parity_rows(path: Path, ours: NativeLanguageModel, *, tokens: int) -> Iterator[Row]:
    fixture = recorded()
    if fixture is None:
        reason = "what llama.cpp said is recorded in the source tree (tests/fixtures), which is not here"
        yield Row("parity with llama.cpp, top-1", None, "share", 0.99, None, reason)
        yield Row("parity with llama.cpp, KL", None, "nats", 1e-3, None, reason)
        return
    ids = fixture["ids"][:tokens].tolist()
    text = f"{tokens} tokens of real text, teacher-forced, against llama.cpp on F32 weights with F32 KV"
    top_ids, top_logprobs = fixture["top_ids"][:tokens], fixture["top_logprobs"][:tokens]
    exact = NativeLanguageModel(path, exact=True, threads=ours.threads)
    found = agreement(top_ids, top_logprobs, exact.new_sequence().append_tokens(ids, logits="all"))
    how = f"{text}; ours in F32 too"
    yield Row("parity with llama.cpp, top-1", round(found.top1, 4), "share", 0.99, found.top1 >= 0.99, how)
    yield Row("parity with llama.cpp, KL", float(f"{found.kl:.2g}"), "nats", 1e-3, found.kl <= 1e-3, how)
    usual = agreement(top_ids, top_logprobs, ours.new_sequence().append_tokens(ids, logits="all"))
    how = (
        f"{text}; ours as shipped (8-bit activations). llama.cpp as shipped, by the same yardstick on 2000 "
        f"tokens: top-1 {float(fixture['usual_top1']):.4f}, KL {float(fixture['usual_kl']):.2g}"
    )
    yield Row("shipped precision against F32, top-1", round(usual.top1, 4), "share", None, None, how)
    yield Row("shipped precision against F32, KL", float(f"{usual.kl:.2g}"), "nats", None, None, how)
