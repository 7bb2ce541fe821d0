"""Hours of a stream under caps: whether a frame's cost stays flat and RAM stays bounded; the disk tier when
the KV is many times the cap.

The tables of clusters are part of the cap, and room for them is set aside for the worst stream. With the
shipped 128 clusters a segment they are a good third of the KV, which is therefore never many times the cap:
how many is a row. Beside it is what bounded tables reach (docs/DECISIONS/029), 8 tokens a cluster on
average, on a model file that states a longer context.
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
from edgevid.bench.streaming_tiers import agreement, following, percentile_95, time_tiers
from edgevid.bench.streaming_traces import FPS, ROWS, Floats
from edgevid.core.errors import UsageError
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel, NativeSequence

FLAT_GOAL, RSS_GOAL, TIER_GOAL = 1.10, 1.05, 1.5
LAYERS = 4  # of the model that lives through hours
_CAP = 512  # sealed tokens of a KV head and step
_MAX_WINDOW = 1 << 17
_EVEN = 1.02  # KV over what is asked: the newest tokens of a window come and go
_RETENTION = 4e9  # bytes of a session file


def flat_rows(
    path: Path, frames: Floats, config: RetrievalConfig, *, hours: float, threads: int
) -> Iterator[Row]:
    """The 95th percentile of a frame's time in each tenth of ``hours``, the last over the first;
    ``frames`` [n, hidden] again and again, the window full before the first is timed."""
    capped = replace(config, max_tokens=_CAP)
    with TemporaryDirectory() as name:
        folder = Path(name)
        small = reshaped(path, folder / "layers.gguf", layers=LAYERS)
        kv = KVConfig(retrieval=capped, session_file=folder / "session.kv", ram_bytes=1)
        kv = replace(kv, ram_bytes=NativeLanguageModel(small, kv=kv, threads=threads).least_ram_bytes())
        model = NativeLanguageModel(small, kv=kv, threads=threads)
        times = []
        with closing(model.new_sequence()) as sequence:
            fill(sequence, frames, tokens=model.config.context_length)  # a growing past is not what is judged
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
    passed = ratio <= FLAT_GOAL and file_bytes <= _RETENTION
    yield Row("flat cost, last tenth over first", round(ratio, 3), "x", FLAT_GOAL, passed, method)


def rss_rows(
    path: Path, frames: Floats, config: RetrievalConfig, *, factor: float, layers: int | None, threads: int
) -> Iterator[Row]:
    """Growth of a child's resident memory after its first frame, until its KV is ``factor`` times the cap;
    with the tables of ``config``, until it is as large as the cap."""
    bounded, own = _bounded(config), replace(config, max_tokens=_CAP)
    with TemporaryDirectory() as name:
        folder = Path(name)
        long = reshaped(path, folder / "long.gguf", layers=layers, context=_MAX_WINDOW)
        reached = _reached(long, own, factor=factor, threads=threads)
        yield reached
        if float(reached.value or 0) > _EVEN:
            yield _growth(folder, long, frames, own, factor=1.0, threads=threads, goal=RSS_GOAL)
        yield _growth(folder, long, frames, bounded, factor=factor, threads=threads, goal=RSS_GOAL)


def _growth(
    folder: Path,
    model: Path,
    frames: Floats,
    config: RetrievalConfig,
    *,
    factor: float,
    threads: int,
    goal: float,
) -> Row:
    window, cap = window_of(model, config, factor=factor, threads=threads)
    np.save(folder / "frames.npy", frames)
    told = {"window": window, "cap": cap, "threads": threads, "retrieval": asdict(config)}
    command = [sys.executable, "-m", "edgevid.bench.streaming_child", str(folder), json.dumps(told)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    (folder / "session.kv").unlink()
    found = json.loads(done.stdout)
    growth = (found["peak"] - found["first"]) / cap
    method = (
        f"peak resident memory of a child less that after its first frame, over the cap of "
        f"{cap / 1e6:.1f} MB; KV {found['kv'] / cap:.1f} x the cap ({found['tokens']} tokens)"
    )
    passed = growth <= goal and found["kv"] >= 0.99 * factor * cap
    measure = f"RSS growth at {factor:g} x the cap, {_tables(config)}"
    return Row(measure, round(growth, 3), "of cap", goal, passed, method)


def _reached(path: Path, config: RetrievalConfig, *, factor: float, threads: int) -> Row:
    """How many times its least cap the KV of ``config`` can be; its share grows with the window."""
    kv = KVConfig(retrieval=config, session_file=path.with_suffix(".kv"), ram_bytes=1, max_tokens=_MAX_WINDOW)
    model = NativeLanguageModel(path, kv=kv, threads=threads)
    cap, kv_bytes = model.least_ram_bytes(), _kv_bytes(model, _MAX_WINDOW)
    method = (
        f"a window of {_MAX_WINDOW} tokens, where it is most, {model.config.layers} layers: KV of "
        f"{kv_bytes / 1e6:.0f} MB, least cap {cap / 1e6:.0f} MB, nearly all of it tables"
    )
    measure = f"KV over the least cap, {_tables(config)}"
    return Row(measure, round(kv_bytes / cap, 2), "x", factor, kv_bytes >= factor * cap, method)


def _bounded(config: RetrievalConfig) -> RetrievalConfig:
    return replace(config, clusters=64, mean_clusters=32, max_tokens=_CAP, max_pages=512)


def _tables(config: RetrievalConfig) -> str:
    values = "" if config.estimate else ", no values"
    if config.mean_clusters:
        return f"bounded tables ({config.mean_clusters} clusters a segment on average{values})"
    return f"shipped tables ({config.clusters} clusters a segment{values})"


def _kv_bytes(model: NativeLanguageModel, tokens: int) -> int:
    shape = model.config
    return 4 * tokens * shape.layers * shape.kv_heads * shape.head_dim


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
    """A frame's time from the session file over the same in RAM, the KV ``factor`` times the cap; nothing is
    estimated, as mean values double the tables."""
    bounded = replace(_bounded(config), estimate=False)
    with TemporaryDirectory() as name:
        folder = Path(name)
        long = reshaped(path, folder / "long.gguf", layers=layers, context=_MAX_WINDOW)
        yield _reached(long, replace(config, max_tokens=_CAP), factor=factor, threads=threads)
        window, _ = window_of(long, bounded, factor=factor, threads=threads)
        long = reshaped(path, folder / "window.gguf", layers=layers, context=window)
        model = NativeLanguageModel(long, kv=KVConfig(), kv_tokens=window + 8192, threads=threads)
        session = folder / "session.kv"
        with closing(model.new_sequence(retrieval=bounded)) as whole:
            fill(whole, frames, tokens=window - (repetitions + 4) * ROWS)
            whole.save(session)
            depth = whole.length
        steps = following(frames, begin=depth, repetitions=repetitions)
        found = time_tiers(long, session, steps, retrieval=bounded, threads=threads)
    ratio = found.from_file_ms / found.in_ram_ms
    method = (
        f"p95 of {repetitions} following 10-row steps, in turn, at depth {depth}, "
        f"{model.config.layers} layers: "
        f"{found.from_file_ms:.1f} ms from the file, page cache dropped before each, "
        f"{found.in_ram_ms:.1f} ms in RAM; KV is {found.kv_over_cap:.1f} x the cap, "
        f"{found.kv_over_slots:.1f} x its slots; "
        f"{_tables(bounded)}, {_CAP} sealed tokens a step; "
        f"{found.read_bytes / 1e6:.1f} MB read a step, "
        f"disk {found.disk_bytes_per_s / 1e6:.0f} MB/s; {agreement(found)}"
    )
    passed = ratio <= TIER_GOAL and found.kv_over_cap >= 0.98 * factor and found.same
    measure = f"disk tier at {factor:g} x the cap, over RAM, {_tables(bounded)}"
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
        cap = model.least_ram_bytes()
        if _kv_bytes(model, window) >= _EVEN * factor * cap:
            return window, cap
        window += 4096
    raise UsageError(f"no window holds {factor:g} times its cap", fix="fewer clusters a segment")


def fill(sequence: NativeSequence, frames: Floats, *, tokens: int) -> None:
    """Append whole frames of ``frames`` [n, hidden], again and again, up to ``tokens`` in all."""
    whole = frames[: len(frames) // ROWS * ROWS]
    while (room := tokens - sequence.length) >= ROWS:
        sequence.append_rows(whole[: room // ROWS * ROWS], logits="none")
