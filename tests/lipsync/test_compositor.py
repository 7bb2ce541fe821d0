"""Drawn mouths: real ones of the speaker, nothing else touched, and frames that are left alone."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.core.nouns import Frame
from edgevid.lipsync.atlas import OUTLINE
from edgevid.lipsync.compositor import MouthCompositor
from edgevid.lipsync.mouth_shape import fit_speaker, lips_of, measure
from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.thin_plate import thin_plate
from edgevid.lipsync.visemes import VisemeNet
from edgevid.media.source import open_source
from edgevid.models.store import ModelStore
from edgevid.perception.faces import Face, face_tracker

Seen = list[tuple[npt.NDArray[np.uint8], Face]]


def _mouth(opening: float) -> Floats:
    return np.array([opening, 1, 0, 0, 0, 0], np.float32)


@pytest.fixture(scope="module")
def seen(test_data: Path, store: ModelStore) -> Seen:
    tracker = face_tracker(store)
    with open_source(str(test_data / "talking" / "vretalk_4.mp4")) as source:
        images = itertools.islice((item for item in source.read() if isinstance(item, Frame)), 90)
        return [(item.image, tracker.update(item.image, item.pts_ns)[0]) for item in images]


@pytest.fixture(scope="module")
def compositor(seen: Seen) -> MouthCompositor:
    compositor = MouthCompositor(VisemeNet().basis)
    for image, face in seen:
        compositor.learn(image, face)
    return compositor


@pytest.mark.packs
def test_pixels_outside_the_outline_are_the_same_bits(compositor: MouthCompositor, seen: Seen) -> None:
    image, face = seen[40]
    drawn, reason = compositor.draw(image, face, _mouth(0.2))
    assert reason == "" and drawn is not image
    low, high = (f(face.landmarks[list(OUTLINE)], axis=0) for f in (np.min, np.max))
    rows, columns = np.nonzero((drawn != image).any(axis=2))
    assert len(rows) > 500
    assert low[0] <= columns.min() and columns.max() <= high[0]
    assert low[1] <= rows.min() and rows.max() <= high[1]


@pytest.mark.packs
def test_the_tracker_sees_the_mouth_that_was_asked_for(
    compositor: MouthCompositor, seen: Seen, store: ModelStore
) -> None:
    speaker = fit_speaker(np.stack([lips_of(face.landmarks) for _, face in seen]))
    openings = []
    for wanted in (0.0, 0.04, 0.07):
        drawn = compositor.draw(*seen[40], _mouth(wanted))[0]
        (face,) = face_tracker(store).update(drawn, 0)
        openings.append(float(measure(lips_of(face.landmarks), speaker)[0]))
    assert openings[0] < 0.05 and openings[0] < openings[1] < openings[2]


@pytest.mark.packs
def test_frames_that_cannot_be_drawn_on_are_returned_as_they_are(
    compositor: MouthCompositor, seen: Seen
) -> None:
    image, face = seen[40]
    away = replace(face, landmarks=face.landmarks + np.float32(4000))
    small = replace(face, landmarks=face.landmarks / np.float32(30))
    turned = replace(face, yaw_deg=50.0)
    for unfit, reason in ((away, "leaving the picture"), (small, "small face"), (turned, "turned head")):
        assert compositor.draw(image, unfit, _mouth(0.1)) == (image, reason)
    new = MouthCompositor(VisemeNet().basis)
    assert new.draw(image, face, _mouth(0.1)) == (image, "learning the mouth")


def test_a_thin_plate_moves_its_points_and_keeps_affine_maps() -> None:
    rng = np.random.default_rng(0)
    points, asked = rng.uniform(0, 100, (2, 30, 2)).astype(np.float32)
    turn = np.array([[0.9, 0.2], [-0.1, 1.1]], np.float32)
    np.testing.assert_allclose(thin_plate(points, points @ turn + 5, asked), asked @ turn + 5, atol=1e-2)
    moved = points + rng.normal(0, 1, points.shape).astype(np.float32)
    np.testing.assert_allclose(thin_plate(points, moved, points), moved, atol=0.5)
