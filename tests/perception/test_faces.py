"""Faces: where the network says they are, followed through clips, lost and found again."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.core.nouns import Frame
from edgevid.media.source import open_source
from edgevid.models.store import ModelStore
from edgevid.perception.face_detector import decode
from edgevid.perception.face_mesh import Region, cut, region_of_mesh
from edgevid.perception.faces import face_tracker
from edgevid.perception.one_euro import OneEuro

_STEP_NS = 40_000_000


def test_places_of_the_network_become_boxes_and_no_number_becomes_none() -> None:
    raw, logits = np.zeros((896, 16), np.float32), np.full(896, -20, np.float32)
    raw[0, 2:4], logits[0] = 64, 3
    raw[700, 2:4], logits[700] = np.nan, 9
    (face,) = decode(raw, logits, floor=0.5)
    np.testing.assert_allclose(face.box, np.array([-0.25, -0.25, 0.25, 0.25]) + 1 / 32)


def test_a_tilted_region_is_cut_upright() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    image[:, 100:] = 255
    turned = cut(image, Region(100, 100, 96, np.pi / 2))
    assert {float(turned[:90].mean()), float(turned[102:].mean())} == {0.0, 1.0}
    np.testing.assert_allclose(turned[:, 0], turned[:, -1], atol=1e-3)


def test_the_filter_stills_a_tremble_and_follows_a_move() -> None:
    smooth = OneEuro(cutoff_hz=1.2, beta=24.0, speed_cutoff_hz=6.0)
    rng = np.random.default_rng(0)
    still = [smooth(rng.normal(0, 0.001, 50).astype(np.float32), 0.04) for _ in range(50)]
    assert np.std(still[10:]) < 0.0007
    for _ in range(4):
        moved = smooth(np.full(50, 0.3, np.float32), 0.04)
    assert moved.min() > 0.28


@pytest.mark.packs
@pytest.mark.parametrize("clip", ["grid_bbaf2n.mpg", "vretalk_1.mp4"])
def test_one_face_is_followed_through_a_clip(clip: str, test_data: Path, store: ModelStore) -> None:
    tracker = face_tracker(store)
    with open_source(str(test_data / "talking" / clip)) as source:
        for item in itertools.islice((i for i in source.read() if isinstance(i, Frame)), 40):
            (face,) = tracker.update(item.image, item.pts_ns)
            assert face.track_id == 0 and abs(face.yaw_deg) < 25
            assert 0.5 < region_of_mesh(face.landmarks).side / (face.box[3] - face.box[1]) < 3


@pytest.mark.packs
def test_two_faces_come_and_one_goes(test_data: Path, store: ModelStore) -> None:
    with open_source(str(test_data / "talking" / "grid_bbaf2n.mpg")) as source:
        one = next(item.image for item in source.read() if isinstance(item, Frame))
    both: npt.NDArray[np.uint8] = np.concatenate([one, one], axis=1)
    tracker = face_tracker(store)
    assert [face.track_id for face in tracker.update(both, 0)] == [0, 1]
    both[:, one.shape[1] :] = 0
    assert len(tracker.update(both, _STEP_NS)) == 1
    assert tracker.update(np.zeros_like(both), 2 * _STEP_NS) == []
