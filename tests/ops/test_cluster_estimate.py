"""Estimates of clusters against their reference, and against attention to what they stand for."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from edgevid.ops.backend import Backend
from edgevid.ops.cluster_estimate import LEAST_WEIGHT, cluster_estimate, cluster_estimate_reference
from edgevid.ops.kv_seal import Moments, cluster_moments, cluster_moments_reference
from edgevid.ops.paged_attention import AttentionRest, KvCache
from edgevid.ops.select_mass import Doubt, select_mass
from tests.ops.cases import EPS, AttentionCase, attention_cases, normal, paged_extents
from tests.ops.test_cluster_scores import CLUSTERS, HEAD_DIMS, runs
from tests.ops.test_paged_attention import BOUND, Filled, random_rest
from tests.ops.test_select_mass import Case


def moments_of(values: Any, begin: Any) -> Moments:
    return cluster_moments(values, values, begin, num_kv_heads=1)


def moments_case(clusters: int, head_dim: int) -> tuple[Any, ...]:
    """Arguments of cluster_moments: 70 tokens of 3 KV heads in runs."""
    order, begin = runs(clusters, 70)
    keys, values = ((normal(seed, 70, 3 * head_dim) + 2)[order] for seed in (1, 2))
    return keys, values, begin


def check_moments(got: Moments, want: Moments, clusters: int, head_dim: int) -> None:
    assert got.value_means.shape == want.value_means.shape
    assert not got.value_means[:, :, head_dim:].any()
    assert not got.value_means[:, clusters:].any()
    # A mean summed in float32 may round to the neighbouring code.
    assert np.abs(got.value_means.astype(int) - want.value_means).max() <= 1
    assert (got.value_means != want.value_means).mean() < 0.01
    assert np.allclose(got.value_scales, want.value_scales, rtol=70 * EPS, atol=0)
    assert np.allclose(got.spreads, want.spreads, rtol=1e-2, atol=1e-3)
    assert np.allclose(got.variance, want.variance, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("clusters", CLUSTERS)
@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_moments_equal_their_reference(isa: str, clusters: int, head_dim: int) -> None:
    case = moments_case(clusters, head_dim)
    got, want = (of(*case, num_kv_heads=3) for of in (cluster_moments, cluster_moments_reference))
    check_moments(got, want, clusters, head_dim)


def estimate_case(clusters: int, head_dim: int, rows: int) -> tuple[Any, ...]:
    """Arguments of cluster_estimate: 50 values in runs, of which a third is attended."""
    order, begin = runs(clusters, 50)
    moments = cluster_moments_reference(*[normal(2, 50, head_dim)[order]] * 2, begin, num_kv_heads=1)
    means, scales = moments.value_means[0], moments.value_scales[0]
    counts, marks = np.zeros(len(means), np.int32), np.zeros(len(means), np.bool_)
    counts[:clusters] = np.diff(begin)
    marks[:clusters] = np.random.default_rng(clusters).random(clusters) < 0.3
    return np.exp(normal(3, rows, len(means)) - 3), counts, marks, means, scales


def check_estimates(got: Any, want: Any, case: tuple[Any, ...], clusters: int) -> None:
    *_, means, scales = case
    assert got[1].shape == want[1].shape == (len(case[0]), means.shape[1])
    assert np.allclose(got[0], want[0], rtol=clusters * EPS, atol=0)
    size = want[0][:, None] * (np.abs(means).max() * scales.max())
    assert (np.abs(got[1] - want[1]) <= (clusters + 2) * EPS * size + 1e-12).all()


@pytest.mark.parametrize("clusters", CLUSTERS)
@pytest.mark.parametrize("head_dim", HEAD_DIMS)
@pytest.mark.parametrize("rows", [0, 1, 2, 5, 6, 7, 30])
def test_estimates_equal_their_reference(isa: str, clusters: int, head_dim: int, rows: int) -> None:
    case = estimate_case(clusters, head_dim, rows)
    check_estimates(cluster_estimate(*case), cluster_estimate_reference(*case), case, clusters)


def test_what_weighs_next_to_nothing_counts_as_nothing(isa: str) -> None:
    densities = np.zeros((2, 16), np.float32)
    densities[0, :3] = LEAST_WEIGHT * np.array([0.4, 0.6, 0.0], np.float32)
    densities[1, 0] = 1
    counts = np.full(16, 2, np.int32)
    table = np.ones((16, 16), np.int8), np.ones(16, np.float32)
    total, values = cluster_estimate(densities, counts, np.zeros(16, np.bool_), *table)
    assert np.allclose(total, [1.2 * LEAST_WEIGHT, 2], rtol=1e-6)
    assert np.allclose(values, total[:, None], rtol=1e-6)


def test_what_is_attended_is_not_estimated_whatever_it_holds(isa: str) -> None:
    densities = np.full((3, 16), np.nan, np.float32)
    none = np.ones(16, np.bool_)
    total, values = cluster_estimate(
        densities, np.ones(16, np.int32), none, np.ones((16, 16), np.int8), np.ones(16, np.float32)
    )
    assert not total.any()
    assert not values.any()


@pytest.mark.parametrize("case", list(attention_cases()), ids=AttentionCase.name)
def test_a_rest_joins_as_in_the_reference(isa: str, case: AttentionCase) -> None:
    rest = random_rest(case)
    for threads in (1, 3):
        filled, reference = Filled(case, threads=threads), Filled(case, backend="numpy")
        got = filled.cache.attend(filled.q, [filled.extents], scale=filled.scale, rest=rest)
        want = reference.cache.attend(filled.q, [filled.extents], scale=filled.scale, rest=rest)
        assert np.abs(got - want).max() <= 2 * BOUND


def test_a_rest_of_other_queries_is_refused(native: Any) -> None:
    case = next(attention_cases())
    for backend in ("native", "numpy"):
        filled = Filled(case, backend=backend)
        for part, values in random_rest(case)._asdict().items():
            wrong = random_rest(case)._replace(**{part: values[:, :-1]})
            with pytest.raises(ValueError, match="shapes disagree"):
                filled.cache.attend(filled.q, [filled.extents], scale=1.0, rest=wrong)


def test_an_empty_rest_changes_no_bit(isa: str) -> None:
    case = next(attention_cases())
    filled = Filled(case, threads=1)
    rows = (case.num_kv_heads, case.m * case.group)
    nothing = AttentionRest(
        np.full(rows, np.nan, np.float32),
        np.zeros(rows, np.float32),
        np.full((*rows, 64), np.nan, np.float32),
    )
    plain = filled.cache.attend(filled.q, [filled.extents], scale=filled.scale)
    assert np.array_equal(
        filled.cache.attend(filled.q, [filled.extents], scale=filled.scale, rest=nothing), plain
    )


@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_clusters_of_equal_tokens_are_estimated_without_loss(native: Any, backend: str) -> None:
    """Attending 5 tokens and estimating 3 clusters of 4 equal tokens each is attending all 17."""
    which = cast(Backend, backend)
    k, v, q = normal(1, 17, 1, 16), normal(2, 17, 1, 16), normal(3, 2, 2, 16)
    for tokens in (k, v):
        tokens[:12] = tokens[:12:4].repeat(4, axis=0)
    cache = KvCache(num_pages=2, page_size=16, num_kv_heads=1, head_dim=16, dtype="f32", backend=which)
    extents = paged_extents(17, page_size=16)
    cache.append(k, v, extents)
    whole = cache.attend(q, [extents], scale=0.25)
    counts = np.zeros(16, np.int32)
    counts[:3] = 4
    moments = moments_of(v[:12, 0], np.array([0, 4, 8, 12], np.int32))
    means, scales = moments.value_means[0], moments.value_scales[0]
    top = np.full(4, 1.5, np.float32)
    densities = np.zeros((4, 16), np.float32)
    densities[:, :3] = np.exp(0.25 * q.reshape(4, 16) @ k[:12:4, 0].T - 1.5)
    total, values = cluster_estimate(densities, counts, np.zeros(16, np.bool_), means, scales, backend=which)
    rest = AttentionRest(top[None], total[None], values[None])
    part = cache.attend(q, [[extents[0]._replace(first=12, count=4), extents[1]]], scale=0.25, rest=rest)
    assert np.abs(part - whole).max() < 0.02  # values are kept in 8 bits


def sure_and_doubtful() -> tuple[Case, Doubt]:
    """Two clusters of half the mass each; only the tokens of the second differ."""
    scores = np.zeros((3, 16), np.float32)
    scores[:, 2:] = -np.inf
    counts = np.array([50, 50] + 14 * [0], np.int32)
    case = Case(scores, counts, np.full(3, -20, np.float32), np.ones(3, np.float32))
    return case, Doubt(np.full(3, 2, np.float32), np.array([0, 0.4] + 14 * [0], np.float32))


def test_what_is_sure_needs_no_selection_however_much_it_holds(isa: str) -> None:
    case, doubt = sure_and_doubtful()
    for backend in ("native", "numpy"):
        for pooled in (True, False):
            marks = case.select(threshold=0.9, pooled=pooled, doubt=doubt, backend=backend)
            assert marks.tolist() == [False, True] + 14 * [False]


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("threshold", [0.3, 0.8, 0.99])
def test_selection_in_doubt_equals_its_reference(isa: str, pooled: bool, threshold: float) -> None:
    for rows, clusters in ((1, 16), (7, 48), (30, 400)):
        case = Case.random(rows, clusters)
        doubt = Doubt(np.abs(normal(1, rows)), np.abs(normal(2, clusters)))
        got, want = (
            select_mass(
                *case, threshold=threshold, pooled=pooled, doubt=doubt, backend=cast(Backend, backend)
            )
            for backend in ("native", "numpy")
        )
        # Sums differ in their last bits, so a cluster at a bucket's edge may fall on either side.
        assert (got != want).sum() <= max(1, 0.01 * clusters)


def test_wrong_shapes_are_refused(native: Any) -> None:
    good = (
        np.zeros((2, 16), np.float32),
        np.zeros(16, np.int32),
        np.zeros(16, np.bool_),
        np.zeros((16, 16), np.int8),
        np.zeros(16, np.float32),
    )
    for backend in ("native", "numpy"):
        for i, bad in enumerate(
            (np.zeros((2, 15), np.float32), np.zeros(15, np.int32), np.zeros(17, np.bool_))
        ):
            arguments = [*good]
            arguments[i] = bad
            with pytest.raises(ValueError, match="shapes disagree"):
                cluster_estimate(*arguments, backend=cast(Backend, backend))
