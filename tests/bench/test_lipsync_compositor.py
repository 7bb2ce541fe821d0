"""The bench of tracker, network and compositor: what it plays, and what it makes of the times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgevid.bench.lipsync_compositor import FPS, Times, play, report, rows
from edgevid.bench.lipsync_live import RATE, read_pictures
from edgevid.models.store import ModelStore
from edgevid.perception import face_detector, face_mesh


def _times(busy_ms: float, late_ms: np.ndarray) -> Times:
    part = np.full(len(late_ms), busy_ms / 3)
    return Times(part.copy(), part, part, late_ms, len(late_ms), 0.001 * busy_ms * len(late_ms))


def test_the_slowest_stretch_decides_and_drift_is_seen() -> None:
    steady = list(report(_times(30.0, np.full(20 * FPS, 31.0)), "x"))
    assert steady[0].value == pytest.approx(33.3, abs=0.1) and steady[0].passed
    assert steady[1].value == 0 and steady[1].passed
    slow = _times(30.0, np.linspace(31, 131, 20 * FPS))
    slow.track[: 10 * FPS] += 15
    first, drift = report(slow, "x")
    assert first.value == pytest.approx(26.7, abs=0.1) and first.passed is False
    assert drift.value == pytest.approx(50, abs=1) and drift.passed is False


def test_without_clips_it_says_so() -> None:
    (row,) = rows(None)
    assert row.value is None and "EDGEVID_TEST_DATA" in row.method


@pytest.mark.packs
def test_every_frame_of_a_face_gets_a_mouth(test_data: Path, store: ModelStore) -> None:
    for pack in (face_detector.PACK, face_mesh.PACK):
        store.where(pack)
    pictures = read_pictures(test_data / "talking" / "vretalk_4.mp4", side=512, count=40)
    hiss = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    times = play(pictures, hiss, seconds=1)
    assert len(times.busy) == FPS and times.drawn == FPS
    assert 0 < times.processor_s <= times.busy.sum() / 1000 + 0.05
    assert (times.busy > 0).all() and (times.late >= times.busy - 1e-6).all()
