"""What a machine allows at best, to hold times against."""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

import numpy as np


class Machine(NamedTuple):
    """Bytes and float32 operations a second that all threads reach."""

    bytes_per_s: float
    flops_per_s: float


def read_bandwidth(threads: int) -> float:
    """Bytes per second that ``threads`` threads read from memory together."""
    blocks = [np.ones(64 << 20, np.float32) for _ in range(threads)]
    best = float("inf")
    for _ in range(5):
        workers = [threading.Thread(target=np.maximum.reduce, args=(block,)) for block in blocks]
        began = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        best = min(best, time.perf_counter() - began)
    return sum(block.nbytes for block in blocks) / best


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
