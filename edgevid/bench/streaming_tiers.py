"""Retrieval from a session file under a cap on RAM, against the same with all in RAM, page cache dropped."""

from __future__ import annotations

import os
import shutil
import statistics
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgevid.bench.streaming_traces import ROWS, Floats
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel, NativeSequence

_ROOM = 8192  # tokens of pages beyond the context
_WARM_UP = 2  # steps
_REST_S = 0.01  # workers of one side spin for a while after a call; let them fall asleep before the other's


class Tiered(NamedTuple):
    """A step from the file and in RAM: 95th percentiles in ms; kept KV over the cap, and over the slots;
    bytes read a step; of the disk, bytes a second; whether both sides end with the same logits."""

    from_file_ms: float
    in_ram_ms: float
    kv_over_cap: float
    kv_over_slots: float
    read_bytes: float
    disk_bytes_per_s: float
    same: bool


def time_tiers(
    path: Path, session: Path, frames: Floats, *, retrieval: RetrievalConfig, threads: int
) -> Tiered:
    """Resume the past saved in ``session`` twice, all in RAM and under the least RAM that will do, and append
    ``frames`` [n * 10, hidden] to both, frame by frame in turn.

    The frames follow one another: a step taken back and repeated would find all it wants in the slots. The
    first two warm up, the last one's logits are compared.
    """
    copied = session.with_suffix(".ram")
    shutil.copyfile(session, copied)
    kv = KVConfig(retrieval=retrieval, session_file=session, ram_bytes=1)
    least = NativeLanguageModel(path, kv=kv, threads=threads).least_ram_bytes()
    model = NativeLanguageModel(path, kv=replace(kv, ram_bytes=least), threads=threads)
    pages = model.config.context_length + _ROOM
    in_ram = NativeLanguageModel(
        path, kv=KVConfig(retrieval=retrieval, session_file=copied), kv_tokens=pages, threads=threads
    )
    *steps, last = np.split(frames, len(frames) // ROWS)
    with closing(model.new_sequence()) as capped, closing(in_ram.new_sequence()) as whole:
        times: dict[str, list[float]] = {"file": [], "RAM": []}
        for i, rows in enumerate(steps):
            if i == _WARM_UP:
                reads = _tiers(capped)["reads"]
            for side, sequence in (("file", capped), ("RAM", whole)):
                _drop_cache(session)
                time.sleep(_REST_S)
                began = time.perf_counter()
                sequence.append_rows(rows, logits="none")
                times[side].append(1e3 * (time.perf_counter() - began))
        after, kept = _tiers(capped), whole.kv()
        same = np.array_equal(capped.append_rows(last), whole.append_rows(last))
    kv_bytes = kept.tokens * kept.bytes / (kept.pages * KVConfig().page_size)
    return Tiered(
        percentile_95(times["file"][_WARM_UP:]),
        percentile_95(times["RAM"][_WARM_UP:]),
        kv_bytes / least,
        kv_bytes / (after["slots"] * after["slot_bytes"]),
        (after["reads"] - reads) * after["slot_bytes"] / (len(steps) - _WARM_UP),
        _disk_rate(session),
        same,
    )


def following(frames: Floats, *, begin: int, repetitions: int) -> Floats:
    """What :func:`time_tiers` needs for ``repetitions`` timed steps: the frames of the stream ``frames``
    [n, hidden], again and again, from row ``begin``."""
    whole = len(frames) // ROWS * ROWS
    return frames[(begin + np.arange((repetitions + _WARM_UP + 1) * ROWS)) % whole]


def agreement(found: Tiered) -> str:
    """In words."""
    return f"both sides end with {'the same' if found.same else 'DIFFERENT'} logits"


def _tiers(sequence: NativeSequence) -> dict[str, int]:
    found = sequence.tiers()
    assert found is not None
    return found


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
