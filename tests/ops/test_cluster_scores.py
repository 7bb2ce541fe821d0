"""Summaries and scores of clusters against their references, and the bound the radius promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgevid.ops.cluster_scores import MOST_SPREAD, Spread, cluster_scores, cluster_scores_reference
from edgevid.ops.kv_seal import cluster_summaries, cluster_summaries_reference, seal_order
from tests.ops.cases import EPS, normal

CLUSTERS = (1, 2, 15, 16, 17, 33)
HEAD_DIMS = (1, 7, 16, 64, 65, 128)


def runs(clusters: int, n: int, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    ids = np.concatenate([np.arange(clusters), rng.integers(0, clusters, n - clusters)]).astype(np.int32)
    return seal_order(ids, clusters)


@pytest.mark.parametrize("clusters", CLUSTERS)
@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_summaries_equal_their_reference(isa: str, clusters: int, head_dim: int) -> None:
    order, begin = runs(clusters, 70)
    keys = (normal(1, 70, 3 * head_dim) + 2)[order]
    got = cluster_summaries(keys, begin, num_kv_heads=3)
    want = cluster_summaries_reference(keys, begin, num_kv_heads=3)
    # A mean summed in float32 may round to the neighbouring code.
    assert np.abs(got.means.astype(int) - want.means).max() <= 1
    assert (got.means != want.means).mean() < 0.01
    assert np.allclose(got.scales, want.scales, rtol=70 * EPS, atol=0)
    assert np.allclose(got.radii, want.radii, rtol=0.05, atol=1e-6)
    for h in range(3):
        for c in range(clusters):
            mean = got.means[h, :, c].astype(np.float32) * got.scales[h, c]
            run = keys[begin[c] : begin[c + 1], h * head_dim : (h + 1) * head_dim].astype(np.float64)
            assert np.linalg.norm(run - mean, axis=1).max() <= got.radii[h, c]


@pytest.mark.parametrize("clusters", CLUSTERS)
@pytest.mark.parametrize("head_dim", HEAD_DIMS)
@pytest.mark.parametrize("rows", [0, 1, 2, 5, 6, 7, 30])
def test_scores_equal_their_reference(isa: str, clusters: int, head_dim: int, rows: int) -> None:
    order, begin = runs(clusters, 50)
    summaries = cluster_summaries(normal(2, 50, head_dim)[order], begin, num_kv_heads=1)
    q = normal(3, rows, head_dim)
    args = (q, summaries.means[0], summaries.scales[0])
    got = cluster_scores(*args, clusters=clusters, scale=0.125)
    want = cluster_scores_reference(*args, clusters=clusters, scale=0.125)
    assert got.shape == want.shape
    assert np.isneginf(got[:, clusters:]).all()
    sizes = np.abs(q).sum(axis=1, keepdims=True) * np.abs(want[:, :clusters]).max(initial=1)
    assert (np.abs(got[:, :clusters] - want[:, :clusters]) <= head_dim * EPS * sizes).all()


@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_rounding_queries_costs_a_hundredth(isa: str, head_dim: int) -> None:
    _, begin = runs(33, 50)
    summaries = cluster_summaries(normal(2, 50, head_dim), begin, num_kv_heads=1)
    q, means, scales = normal(3, 16, head_dim), summaries.means[0], summaries.scales[0]
    got = cluster_scores(q, means, scales, clusters=33, scale=1.0)[:, :33]
    exact = q.astype(np.float64) @ (means * scales)[:, :33]
    size = np.linalg.norm(q, axis=1)[:, None] * np.linalg.norm((means * scales)[:, :33], axis=0)
    assert (np.abs(got - exact) <= 0.015 * size).all()


@pytest.mark.parametrize("clusters", CLUSTERS)
@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_spread_equals_its_reference_and_has_a_bound(isa: str, clusters: int, head_dim: int) -> None:
    _, begin = runs(clusters, 50)
    summaries = cluster_summaries(normal(2, 50, head_dim), begin, num_kv_heads=1)
    q = normal(3, 20, head_dim) * 3
    spread = Spread(np.abs(normal(3, head_dim)), np.abs(normal(4, summaries.means.shape[2])))
    args, options = (q, summaries.means[0], summaries.scales[0]), {"clusters": clusters, "scale": 0.3}
    got = cluster_scores(*args, **options, spread=spread)
    want = cluster_scores_reference(*args, **options, spread=spread)
    assert np.isneginf(got[:, clusters:]).all()
    assert np.allclose(got[:, :clusters], want[:, :clusters], rtol=1e-5, atol=1e-4)
    plain = cluster_scores(*args, **options)[:, :clusters]
    raised = got[:, :clusters] - plain
    assert raised.min() >= 0
    assert 0 < raised.max() <= MOST_SPREAD + 1e-4
    still = spread._replace(variance=np.zeros(head_dim, np.float32))
    assert np.array_equal(cluster_scores(*args, **options, spread=still)[:, :clusters], plain)


def test_spread_makes_the_mass_of_a_cluster_right(native: Any) -> None:
    """Gaussian keys: the mean of exp(score) against exp of the score of the mean."""
    rng = np.random.default_rng(0)
    sigma = rng.uniform(0.1, 0.6, 16).astype(np.float32)
    keys = (rng.normal(size=(4000, 16)) * sigma + 0.5).astype(np.float32)
    q = rng.normal(size=(6, 16)).astype(np.float32)
    truth = np.log(np.exp(0.5 * q @ keys.T).mean(axis=1))
    table = cluster_summaries(keys, np.array([0, len(keys)], np.int32), num_kv_heads=1)
    args, options = (q, table.means[0], table.scales[0]), {"clusters": 1, "scale": 0.5}
    spread = Spread(sigma**2, np.full(16, (sigma**2).mean(), np.float32))
    plain = cluster_scores(*args, **options)[:, 0]
    raised = cluster_scores(*args, **options, spread=spread)[:, 0]
    assert np.abs(raised - truth).max() < 0.05 < np.abs(plain - truth).max()


def test_a_query_of_nan_gives_nan_to_its_row_alone(isa: str) -> None:
    _, begin = runs(17, 40)
    summaries = cluster_summaries(normal(0, 40, 64), begin, num_kv_heads=1)
    q = normal(1, 8, 64)
    clean = cluster_scores(q, summaries.means[0], summaries.scales[0], clusters=17, scale=1.0)
    q[3, 5] = np.nan
    got = cluster_scores(q, summaries.means[0], summaries.scales[0], clusters=17, scale=1.0)
    assert np.isnan(got[3, :17]).all()
    assert np.array_equal(np.delete(got, 3, 0), np.delete(clean, 3, 0))


def test_wrong_runs_are_refused(native: Any) -> None:
    for begin in ([0, 5], [0, 4, 4, 6], [1, 6], []):
        with pytest.raises(ValueError, match="cluster_summaries"):
            cluster_summaries(normal(0, 6, 4), np.array(begin, np.int32), num_kv_heads=2)
    with pytest.raises(ValueError, match="no such cluster"):
        seal_order(np.array([0, 2], np.int32), 2)
