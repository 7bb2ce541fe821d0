"""SwiGLU (Shazeer 2020, arXiv 2002.05202): ``silu(gate) * up``, ``silu(g) = g / (1 + exp(-g))``.

``gate_up`` float32 [m, 2f] holds gate in its first f columns and up in its last; the result is float32 [m,
f].
"""

from __future__ import annotations

import numpy as np

from edgevid.ops.backend import Backend, native_ops
from edgevid.ops.dequantize import Floats


def swiglu(gate_up: Floats, *, threads: int = 1, backend: Backend = "auto") -> Floats:
    """See the module; ValueError when the number of columns is odd."""
    if (native := native_ops(backend)) is not None:
        out: Floats = native.swiglu(gate_up, threads=threads)
        return out
    return swiglu_reference(gate_up)


def swiglu_reference(gate_up: Floats) -> Floats:
    """The specification, in float64."""
    if gate_up.shape[1] % 2:
        raise ValueError("gate and up have equal widths")
    gate, up = np.split(gate_up.astype(np.float64), 2, axis=1)
    with np.errstate(over="ignore"):
        return (gate / (1.0 + np.exp(-gate)) * up).astype(np.float32)
