"""`pytest bench` times the ops one by one; every result carries its rate in the benchmark's extra_info."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(scope="session")
def native() -> Any:
    """``edgevid._native.ops``, on the instruction set EDGEVID_ISA names or the best one."""
    try:
        return importlib.import_module("edgevid._native").ops
    except ImportError:
        pytest.skip("the native core is not built")


@pytest.fixture
def timed(benchmark: Any) -> Callable[..., None]:
    """``timed(fn, work=n, unit="GMAC/s")``: runs ``fn``, reports ``work`` (in billions) per second."""

    def run(fn: Callable[[], object], *, work: float, unit: str) -> None:
        benchmark(fn)
        benchmark.extra_info[unit] = round(work / benchmark.stats.stats.min, 1)

    return run
