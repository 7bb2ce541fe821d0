"""What a machine allows at best, to hold times against."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np


class Machine(NamedTuple):
    """Bytes and float32 operations a second that all threads reach."""

    bytes_per_s: float
    flops_per_s: float


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
