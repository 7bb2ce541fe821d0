"""cluster_assign in Triton: one program per stream of codes (a layer), all its leaders in registers.

Joining is sequential by definition; a GPU gains by the streams, of which a step has one per layer.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from edgevid.kernels.build import Build, Shape, power_of_two

MAX_CAPACITY = 8192


@triton.jit
def popcount(x):
    """Set bits of each uint32: sums of 2, 4 and 8 bits side by side, then of the four bytes."""
    x = x - ((x >> 1) & 0x55555555)
    x = (x & 0x33333333) + ((x >> 2) & 0x33333333)
    x = (x + (x >> 4)) & 0x0F0F0F0F
    x = x + (x >> 8)
    return ((x + (x >> 16)) & 0x3F).to(tl.int32)


@triton.jit
def assign_stream(codes, leaders, opened, ids, n, capacity, threshold, CAPACITY: tl.constexpr):
    stream = tl.program_id(0)
    index = tl.arange(0, CAPACITY)
    table = tl.load(leaders + stream * capacity + index, mask=index < capacity, other=0)
    count = tl.load(opened + stream)
    for i in range(n):
        code = tl.load(codes + stream * n + i)
        # Distance above, id below: the minimum is the nearest, the lowest id among equals.
        best = tl.min(tl.where(index < count, popcount(table ^ code) * CAPACITY + index, 64 * CAPACITY))
        near = (best // CAPACITY < threshold) | (count == capacity)
        joins = (count > 0) & near
        tl.store(ids + stream * n + i, tl.where(joins, best % CAPACITY, count))
        table = tl.where((index == count) & (joins == 0), code, table)
        count += tl.where(joins, 0, 1)
    tl.store(leaders + stream * capacity + index, table, mask=index < capacity)
    tl.store(opened + stream, count)


def cluster_assign(
    codes: torch.Tensor, leaders: torch.Tensor, opened: torch.Tensor, *, threshold: int
) -> torch.Tensor:
    """int32 ids [streams, n] of ``codes`` uint32 [streams, n].

    ``leaders`` uint32 [streams, capacity] and ``opened`` int32 [streams], how many of them are open, are
    brought up to date. ValueError when the capacity is over 8192.
    """
    (streams, n), capacity = codes.shape, leaders.shape[1]
    if capacity > MAX_CAPACITY:
        raise ValueError(f"cluster_assign: at most {MAX_CAPACITY} clusters are open")
    ids = torch.empty((streams, n), dtype=torch.int32, device=codes.device)
    if n:
        assign_stream[(streams,)](
            codes, leaders, opened, ids, n, capacity, threshold, CAPACITY=power_of_two(capacity), num_warps=1
        )
    return ids


def builds(shape: Shape) -> list[Build]:
    """For the shape's capacity."""
    types = {
        **dict.fromkeys(("codes", "leaders"), "*u32"),
        **dict.fromkeys(("opened", "ids"), "*i32"),
        **dict.fromkeys(("n", "capacity", "threshold"), "i32"),
    }
    constants = {"CAPACITY": power_of_two(shape.capacity)}
    return [Build("cluster_assign", assign_stream, types, constants, ("streams", "1", "1"), 1)]
