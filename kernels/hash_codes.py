"""hash_codes in Triton: 16 keys against 32 hyperplanes at a time.

The products are float32 yet exact: ``|x| <= 32767`` and blocks of 64 dims stay far below 2^24; blocks are
then added as integers.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from edgevid.kernels.build import Build, Shape, ceil_div

BLOCK_N = 16
BLOCK_D = 64
MAX_DIMS = 65536
"""Beyond, a sum could overflow 32 bits."""


@triton.jit
def round_half_even(x):
    """For |x| <= 2^22: adding 1.5 * 2^23 leaves no fraction bits, so the addition rounds."""
    return (x + 12582912.0) - 12582912.0


@triton.jit
def hash_rows(
    keys, centre, planes, codes, n, dims, SCALE: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr
):
    i = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    bits = tl.arange(0, 32)
    sums = tl.zeros([BLOCK_N, 32], tl.int32)
    for start in range(0, dims, BLOCK_D):
        d = start + tl.arange(0, BLOCK_D)
        mask = (i < n)[:, None] & (d < dims)[None, :]
        key = tl.load(keys + i.to(tl.int64)[:, None] * dims + d[None, :], mask=mask, other=0.0)
        middle = tl.load(centre + d, mask=d < dims, other=0.0)
        x = (key - middle[None, :]) * SCALE
        x = tl.where(x != x, -32767.0, tl.minimum(tl.maximum(x, -32767.0), 32767.0))
        x = tl.where(mask, round_half_even(x), 0.0)
        word = tl.load(planes + d, mask=d < dims, other=0)
        signs = tl.where(((word[:, None] >> bits[None, :]) & 1) != 0, 1.0, -1.0)
        sums += tl.dot(x, signs, input_precision="ieee").to(tl.int32)
    sides = (sums >= 0).to(tl.uint32) << bits[None, :].to(tl.uint32)
    tl.store(codes + i, tl.sum(sides, 1), mask=i < n)


def hash_codes(
    keys: torch.Tensor, centre: torch.Tensor, planes: torch.Tensor, *, scale: float
) -> torch.Tensor:
    """uint32 [n] from ``keys`` float32 [n, dims], ``centre`` [dims] and ``planes`` uint32 [dims], the words
    of :func:`edgevid.ops.hash_codes.hyperplanes`. ValueError beyond 65536 dims."""
    n, dims = keys.shape
    if dims > MAX_DIMS:
        raise ValueError(f"hash_codes: at most {MAX_DIMS} dims")
    codes = torch.empty(n, dtype=torch.uint32, device=keys.device)
    if n:
        hash_rows[(ceil_div(n, BLOCK_N),)](
            keys, centre, planes, codes, n, dims, SCALE=scale, BLOCK_N=BLOCK_N, BLOCK_D=BLOCK_D
        )
    return codes


def builds(shape: Shape) -> list[Build]:
    """With the scale of edgevid/ops/hash_codes.py."""
    types = {"keys": "*fp32", "centre": "*fp32", "planes": "*u32", "codes": "*u32", "n": "i32", "dims": "i32"}
    constants = {"SCALE": 256.0, "BLOCK_N": BLOCK_N, "BLOCK_D": BLOCK_D}
    return [Build("hash_codes", hash_rows, types, constants, ("ceil(n / BLOCK_N)", "1", "1"))]
