"""E4: that keys join clusters as often as theory says, and what a mixed cluster costs.

With Gaussian hyperplanes two keys at an angle theta differ in each bit of their codes with probability
theta / pi (Goemans and Williamson 1995), so a key joins the one open cluster with probability
``P(Bin(32, theta / pi) < threshold)``. What ships has hyperplanes of +1 and -1 instead: measured beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgevid.bench.report import Row
from edgevid.core.kv_config import RetrievalConfig
from edgevid.ops.cluster_assign import cluster_assign
from edgevid.ops.hash_codes import BITS, Codes, hash_codes

Doubles = npt.NDArray[np.float64]

DIMS = 192  # SmolLM2-135M: 3 KV heads of 64
ANGLES = (10, 20, 30, 40, 50, 60, 75, 90)  # degrees
BUDGET = 0.10
_SIGMAS = 4.0  # of the law's own scatter that a measured share may stand apart
_NORM = 30.0  # of keys: rounding to 1/256 is then nothing
_CHUNK = 250
_PURITIES = (0.0, 0.25, 0.5, 0.75, 1.0 + 1e-9)


class Found(NamedTuple):
    """Of one planted key: the share of its cluster that is like it, and whether a query found the cluster."""

    purity: float
    recalled: bool


def law(angle: float, threshold: int) -> float:
    """Probability of joining at ``angle`` (radians): fewer than ``threshold`` of 32 bits differ."""
    p = angle / math.pi
    return sum(math.comb(BITS, k) * p**k * (1 - p) ** (BITS - k) for k in range(threshold))


def pairs(rng: np.random.Generator, count: int, angle: float, dims: int = DIMS) -> tuple[Doubles, Doubles]:
    """Two times [count, dims]: random directions, and others at ``angle`` (radians) to them."""
    a = rng.standard_normal((count, dims))
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    aside = rng.standard_normal((count, dims))
    aside -= (aside * a).sum(axis=1, keepdims=True) * a
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    return _NORM * a, _NORM * (math.cos(angle) * a + math.sin(angle) * aside)


def joined_gaussian(rng: np.random.Generator, count: int, angle: float, threshold: int) -> float:
    """Share of ``count`` keys that join, each under fresh Gaussian hyperplanes."""
    hits = 0
    for begin in range(0, count, _CHUNK):
        a, b = pairs(rng, min(_CHUNK, count - begin), angle)
        planes = rng.standard_normal((len(a), DIMS, BITS))
        leaders, codes = (_pack(np.einsum("nd,ndb->nb", x, planes) >= 0) for x in (a, b))
        hits += _joins(leaders, codes, threshold)
    return hits / count


def joined_shipped(rng: np.random.Generator, count: int, angle: float, threshold: int) -> float:
    """Share of ``count`` keys that join under the hyperplanes that ship, a seed for every hundred."""
    hits = 0
    for seed in range(count // 100):
        a, b = (x.astype(np.float32) for x in pairs(rng, 100, angle))
        centre = np.zeros(DIMS, np.float32)
        leaders, codes = (hash_codes(x, centre, seed=seed, layer=0) for x in (a, b))
        hits += _joins(leaders, codes, threshold)
    return hits / (count // 100 * 100)


def planted(rng: np.random.Generator, *, noise: float, config: RetrievalConfig) -> list[Found]:
    """Segments of keys around 24 themes, of which each theme in turn is looked for.

    Args:
        noise: of a key around its theme, relative to the theme's own length.
    """
    themes = rng.standard_normal((24, DIMS))
    theme = rng.integers(len(themes), size=8 * config.segment)
    keys = (themes[theme] + noise * rng.standard_normal((len(theme), DIMS))).astype(np.float32)
    cluster = _cluster(keys, config)
    counts = np.bincount(cluster)
    means = np.zeros((len(counts), DIMS))
    np.add.at(means, cluster, keys)
    means /= counts[:, None]
    found = []
    for wanted in range(len(themes)):
        order = np.argsort(-(means @ themes[wanted]), kind="stable")
        taken = order[np.cumsum(counts[order]) <= BUDGET * len(keys)]
        like = np.bincount(cluster[theme == wanted], minlength=len(counts)) / counts
        for of_key in cluster[theme == wanted]:
            found.append(Found(float(like[of_key]), bool(of_key in taken)))
    return found


def rows(*, quick: bool = False, seed: int = 0) -> Iterator[Row]:
    """The law at each angle, the shipped hyperplanes beside it, recall by purity."""
    config = RetrievalConfig()
    rng = np.random.default_rng(seed)
    count = 1000 if quick else 8000
    for degrees in ANGLES:
        angle = math.radians(degrees)
        expected = law(angle, config.hamming)
        share = joined_gaussian(rng, count, angle, config.hamming)
        apart = abs(share - expected)
        bound = _SIGMAS * math.sqrt(max(expected * (1 - expected), 1 / count) / count)
        ours = joined_shipped(rng, count, angle, config.hamming)
        method = (
            f"{count} pairs of keys, {DIMS} dimensions, one open cluster, threshold {config.hamming}, "
            f"fresh Gaussian hyperplanes each; law {expected:.4f}, scatter allows {bound:.4f}; "
            f"the hyperplanes that ship, +1 and -1: {ours:.4f}"
        )
        yield Row(f"E4 joins at {degrees} degrees", round(share, 4), "of keys", None, apart <= bound, method)
    found = [f for noise in (0.3, 0.6, 0.9, 1.2) for f in planted(rng, noise=noise, config=config)]
    for low, high in pairwise(_PURITIES):
        inside = [f.recalled for f in found if low <= f.purity < high]
        method = (
            f"{len(inside)} keys around 24 themes, noise 0.3 to 1.2 of a theme, in clusters of which so much "
            f"is of their theme; clusters taken by their mean key up to {BUDGET:.0%} of the keys"
        )
        recall = round(float(np.mean(inside)), 3) if inside else None
        what = f"E4 recall, purity {low:.2f} to {min(high, 1):.2f}"
        yield Row(what, recall, "of keys", None, None, method)


def _cluster(keys: npt.NDArray[np.float32], config: RetrievalConfig) -> npt.NDArray[np.intp]:
    """Clusters of all keys, counted over segments, as the cache forms them without centring."""
    parts, before = [], 0
    centre = np.zeros(keys.shape[1], np.float32)
    for begin in range(0, len(keys), config.segment):
        codes = hash_codes(keys[begin : begin + config.segment], centre, seed=config.seed, layer=0)
        ids, leaders = cluster_assign(codes, threshold=config.hamming, capacity=config.clusters)
        parts.append(ids.astype(np.intp) + before)
        before += len(leaders)
    return np.concatenate(parts)


def _joins(leaders: Codes, codes: Codes, threshold: int) -> int:
    hits = 0
    for i in range(len(codes)):
        ids, _ = cluster_assign(codes[i : i + 1], leaders[i : i + 1], threshold=threshold, capacity=2)
        hits += int(ids[0] == 0)
    return hits


def _pack(sides: npt.NDArray[np.bool_]) -> Codes:
    codes: Codes = (sides.astype(np.uint32) << np.arange(BITS, dtype=np.uint32)).sum(axis=1, dtype=np.uint32)
    return codes
