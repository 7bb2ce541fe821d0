"""Where an op runs: the native kernels when edgevid was built with them, else the numpy references."""

from __future__ import annotations

import importlib
from typing import Any, Literal

Backend = Literal["auto", "native", "numpy"]


def native_ops(backend: Backend = "auto") -> Any | None:
    """The module ``edgevid._native.ops``, or None when the numpy reference shall run.

    Raises:
        MissingPartError: ``backend="native"`` and the extension module is not built.
    """
    if backend == "numpy":
        return None
    try:
        return importlib.import_module("edgevid._native").ops
    except ImportError as error:
        if backend == "auto":
            return None
        from edgevid.core.errors import MissingPartError

        raise MissingPartError(
            "the native kernels are not built", fix="pip install --force-reinstall edgevid"
        ) from error
