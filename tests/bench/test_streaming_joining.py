"""The joining law: its own arithmetic, and the shares that keys measured here join with."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgevid.bench.streaming_joining import joined_shipped, law, pairs, planted, rows
from edgevid.core.kv_config import RetrievalConfig


def test_the_law_at_its_ends() -> None:
    assert law(0.0, 7) == 1
    assert law(math.pi, 7) == pytest.approx(0)
    assert law(math.pi / 2, 16) + math.comb(32, 16) / 2**33 == pytest.approx(0.5)


def test_pairs_stand_at_their_angle() -> None:
    a, b = pairs(np.random.default_rng(0), 50, math.radians(35))
    cosine = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    np.testing.assert_allclose(np.degrees(np.arccos(cosine)), 35, atol=1e-6)


def test_keys_join_as_the_law_says() -> None:
    found = {row.measure: row for row in rows(quick=True)}
    law_rows = [row for what, row in found.items() if what.startswith("E4 joins")]
    assert len(law_rows) == 8
    assert all(row.passed for row in law_rows)


def test_shipped_hyperplanes_stay_near_the_law() -> None:
    rng = np.random.default_rng(1)
    for degrees in (20, 40, 60):
        angle = math.radians(degrees)
        assert joined_shipped(rng, 2000, angle, 7) == pytest.approx(law(angle, 7), abs=0.05)


def test_pure_clusters_are_found_and_mixed_ones_less_often() -> None:
    rng = np.random.default_rng(2)
    config = RetrievalConfig(segment=256)
    clean = planted(rng, noise=0.2, config=config)
    mixed = planted(rng, noise=1.5, config=config)
    assert np.mean([f.purity for f in clean]) > 0.95
    assert np.mean([f.recalled for f in clean]) > 0.95
    assert np.mean([f.recalled for f in mixed]) < np.mean([f.recalled for f in clean])
