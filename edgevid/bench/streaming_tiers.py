"""Retrieval from a session file under a cap on RAM, against the same with all in RAM, page cache dropped."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from edgevid.bench.streaming_traces import Floats
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel, NativeSequence


class Tiered(NamedTuple):
    """A step from the file and in RAM: 95th percentiles in ms; kept KV over the cap, and over the slots;
    bytes read a step; of the disk, bytes a second."""

    from_file_ms: float
    in_ram_ms: float
    kv_over_cap: float
    kv_over_slots: float
    read_bytes: float
    disk_bytes_per_s: float


def time_tiers(
    path: Path,
    dense: NativeSequence,
    rows: Floats,
    *,
    retrieval: RetrievalConfig,
    session: Path,
    threads: int,
    repetitions: int,
) -> Tiered:
    """Seal what ``dense`` holds (or has sealed by ``retrieval``) into ``session``, resume it under the least
    RAM that will do, and time the step of appending ``rows``, taken back each time."""
    whole = dense.fork(retrieval=retrieval if dense.retrieval() is None else None)
    whole.append_rows(rows, logits="none")
    whole.save(session)
    in_ram = _steps(whole, rows, repetitions, session=None)
    kept = whole.kv()
    whole.close()
    kv = KVConfig(retrieval=retrieval, session_file=session, ram_bytes=1)
    least = NativeLanguageModel(path, kv=kv, threads=threads).least_ram_bytes()
    model = NativeLanguageModel(path, kv=replace(kv, ram_bytes=least), threads=threads)
    capped = model.new_sequence()
    try:
        before = capped.tiers()
        assert before is not None
        from_file = _steps(capped, rows, repetitions, session=session)
        after = capped.tiers()
        assert after is not None
    finally:
        capped.close()
    kv_bytes = kept.tokens * kept.bytes / (kept.pages * KVConfig().page_size)
    return Tiered(
        percentile_95(from_file),
        percentile_95(in_ram),
        kv_bytes / least,
        kv_bytes / (after["slots"] * after["slot_bytes"]),
        (after["reads"] - before["reads"]) * after["slot_bytes"] / (repetitions + 1),
        _disk_rate(session),
    )


def _steps(sequence: NativeSequence, rows: Floats, repetitions: int, *, session: Path | None) -> list[float]:
    length = sequence.length
    times = []
    for _ in range(repetitions + 1):
        if session is not None:
            _drop_cache(session)
        began = time.perf_counter()
        sequence.append_rows(rows, logits="none")
        times.append(1e3 * (time.perf_counter() - began))
        sequence.truncate(length)
    return times[1:]


def _drop_cache(path: Path) -> None:
    """Pages of the file that are on the disk leave the page cache."""
    with path.open("rb") as file:
        os.fdatasync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _disk_rate(path: Path) -> float:
    _drop_cache(path)
    began = time.perf_counter()
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 20):
            pass
    return path.stat().st_size / (time.perf_counter() - began)


def percentile_95(times: list[float]) -> float:
    """Of at least two times."""
    return statistics.quantiles(times, n=20, method="inclusive")[-1]
