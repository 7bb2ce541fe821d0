"""select_mass in Triton: four kernels, a program per row, per block of clusters, per selection, per KV head.

::

    row_masses   scores -> densities in place; what a row lacks to its share, its resident share, 1 / total;
                 in doubt: densities times what an estimate can be off, and what it lacks to that
    pool_rows    densities of all rows, each over its row's total, added up
    take_mass    clusters from the highest density down, by buckets or one by one (exact)
    cap_tokens   the densest of the taken that fit

A program holds all clusters of its KV head in registers, so there are at most 16384.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from edgevid.kernels.build import Build, Shape, ceil_div, power_of_two

BLOCK_POOL = 256
MAX_CLUSTERS = 16384
BUCKETS = 256


@triton.jit
def row_masses(
    scores,
    counts,
    resident_max,
    resident_sum,
    row_doubts,
    cluster_doubts,
    lacks,
    shares,
    inverses,
    everything,
    rows,
    clusters,
    threshold,
    DOUBT: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    head = tl.program_id(1)
    row = head * rows + tl.program_id(0)
    c = tl.arange(0, BLOCK_C)
    inside = c < clusters
    score = tl.load(scores + row * clusters + c, mask=inside, other=float("-inf"))
    count = tl.load(counts + head * clusters + c, mask=inside, other=0)
    highest = tl.load(resident_max + row)
    top = tl.maximum(tl.max(score), highest)
    density = tl.where(inside, tl.exp(score - top), 0.0)
    resident = tl.load(resident_sum + row).to(tl.float64) * tl.exp(highest - top).to(tl.float64)
    total = resident + tl.sum(density.to(tl.float64) * count.to(tl.float64))
    lack = threshold * total - resident
    if DOUBT:
        of_cluster = tl.load(cluster_doubts + head * clusters + c, mask=inside, other=0.0)
        density *= tl.minimum(tl.load(row_doubts + row) * of_cluster, 1.0)
        lack = tl.sum(density.to(tl.float64) * count.to(tl.float64)) - (1.0 - threshold) * total
    if (total > 0) & (total < float("inf")):
        tl.store(lacks + row, lack)
        tl.store(shares + row, resident / total)
        tl.store(inverses + row, (1.0 / total).to(tl.float32))
    else:
        tl.store(everything + head, 1)
    tl.store(scores + row * clusters + c, density, mask=inside)


@triton.jit
def pool_rows(densities, inverses, pool, rows, clusters, BLOCK: tl.constexpr):
    head = tl.program_id(1)
    c = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros([BLOCK], tl.float32)
    for r in range(rows):
        row = head * rows + r
        density = tl.load(densities + row * clusters + c, mask=c < clusters, other=0.0)
        total += density * tl.load(inverses + row)
    tl.store(pool + head * clusters + c, total, mask=c < clusters)


@triton.jit
def densest(density, among, c, BLOCK_C: tl.constexpr):
    """Marks the one cluster with the highest density among some, the lowest index among equals."""
    rest = tl.where(among, density, -1.0)
    return c == tl.min(tl.where(rest == tl.max(rest), c, BLOCK_C))


@triton.jit
def take_mass(
    densities,
    counts,
    lacks,
    shares,
    everything,
    marks,
    rows,
    clusters,
    threshold,
    POOLED: tl.constexpr,
    EXACT: tl.constexpr,
    DOUBT: tl.constexpr,
    BUCKETS: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    head = tl.program_id(1)
    c = tl.arange(0, BLOCK_C)
    inside = c < clusters
    count = tl.load(counts + head * clusters + c, mask=inside, other=0)
    row = head if POOLED else head * rows + tl.program_id(0)
    density = tl.load(densities + row * clusters + c, mask=inside, other=0.0)
    mass = density.to(tl.float64) * count.to(tl.float64)
    if not POOLED:
        lack = tl.load(lacks + row)
    elif DOUBT:
        lack = tl.sum(mass) - (1.0 - threshold) * rows
    else:
        lack = tl.full([], 1.0, tl.float64) * threshold * rows
        for r in range(rows):
            lack -= tl.load(shares + head * rows + r)
    taken = tl.zeros([BLOCK_C], tl.int1)
    if (threshold >= 1.0) | (tl.load(everything + head) != 0):
        taken = inside
    elif EXACT:
        step = 0
        while (step < clusters) & (lack >= 0):
            here = densest(density, inside & (taken == 0), c, BLOCK_C)
            taken = taken | here
            lack -= tl.sum(tl.where(here, mass, 0.0))
            step += 1
    else:
        # Exponent and three bits of the mantissa: eighths of an octave.
        eighths = density.to(tl.int32, bitcast=True) >> 20
        buckets = tl.minimum(tl.max(tl.where(inside, eighths, 0)) - eighths, BUCKETS - 1)
        bucket = 0
        while (bucket < BUCKETS) & (lack >= 0):
            here = inside & (buckets == bucket)
            taken = taken | here
            lack -= tl.sum(tl.where(here, mass, 0.0))
            bucket += 1
    # Selections of several rows are united by writing ones only.
    tl.store(marks + head * clusters + c, 1, mask=taken & (count > 0))


@triton.jit
def cap_tokens(pool, counts, everything, marks, clusters, max_tokens, BLOCK_C: tl.constexpr):
    head = tl.program_id(0)
    c = tl.arange(0, BLOCK_C)
    at = head * clusters + c
    count = tl.load(counts + at, mask=c < clusters, other=0)
    left = tl.load(marks + at, mask=c < clusters, other=0) != 0
    density = tl.load(pool + at, mask=c < clusters, other=0.0)
    if (tl.load(everything + head) == 0) & (tl.sum(tl.where(left, count, 0)) > max_tokens):
        room = max_tokens
        kept = tl.zeros([BLOCK_C], tl.int1)
        # Room only shrinks, so what does not fit now never will.
        left = left & (count <= room)
        while tl.max(left.to(tl.int32)) > 0:
            here = densest(density, left, c, BLOCK_C)
            kept = kept | here
            room -= tl.sum(tl.where(here, count, 0))
            left = left & (here == 0) & (count <= room)
        tl.store(marks + at, kept.to(tl.int8), mask=c < clusters)


def warps_for(clusters: int) -> int:
    """Of a program that holds so many."""
    return 8 if clusters > 2048 else 4


def select_mass(
    scores: torch.Tensor,
    counts: torch.Tensor,
    resident_max: torch.Tensor,
    resident_sum: torch.Tensor,
    doubt: tuple[torch.Tensor, torch.Tensor] | None = None,
    *,
    threshold: float,
    pooled: bool,
    exact: bool,
    max_tokens: int,
) -> torch.Tensor:
    """int8 marks [kv_heads, clusters] from ``scores`` float32 [kv_heads, rows, clusters] (overwritten),
    ``counts`` int32 [kv_heads, clusters], resident maxima and sums float32 [kv_heads, rows]. ``doubt``:
    float32 [kv_heads, rows] and [kv_heads, clusters]. ValueError beyond 16384 clusters."""
    heads, rows, clusters = scores.shape
    if clusters > MAX_CLUSTERS:
        raise ValueError(f"select_mass: at most {MAX_CLUSTERS} clusters")
    marks = torch.zeros((heads, clusters), dtype=torch.int8, device=scores.device)
    if clusters == 0:
        return marks
    block: dict[str, Any] = {"BLOCK_C": power_of_two(clusters), "num_warps": warps_for(clusters)}
    lacks, shares = torch.empty((2, heads, rows), dtype=torch.float64, device=scores.device).unbind()
    inverses, pool = scores.new_empty((heads, rows)), scores.new_empty((heads, clusters))
    everything = torch.zeros(heads, dtype=torch.int32, device=scores.device)
    if rows:
        row_masses[(rows, heads)](
            scores,
            counts,
            resident_max,
            resident_sum,
            *(doubt or (resident_sum, scores)),
            lacks,
            shares,
            inverses,
            everything,
            rows,
            clusters,
            threshold,
            DOUBT=doubt is not None,
            **block,
        )
    pool_rows[(ceil_div(clusters, BLOCK_POOL), heads)](
        scores, inverses, pool, rows, clusters, BLOCK=BLOCK_POOL
    )
    selections = 1 if pooled else rows
    if selections:
        take_mass[(selections, heads)](
            pool if pooled else scores,
            counts,
            lacks,
            shares,
            everything,
            marks,
            rows,
            clusters,
            threshold,
            POOLED=pooled,
            EXACT=exact,
            DOUBT=doubt is not None,
            BUCKETS=BUCKETS,
            **block,
        )
    if max_tokens:
        cap_tokens[(heads,)](pool, counts, everything, marks, clusters, max_tokens, **block)
    return marks


def builds(shape: Shape) -> list[Build]:
    """All four, the selection pooled by buckets, for up to the shape's clusters; two also in doubt."""
    block = {"BLOCK_C": power_of_two(shape.max_clusters)}
    warps = warps_for(shape.max_clusters)
    per_row = dict.fromkeys(("lacks", "shares"), "*fp64")
    sizes = {"rows": "i32", "clusters": "i32"}
    flags = {"everything": "*i32"}
    given = ("scores", "resident_max", "resident_sum", "row_doubts", "cluster_doubts", "inverses")
    row_types = {**dict.fromkeys(given, "*fp32"), "counts": "*i32", **per_row, **flags, **sizes}
    pool_types = {**dict.fromkeys(("densities", "inverses", "pool"), "*fp32"), **sizes}
    take_types = {"densities": "*fp32", "counts": "*i32", **per_row, **flags, "marks": "*i8", **sizes}
    cap_types = {"pool": "*fp32", "counts": "*i32", **flags, "marks": "*i8", "clusters": "i32"}
    made = [
        Build(
            "select_mass_pool",
            pool_rows,
            pool_types,
            {"BLOCK": BLOCK_POOL},
            ("ceil(clusters / BLOCK)", "kv_heads", "1"),
        ),
        Build(
            "select_mass_cap",
            cap_tokens,
            {**cap_types, "max_tokens": "i32"},
            block,
            ("kv_heads", "1", "1"),
            warps,
        ),
    ]
    for suffix, doubt in (("", False), ("_doubt", True)):
        rows = Build(
            f"select_mass_rows{suffix}",
            row_masses,
            {**row_types, "threshold": "fp32"},
            {**block, "DOUBT": doubt},
            ("rows", "kv_heads", "1"),
            warps,
        )
        take = Build(
            f"select_mass_take{suffix}",
            take_mass,
            {**take_types, "threshold": "fp32"},
            {**block, "POOLED": True, "EXACT": False, "DOUBT": doubt, "BUCKETS": BUCKETS},
            ("1", "kv_heads", "1"),
            warps,
        )
        made += [rows, take]
    return made
