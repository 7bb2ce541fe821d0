"""Where Triton runs: an NVIDIA device, or Triton's interpreter on the CPU (``TRITON_INTERPRET=1``)."""

from __future__ import annotations

import os

from edgevid.core.errors import MissingPartError


def interpreted() -> bool:
    """Whether kernels run in Triton's interpreter: right, and thousands of times slower."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def device_name() -> str:
    """torch's name of the device, ``cuda`` or ``cpu``.

    Raises:
        MissingPartError: torch or triton is not installed, or there is no device and no interpreter is asked
            for.
    """
    try:
        import torch
        import triton  # noqa: F401
    except ImportError as error:
        raise MissingPartError(f"{error.name} is not installed", fix="pip install 'edgevid[gpu]'") from error
    if interpreted():
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    raise MissingPartError(
        "there is no CUDA device, or this torch is a CPU build",
        fix="run on a machine with a device and a CUDA build of torch, or set TRITON_INTERPRET=1",
    )
