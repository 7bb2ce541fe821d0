"""Every op test runs on every instruction set this machine has; without the native core it is skipped."""

from __future__ import annotations

import importlib
import platform
from collections.abc import Iterator
from typing import Any

import pytest

ISAS = ("scalar", "neon") if platform.machine() == "aarch64" else ("scalar", "avx2", "avx512")


@pytest.fixture(scope="session")
def native() -> Any:
    """``edgevid._native.ops``."""
    try:
        return importlib.import_module("edgevid._native").ops
    except ImportError:
        pytest.skip("the native core is not built")


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest, native: Any) -> Iterator[str]:
    """Switches the kernels to one instruction set for the test."""
    if request.param not in native.available_isas():
        pytest.skip(f"{request.param} does not run here")
    native.use_isa(request.param)
    yield request.param
    native.use_isa(native.available_isas()[-1])
