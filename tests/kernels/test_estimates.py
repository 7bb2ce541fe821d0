"""cluster_moments, cluster_estimate, and selection in doubt, on a GPU, on the cases of the native kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgevid.ops.cluster_estimate import LEAST_WEIGHT, cluster_estimate, cluster_estimate_reference
from edgevid.ops.kv_seal import cluster_moments
from edgevid.ops.select_mass import Doubt, select_mass
from tests.ops.cases import normal
from tests.ops.test_cluster_estimate import (
    check_estimates,
    check_moments,
    estimate_case,
    moments_case,
    sure_and_doubtful,
)
from tests.ops.test_cluster_scores import CLUSTERS, HEAD_DIMS
from tests.ops.test_select_mass import SIZES, Case

Call = Callable[..., Any]


@pytest.mark.parametrize("clusters", CLUSTERS)
@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_moments(on_gpu: Call, clusters: int, head_dim: int) -> None:
    case = moments_case(clusters, head_dim)
    want = cluster_moments(*case, num_kv_heads=3, backend="numpy")
    check_moments(on_gpu(cluster_moments, *case, num_kv_heads=3), want, clusters, head_dim)


@pytest.mark.parametrize("clusters", [*CLUSTERS, 50])
@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_estimates(on_gpu: Call, clusters: int, head_dim: int) -> None:
    for rows in (0, 1, 5, 30):
        case = estimate_case(clusters, head_dim, rows)
        got = on_gpu(cluster_estimate, *case)
        check_estimates(got, cluster_estimate_reference(*case), case, clusters)


def test_more_clusters_than_a_tile(on_gpu: Call) -> None:
    rng = np.random.default_rng(0)
    table = rng.integers(-127, 128, (400, 32), dtype=np.int8), rng.random(400, np.float32)
    marks, counts = rng.random(400) < 0.3, rng.integers(0, 9, 400, np.int32)
    case = (rng.random((7, 400), np.float32), counts, marks, *table)
    check_estimates(on_gpu(cluster_estimate, *case), cluster_estimate_reference(*case), case, 400)


def test_what_weighs_next_to_nothing_counts_as_nothing(on_gpu: Call) -> None:
    densities = np.zeros((2, 16), np.float32)
    densities[0, :3] = LEAST_WEIGHT * np.array([0.4, 0.6, 0.0], np.float32)
    densities[1, 0] = 1
    table = np.ones((16, 16), np.int8), np.ones(16, np.float32)
    counts, none = np.full(16, 2, np.int32), np.zeros(16, np.bool_)
    total, values = on_gpu(cluster_estimate, densities, counts, none, *table)
    assert np.allclose(total, [1.2 * LEAST_WEIGHT, 2], rtol=1e-6)
    assert np.allclose(values, total[:, None], rtol=1e-6)


def test_what_is_attended_is_not_estimated_whatever_it_holds(on_gpu: Call) -> None:
    densities, scales = np.full((3, 16), np.nan, np.float32), np.full(16, np.nan, np.float32)
    counts, attended = np.ones(16, np.int32), np.ones(16, np.bool_)
    total, values = on_gpu(cluster_estimate, densities, counts, attended, np.ones((16, 16), np.int8), scales)
    assert not total.any()
    assert not values.any()


@pytest.mark.parametrize(("rows", "clusters"), [*SIZES, (7, 48), (30, 400)])
@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("exact", [True, False])
def test_selection_in_doubt(on_gpu: Call, rows: int, clusters: int, pooled: bool, exact: bool) -> None:
    case = Case.random(min(rows, 7), clusters)
    doubt = Doubt(np.abs(normal(1, min(rows, 7))), np.abs(normal(2, clusters)))
    for threshold, max_tokens in ((0.0, 0), (0.3, 100), (0.8, 0), (0.99, 100), (1.0, 0)):
        options = {"threshold": threshold, "pooled": pooled, "exact": exact, "max_tokens": max_tokens}
        got = on_gpu(select_mass, *case, **options, doubt=doubt)
        want = case.select(**options, doubt=doubt, backend="numpy")
        # Sums differ in their last bits, so a cluster at a bucket's edge may fall on either side.
        assert (got != want).sum() <= max(0 if clusters < 16 else 1, 0.01 * clusters)


@pytest.mark.parametrize("pooled", [True, False])
def test_what_is_sure_needs_no_selection_however_much_it_holds(on_gpu: Call, pooled: bool) -> None:
    case, doubt = sure_and_doubtful()
    marks = on_gpu(select_mass, *case, threshold=0.9, pooled=pooled, doubt=doubt)
    assert marks.tolist() == [False, True] + 14 * [False]


def test_wrong_shapes_are_refused(on_gpu: Call) -> None:
    case = Case.random(2, 5)
    with pytest.raises(ValueError, match="shapes disagree"):
        on_gpu(select_mass, *case, threshold=0.5, doubt=Doubt(case.resident_max, case.resident_max))
    densities, *rest = estimate_case(16, 16, 2)
    with pytest.raises(ValueError, match="shapes disagree"):
        on_gpu(cluster_estimate, densities[:, 1:], *rest)
    keys, values, begin = moments_case(2, 16)
    with pytest.raises(ValueError, match="disagree"):
        on_gpu(cluster_moments, keys, values[1:], begin, num_kv_heads=3)
    with pytest.raises(ValueError, match="do not cover"):
        on_gpu(cluster_moments, keys, values, begin[:-1], num_kv_heads=3)


@pytest.mark.parametrize("pooled", [True, False])
def test_a_row_that_cannot_be_judged_takes_everything_in_doubt(on_gpu: Call, pooled: bool) -> None:
    case = Case.random(5, 40)
    case.scores[2, 7] = np.nan
    doubt = Doubt(np.zeros(5, np.float32), np.zeros(40, np.float32))
    got = on_gpu(select_mass, *case, threshold=0.5, pooled=pooled, doubt=doubt)
    assert np.array_equal(got, case.counts > 0)
