"""hash_codes, cluster_assign, cluster_summaries, cluster_scores, select_mass on a GPU, on the cases of the
native kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgevid.ops.cluster_assign import cluster_assign
from edgevid.ops.cluster_scores import Spread, cluster_scores
from edgevid.ops.hash_codes import hash_codes
from edgevid.ops.kv_seal import cluster_summaries
from edgevid.ops.select_mass import select_mass
from tests.ops.cases import EPS, POISON, ROWS, WIDTHS, normal
from tests.ops.test_cluster_assign import NONE, stream
from tests.ops.test_cluster_scores import CLUSTERS, HEAD_DIMS, runs
from tests.ops.test_select_mass import SIZES, Case

Call = Callable[..., Any]


@pytest.mark.parametrize("dims", [*WIDTHS, 192, 193])
def test_hash_codes(on_gpu: Call, dims: int) -> None:
    for n in ROWS[::2]:
        args, options = (normal(n, n, dims) * 8, normal(99, dims)), {"seed": 7, "layer": 3}
        got = on_gpu(hash_codes, *args, **options)
        assert np.array_equal(got, hash_codes(*args, **options, backend="numpy"))


def test_hash_codes_of_hostile_keys(on_gpu: Call) -> None:
    keys = normal(0, 7, 40)
    keys[0, 3], keys[1, 4], keys[2, 5] = np.nan, np.inf, -np.inf
    keys[3] = 1e30
    keys[4], keys[5], keys[6] = 0.5 / 256, 0.0, 1.5 / 256
    args = (keys, np.zeros(40, np.float32))
    got = on_gpu(hash_codes, *args, seed=1, layer=0)
    assert np.array_equal(got, hash_codes(*args, seed=1, layer=0, backend="numpy"))


@pytest.mark.parametrize("n", [0, 1, 17, 65])
@pytest.mark.parametrize("threshold", [0, 7, 33])
@pytest.mark.parametrize("capacity", [1, 5, 1000])
def test_cluster_assign(on_gpu: Call, n: int, threshold: int, capacity: int) -> None:
    options = {"threshold": threshold, "capacity": capacity}
    codes, opened = stream(n), NONE
    first, table = on_gpu(cluster_assign, codes[: n // 2], opened, **options)
    second, table = on_gpu(cluster_assign, codes[n // 2 :], table, **options)
    want_ids, want_table = cluster_assign(codes, **options, backend="numpy")
    assert np.array_equal(np.concatenate([first, second]), want_ids)
    assert np.array_equal(table, want_table)


@pytest.mark.parametrize("clusters", CLUSTERS)
@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_summaries_and_scores(on_gpu: Call, clusters: int, head_dim: int) -> None:
    order, begin = runs(clusters, 50)
    keys = (normal(1, 50, 2 * head_dim) + 2)[order]
    got = on_gpu(cluster_summaries, keys, begin, num_kv_heads=2)
    want = cluster_summaries(keys, begin, num_kv_heads=2, backend="numpy")
    assert np.abs(got.means.astype(int) - want.means).max() <= 1
    assert (got.means != want.means).mean() < 0.01
    assert np.allclose(got.scales, want.scales, rtol=50 * EPS, atol=0)
    assert np.allclose(got.radii, want.radii, rtol=0.05, atol=1e-6)
    q = normal(3, 7, head_dim)
    args, options = (q, want.means[1], want.scales[1]), {"clusters": clusters, "scale": 0.125}
    scores = on_gpu(cluster_scores, *args, **options)
    expected = cluster_scores(*args, **options, backend="numpy")
    assert scores.shape == expected.shape
    assert np.isneginf(scores[:, clusters:]).all()
    sizes = np.abs(q).sum(axis=1, keepdims=True) * np.abs(expected[:, :clusters]).max(initial=1)
    assert (np.abs(scores[:, :clusters] - expected[:, :clusters]) <= head_dim * EPS * sizes).all()


@pytest.mark.parametrize("clusters", CLUSTERS)
@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_spread(on_gpu: Call, clusters: int, head_dim: int) -> None:
    _, begin = runs(clusters, 50)
    table = cluster_summaries(normal(2, 50, head_dim), begin, num_kv_heads=1, backend="numpy")
    spread = Spread(np.abs(normal(3, head_dim)), np.abs(normal(4, table.means.shape[2])))
    args = (normal(3, 20, head_dim) * 3, table.means[0], table.scales[0])
    options = {"clusters": clusters, "scale": 0.3}
    got = on_gpu(cluster_scores, *args, **options, spread=spread)
    want = cluster_scores(*args, **options, spread=spread, backend="numpy")
    assert np.isneginf(got[:, clusters:]).all()
    assert np.allclose(got[:, :clusters], want[:, :clusters], rtol=1e-5, atol=1e-4)
    still = spread._replace(variance=np.zeros(head_dim, np.float32))
    got = on_gpu(cluster_scores, *args, **options, spread=still)
    assert np.array_equal(got, on_gpu(cluster_scores, *args, **options))


@pytest.mark.parametrize("poison", POISON)
def test_a_query_that_is_not_finite_gives_nan_to_its_row_alone(on_gpu: Call, poison: float) -> None:
    _, begin = runs(17, 40)
    table = cluster_summaries(normal(0, 40, 64), begin, num_kv_heads=1, backend="numpy")
    args, options = (table.means[0], table.scales[0]), {"clusters": 17, "scale": 1.0}
    q = normal(1, 8, 64)
    q[5] = 0
    clean = on_gpu(cluster_scores, q, *args, **options)
    q[3, 5] = poison
    got = on_gpu(cluster_scores, q, *args, **options)
    assert np.isnan(got[3, :17]).all()
    assert not got[5, :17].any()
    assert np.array_equal(np.delete(got, 3, 0), np.delete(clean, 3, 0))


@pytest.mark.parametrize(("rows", "clusters"), SIZES)
@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("exact", [True, False])
def test_select_mass(on_gpu: Call, rows: int, clusters: int, pooled: bool, exact: bool) -> None:
    case = Case.random(min(rows, 7), clusters)
    for threshold, max_tokens in ((0.0, 0), (0.5, 100), (0.99, 0), (1.0, 100)):
        options = {"threshold": threshold, "pooled": pooled, "exact": exact, "max_tokens": max_tokens}
        got = on_gpu(select_mass, *case, **options)
        assert np.array_equal(got, case.select(**options, backend="numpy"))


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize("pooled", [True, False])
def test_a_row_that_cannot_be_judged_takes_everything(on_gpu: Call, poison: float, pooled: bool) -> None:
    case = Case.random(5, 40)
    case.scores[2, 7] = poison
    got = on_gpu(select_mass, *case, threshold=0.5, pooled=pooled, max_tokens=10)
    assert np.array_equal(got, case.counts > 0)


def test_an_op_without_a_kernel_says_so(on_gpu: Call) -> None:
    from edgevid.ops.rms_norm import rms_norm

    with pytest.raises(Exception, match="rms_norm has no GPU kernel"):
        on_gpu(rms_norm, normal(0, 1, 8), normal(1, 8), eps=1e-5)
