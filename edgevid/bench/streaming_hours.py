"""Hours of a stream under caps: whether a frame's cost stays flat and RAM stays bounded; the disk tier when
the KV is many times the cap.

The index of clusters is part of the cap, and room for it is set aside for the worst stream, so the cap that
the shipped configuration needs is near its KV. Where the KV has to be many times the cap, segments have at
most ``_FEW`` clusters (32 tokens each or more) and the model file states a longer context.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edgevid.bench.report import Row
from edgevid.bench.streaming_gguf import reshaped
from edgevid.bench.streaming_tiers import percentile_95, time_tiers
from edgevid.bench.streaming_traces import FPS, ROWS, Floats
from edgevid.core.errors import UsageError
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel, NativeSequence

FLAT_GOAL, RSS_GOAL, TIER_GOAL = 1.10, 1.05, 1.5
LAYERS = 4  # of the model that lives through hours
_FEW = 8  # clusters of a segment
_CAP = 512  # sealed tokens of a KV head and step
_MAX_WINDOW = 1 << 17
_RETENTION = 4e9  # bytes of a session file


def flat_rows(
    path: Path, frames: Floats, config: RetrievalConfig, *, hours: float, threads: int
) -> Iterator[Row]:
    """The 95th percentile of a frame's time in each tenth of ``hours``, the last over the first;
    ``frames`` [n, hidden] again and again."""
    capped = replace(config, max_tokens=_CAP)
    with TemporaryDirectory() as name:
        folder = Path(name)
        small = reshaped(path, folder / "layers.gguf", layers=LAYERS)
        kv = KVConfig(retrieval=capped, session_file=folder / "session.kv", ram_bytes=1)
        kv = replace(kv, ram_bytes=NativeLanguageModel(small, kv=kv, threads=threads).least_ram_bytes())
        model = NativeLanguageModel(small, kv=kv, threads=threads)
        times = []
        with closing(model.new_sequence()) as sequence:
            for i in range(int(hours * 3600 * FPS)):
                at = i * ROWS % (len(frames) // ROWS * ROWS)
                began = time.perf_counter()
                sequence.append_rows(frames[at : at + ROWS], logits="none")
                times.append(1e3 * (time.perf_counter() - began))
            kept = sequence.kv().tokens
        file_bytes = (folder / "session.kv").stat().st_size
    tenths = [percentile_95(part.tolist()) for part in np.array_split(times, 10)]
    assert kv.ram_bytes is not None
    method = (
        f"{len(times)} frames of {ROWS} rows, {hours:g} h, {model.config.layers} layers, {model.threads} "
        f"threads; the newest {kept} tokens kept, at most {_CAP} sealed attended, "
        f"{kv.ram_bytes / 1e6:.1f} MB of RAM, session file {file_bytes / 1e6:.0f} MB"
    )
    for i, ms in enumerate(tenths):
        yield Row(f"flat cost, p95 up to {hours * (i + 1) / 10:g} h", round(ms, 2), "ms", None, None, method)
    ratio = tenths[-1] / tenths[0]
    steady = kept < len(times) * ROWS / 20  # the window was full before half of the first tenth had passed
    passed = ratio <= FLAT_GOAL and file_bytes <= _RETENTION if steady else None
    goal = FLAT_GOAL if steady else None
    yield Row("flat cost, last tenth over first", round(ratio, 3), "x", goal, passed, method)


def rss_rows(
    path: Path, frames: Floats, config: RetrievalConfig, *, factor: float, layers: int | None, threads: int
) -> Iterator[Row]:
    """Growth of a child's resident memory after its first frame, until its KV is ``factor`` times the cap."""
    few = replace(config, clusters=_FEW, max_tokens=_CAP)
    with TemporaryDirectory() as name:
        folder = Path(name)
        long = reshaped(path, folder / "long.gguf", layers=layers, context=_MAX_WINDOW)
        window, cap = window_of(long, few, factor=factor, threads=threads)
        np.save(folder / "frames.npy", frames)
        told = {"window": window, "cap": cap, "threads": threads, "retrieval": asdict(few)}
        command = [sys.executable, "-m", "edgevid.bench.streaming_child", name, json.dumps(told)]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
    found = json.loads(done.stdout)
    growth = (found["peak"] - found["first"]) / cap
    method = (
        f"peak resident memory of a child less that after its first frame, over the cap of "
        f"{cap / 1e6:.1f} MB; KV {found['kv'] / cap:.1f} x the cap ({found['tokens']} tokens); at "
        f"most {_FEW} clusters a segment"
    )
    passed = growth <= RSS_GOAL and found["kv"] >= 0.99 * factor * cap
    yield Row(f"RSS growth at {factor:g} x the cap", round(growth, 3), "of cap", RSS_GOAL, passed, method)


def disk_rows(
    path: Path,
    frames: Floats,
    config: RetrievalConfig,
    *,
    factor: float,
    layers: int | None,
    repetitions: int,
    threads: int,
) -> Iterator[Row]:
    """A frame's time from the session file over the same in RAM, the KV ``factor`` times the cap."""
    few = replace(config, clusters=_FEW, max_tokens=_CAP)
    with TemporaryDirectory() as name:
        folder = Path(name)
        long = reshaped(path, folder / "long.gguf", layers=layers, context=_MAX_WINDOW)
        window, _ = window_of(long, few, factor=factor, threads=threads)
        long = reshaped(path, folder / "window.gguf", layers=layers, context=window)
        model = NativeLanguageModel(long, kv=KVConfig(), kv_tokens=window + 8192, threads=threads)
        with closing(model.new_sequence(retrieval=few)) as whole:
            fill(whole, frames, tokens=window - 20 * ROWS)
            session = folder / "session.kv"
            found = time_tiers(
                long,
                whole,
                frames[:ROWS],
                retrieval=few,
                session=session,
                threads=threads,
                repetitions=repetitions,
            )
            depth = whole.length
    ratio = found.from_file_ms / found.in_ram_ms
    method = (
        f"p95 of {repetitions} 10-row steps at depth {depth}, {model.config.layers} layers: "
        f"{found.from_file_ms:.1f} ms from the file, page cache dropped before each, "
        f"{found.in_ram_ms:.1f} ms in RAM; KV is {found.kv_over_cap:.1f} x the cap, "
        f"{found.kv_over_slots:.1f} x its slots; "
        f"at most {_FEW} clusters a segment, {_CAP} sealed tokens a step; "
        f"{found.read_bytes / 1e6:.1f} MB read a step, "
        f"disk {found.disk_bytes_per_s / 1e6:.0f} MB/s"
    )
    passed = ratio <= TIER_GOAL and found.kv_over_cap >= 0.98 * factor
    measure = f"disk tier at {factor:g} x the cap, over RAM"
    yield Row(measure, round(ratio, 2), "x", TIER_GOAL, passed, method)


def window_of(path: Path, retrieval: RetrievalConfig, *, factor: float, threads: int) -> tuple[int, int]:
    """``(tokens, bytes)``: a window whose KV is at least ``factor`` times the least cap, and that cap.

    Raises:
        UsageError: no window up to the context that ``path`` states is long enough.
    """
    window = 4096
    while window <= _MAX_WINDOW:
        kv = KVConfig(
            retrieval=retrieval, session_file=path.with_suffix(".kv"), ram_bytes=1, max_tokens=window
        )
        model = NativeLanguageModel(path, kv=kv, threads=threads)
        cap, shape = model.least_ram_bytes(), model.config
        if 4 * window * shape.layers * shape.kv_heads * shape.head_dim >= 1.02 * factor * cap:
            return window, cap
        window += 4096
    raise UsageError(f"no window holds {factor:g} times its cap", fix="fewer clusters a segment")


def fill(sequence: NativeSequence, frames: Floats, *, tokens: int) -> None:
    """Append whole frames of ``frames`` [n, hidden], again and again, up to ``tokens`` in all."""
    whole = frames[: len(frames) // ROWS * ROWS]
    while (room := tokens - sequence.length) >= ROWS:
        sequence.append_rows(whole[: room // ROWS * ROWS], logits="none")
