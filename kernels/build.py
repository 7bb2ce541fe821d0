"""What the ahead-of-time compiler is told about a kernel, and small arithmetic of launches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LANES = 16
"""Rows of values, and columns of summaries, come in multiples of it."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The model a kernel is compiled for; the defaults are SmolLM2-135M."""

    num_kv_heads: int = 3
    group: int = 3
    head_dim: int = 64
    page_size: int = 64
    capacity: int = 64
    max_clusters: int = 4096

    @property
    def v_stride(self) -> int:
        """Elements from a token's value to the next one's in a page."""
        return ceil_div(self.head_dim, LANES) * LANES


@dataclass(frozen=True, slots=True)
class Build:
    """One kernel with all its constants fixed.

    Attributes:
        name: of the artefact, ``<op>_<kernel>``.
        kernel: the ``@triton.jit`` function.
        types: Triton's type of each argument that stays one, e.g. ``*fp16``, ``i32``; pointers are aligned to
            16 bytes.
        constants: values of the ``tl.constexpr`` arguments.
        grid: three expressions in the names of the arguments and constants.
        warps: 32 threads each.
    """

    name: str
    kernel: Any
    types: dict[str, str]
    constants: dict[str, Any]
    grid: tuple[str, str, str]
    warps: int = 4


def ceil_div(a: int, b: int) -> int:
    """Blocks of ``b`` that cover ``a``."""
    return -(-a // b)


def power_of_two(n: int, *, least: int = 16) -> int:
    """The smallest power of two that is at least ``n`` and ``least``."""
    return max(least, 1 << max(n - 1, 0).bit_length())
