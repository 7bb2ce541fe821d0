"""Where an op runs: the native kernels when edgevid was built with them, else the numpy references; on a GPU
when asked to."""

from __future__ import annotations

import importlib
from typing import Any, Literal

Backend = Literal["auto", "native", "numpy", "triton", "cuda"]


def native_ops(backend: Backend = "auto") -> Any | None:
    """``edgevid._native.ops``, or what has the same functions on a GPU, or None when the numpy reference
    shall run.

    Raises:
        MissingPartError: ``backend="native"`` and the extension module is not built, or a GPU is asked for
            and there is no device or no kernels for it (see docs/GPU.md).
    """
    if backend == "numpy":
        return None
    if backend in ("triton", "cuda"):
        return _gpu_ops(backend)
    try:
        return importlib.import_module("edgevid._native").ops
    except ImportError as error:
        if backend == "auto":
            return None
        from edgevid.core.errors import MissingPartError

        raise MissingPartError(
            "the native kernels are not built", fix="pip install --force-reinstall edgevid"
        ) from error


def _gpu_ops(backend: Literal["triton", "cuda"]) -> Any:
    module = importlib.import_module(f"edgevid.ops.{backend}_ops")
    device = module.TritonDevice() if backend == "triton" else module.CudaDevice()
    return importlib.import_module("edgevid.ops.gpu_ops").GpuOps(device)
