"""Where an op runs: the native kernels when edgevid was built with them, else the numpy references; on a GPU
when asked to."""

from __future__ import annotations

import importlib
from typing import Any, Literal

Backend = Literal["auto", "native", "numpy", "triton"]


def native_ops(backend: Backend = "auto") -> Any | None:
    """``edgevid._native.ops``, or what has the same functions on a GPU, or None when the numpy reference
    shall run.

    Raises:
        MissingPartError: ``backend="native"`` and the extension module is not built, or ``backend="triton"``
            and there is no device (see docs/GPU.md).
    """
    if backend == "numpy":
        return None
    if backend == "triton":
        return importlib.import_module("edgevid.ops.triton_ops").TritonOps()
    try:
        return importlib.import_module("edgevid._native").ops
    except ImportError as error:
        if backend == "auto":
            return None
        from edgevid.core.errors import MissingPartError

        raise MissingPartError(
            "the native kernels are not built", fix="pip install --force-reinstall edgevid"
        ) from error
