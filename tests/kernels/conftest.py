"""Triton's kernels run on the device when there is one, else in Triton's interpreter, in a process of its
own: what is imported there can compile for no device any more, and the other tests must not notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

Call = Callable[..., Any]


@pytest.fixture(scope="session")
def on_triton() -> Iterator[Call]:
    """``on_triton(function, *args, **options)``: its result, with ``backend="triton"`` usable inside."""
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
