"""GPU kernels run on the device when there is one, else they are played: Triton's in its interpreter, in a
process of its own (what is imported there compiles for no device any more), CUDA's in the host library."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import pytest

from edgevid.ops.cuda_ops import VARIABLE
from tests.cuda.host_library import build_host_library

Call = Callable[..., Any]


@pytest.fixture(scope="session")
def on_triton() -> Iterator[Call]:
    """``on_triton(function, *args, **options)``: its result, where ``backend="triton"`` works."""
    for module in ("triton", "torch"):
        pytest.importorskip(module, reason=f"{module} is not installed: pip install 'edgevid[gpu]'")
    import torch

    if torch.cuda.is_available():
        yield lambda function, *args, **options: function(*args, **options)
        return
    with ProcessPoolExecutor(1, get_context("spawn")) as interpreter:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TRITON_INTERPRET", "1")
            interpreter.submit(int).result()  # starts the process, which keeps this environment
        yield lambda function, *args, **options: interpreter.submit(function, *args, **options).result()


@pytest.fixture(scope="session")
def cuda_library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """``backend="cuda"`` works: with the library that is named, or the sources built for the host."""
    with pytest.MonkeyPatch.context() as patch:
        if not os.environ.get(VARIABLE):
            patch.setenv(VARIABLE, str(build_host_library(tmp_path_factory.mktemp("cuda"))))
        yield


@pytest.fixture(params=["triton", "cuda"])
def on_gpu(request: pytest.FixtureRequest) -> Call:
    """``on_gpu(function, *args, **options)``: its result with ``backend`` set to the kernels under test."""
    if request.param == "triton":
        return partial(request.getfixturevalue("on_triton"), backend="triton")
    request.getfixturevalue("cuda_library")
    return lambda function, *args, **options: function(*args, **options, backend="cuda")
