"""cluster_estimate, and selection in doubt, on a GPU, on the cases of the native kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgevid.ops.cluster_estimate import LEAST_WEIGHT, cluster_estimate, cluster_estimate_reference
from tests.ops.test_cluster_estimate import check_estimates, estimate_case
from tests.ops.test_cluster_scores import CLUSTERS, HEAD_DIMS

Call = Callable[..., Any]


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
