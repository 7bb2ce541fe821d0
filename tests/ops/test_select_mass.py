"""select_mass equals its reference, and what it selects holds the share of mass it promises."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.ops.dequantize import Floats
from edgevid.ops.select_mass import Doubt, Marks, select_mass
from tests.ops.cases import normal


class Case(NamedTuple):
    scores: Floats
    counts: npt.NDArray[np.int32]
    resident_max: Floats
    resident_sum: Floats

    @classmethod
    def random(cls, rows: int, clusters: int, *, spread: float = 3.0, resident: float = 10.0) -> Case:
        rng = np.random.default_rng(rows * 1000 + clusters)
        counts = rng.integers(0, 40, clusters).astype(np.int32)
        scores = normal(rows, rows, clusters) * np.float32(spread)
        scores[:, counts == 0] = -np.inf
        return cls(scores, counts, normal(1, rows), np.abs(normal(2, rows)) * np.float32(resident))

    def select(self, **options: Any) -> Marks:
        return select_mass(*self, **options)

    def shares(self, marks: Marks) -> npt.NDArray[np.float64]:
        """Per row, the share of mass that is resident or selected."""
        mass = np.exp(self.scores.astype(np.float64)) * self.counts
        resident = np.exp(self.resident_max.astype(np.float64)) * self.resident_sum
        return np.asarray((mass[:, marks].sum(axis=1) + resident) / (mass.sum(axis=1) + resident))


SIZES = [(1, 1), (1, 15), (1, 16), (1, 17), (3, 64), (30, 100), (192, 33), (0, 20), (3, 0)]


@pytest.mark.parametrize(("rows", "clusters"), SIZES)
@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("exact", [True, False])
def test_equals_reference(isa: str, rows: int, clusters: int, pooled: bool, exact: bool) -> None:
    case = Case.random(rows, clusters)
    for threshold in (0.0, 0.3, 0.5, 0.9, 0.99, 1.0):
        for max_tokens in (0, 100):
            options = {
                "threshold": threshold,
                "pooled": pooled,
                "exact": exact,
                "max_tokens": max_tokens,
            }
            assert np.array_equal(case.select(**options), case.select(**options, backend="numpy"))


@pytest.mark.parametrize("threshold", [0.5, 0.9, 0.99])
def test_the_share_is_reached_with_the_fewest_clusters(isa: str, threshold: float) -> None:
    case = Case.random(4, 80, resident=0.1)
    each = case.select(threshold=threshold, pooled=False, exact=True)
    assert (case.shares(each) > threshold - 1e-5).all()
    pooled = case.select(threshold=threshold, exact=True)
    assert case.shares(pooled).mean() > threshold - 1e-5
    chosen = np.flatnonzero(pooled)
    one_less = [case.shares(np.isin(np.arange(80), np.delete(chosen, i))).mean() for i in range(len(chosen))]
    assert min(one_less) <= threshold + 1e-5
    bucketed = case.select(threshold=threshold)
    assert (bucketed >= pooled).all()
    assert case.shares(bucketed & ~pooled).mean() < 0.35


def test_nothing_is_selected_when_the_resident_tokens_suffice(isa: str) -> None:
    case = Case.random(6, 50, resident=1e7)
    assert not case.select(threshold=0.9).any()
    assert not case.select(threshold=0.9, pooled=False).any()


def test_the_cap_keeps_the_densest(isa: str) -> None:
    counts = np.array([10, 10, 10, 10], np.int32)
    case = Case(np.array([[1, 4, 3, 2]], np.float32), counts, np.zeros(1, np.float32), np.ones(1, np.float32))
    assert case.select(threshold=1.0, max_tokens=25).tolist() == [False, True, True, False]


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_row_that_cannot_be_judged_takes_everything(isa: str, poison: float) -> None:
    case = Case.random(5, 40)
    case.scores[2, 7] = poison
    for pooled in (True, False):
        assert np.array_equal(case.select(threshold=0.5, pooled=pooled), case.counts > 0)


def test_no_resident_token(isa: str) -> None:
    case = Case.random(2, 30)._replace(
        resident_max=np.full(2, -np.inf, np.float32), resident_sum=np.zeros(2, np.float32)
    )
    marks = case.select(threshold=0.8, exact=True)
    assert np.array_equal(marks, case.select(threshold=0.8, exact=True, backend="numpy"))
    assert 0 < marks.sum() < 30


def test_wrong_arguments_are_refused(native: Any) -> None:
    case = Case.random(2, 5)
    for backend in ("native", "numpy"):
        with pytest.raises(ValueError, match="share"):
            case.select(threshold=1.5, backend=backend)
        with pytest.raises(ValueError, match="shapes"):
            case._replace(counts=case.counts[1:]).select(threshold=0.5, backend=backend)
        for rows, clusters in ((3, 5), (2, 4)):
            doubt = Doubt(np.ones(rows, np.float32), np.ones(clusters, np.float32))
            with pytest.raises(ValueError, match="shapes"):
                case.select(threshold=0.5, doubt=doubt, backend=backend)
