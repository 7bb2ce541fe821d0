"""Summaries and scores of clusters against their references, and the bound the radius promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgevid.ops.cluster_scores import cluster_scores, cluster_scores_reference
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
