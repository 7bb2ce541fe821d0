"""Mouths drawn on drawn faces: opened and shut as asked, nothing else touched, no flicker, no edges."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.lipsync.atlas import OUTLINE, MouthAtlas
from edgevid.lipsync.compositor import MouthCompositor
from edgevid.lipsync.nouns import Floats
from edgevid.lipsync.visemes import VisemeNet
from edgevid.perception.faces import Face
from tests.lipsync.drawn_face import SIDE, SKIN, TEETH, drawn_face, speech

Image = npt.NDArray[np.uint8]


def _asked(opening: float) -> Floats:
    return np.array([opening, 0.975, 0.011, 0, 0, 0], np.float32)


def _learnt(compositor: MouthCompositor) -> MouthCompositor:
    for opening in speech():
        compositor.learn(*drawn_face(float(opening)))
    return compositor


@pytest.fixture
def compositor() -> MouthCompositor:
    return _learnt(MouthCompositor(VisemeNet().basis))


def _draw(compositor: MouthCompositor, picture: tuple[Image, Face], opening: float) -> Image:
    drawn, reason = compositor.draw(*picture, _asked(opening))
    assert reason == ""
    return drawn


def _teeth(image: Image) -> int:
    """Pixels nearer to teeth than to anything else of the face."""
    return int((np.abs(image.astype(int) - TEETH).sum(axis=2) < 60).sum())


def test_a_closed_mouth_is_opened_and_an_open_one_shut(compositor: MouthCompositor) -> None:
    shut, wide = drawn_face(0.0), drawn_face(14.0)
    counts = [_teeth(_draw(compositor, shut, opening)) for opening in (0.0, 0.0, 0.05, 0.05, 0.07, 0.07)]
    assert counts[1] < 20 and counts[1] < counts[3] < counts[5]
    assert counts[5] > 0.6 * _teeth(wide[0])
    _draw(compositor, wide, 0.0)
    assert _teeth(_draw(compositor, wide, 0.0)) < 20


@pytest.mark.parametrize("shift", [(0.0, 0.0), (-30.4, 21.7)])
def test_pixels_outside_the_outline_keep_their_bits(
    compositor: MouthCompositor, shift: tuple[float, float]
) -> None:
    image, face = drawn_face(3.0, shift=shift)
    before = image.copy()
    drawn = _draw(compositor, (image, face), 0.07)
    assert (image == before).all()
    middle = face.mesh[list(OUTLINE)].mean(axis=0)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    outside = np.hypot((x - middle[0]) / 48, (y - middle[1]) / 42) > 1.01
    assert (drawn[outside] == image[outside]).all() and (drawn != image).any()


def test_other_light_is_matched_at_the_edge_and_inside(compositor: MouthCompositor) -> None:
    image, face = drawn_face(0.0, light=0.7)
    drawn = _draw(compositor, (image, face), 0.0).astype(int)
    chin = int(face.mesh[199, 1]) - 8
    middle = int(face.mesh[199, 0])
    assert np.abs(drawn[chin, middle - 20 : middle + 20] - image[chin, middle - 20 : middle + 20]).max() < 14
    assert 0.7 * np.array(SKIN) == pytest.approx(drawn[chin, middle - 20 : middle + 20].mean(axis=0), abs=8)


def test_a_still_mouth_stays_the_same_picture(compositor: MouthCompositor) -> None:
    face = drawn_face(2.0)
    drawn = [_draw(compositor, face, 0.05) for _ in range(20)]
    assert all((a == b).all() for a, b in pairwise(drawn[12:]))
    small = [_draw(compositor, face, 0.05 + 0.001 * (i % 2)) for i in range(20)]
    changes = [np.abs(a.astype(int) - b).max() for a, b in pairwise(small[4:])]
    assert max(changes) < 60  # lips move a little, no mouth is exchanged for another


def test_the_mouth_before_fades_out(compositor: MouthCompositor) -> None:
    face = drawn_face(2.0)
    for _ in range(8):
        before = _draw(compositor, face, 0.07)
    first, second = (_draw(compositor, face, 0.02).astype(int) for _ in range(2))
    assert (first != second).any()
    steps = [np.abs(a - b).mean() for a, b in ((before.astype(int), first), (first, second))]
    assert steps[1] > 0.05 * steps[0]


def test_lips_that_show_teeth_are_not_taken_for_shut_ones() -> None:
    atlas = MouthAtlas(VisemeNet().basis)
    misread, parted = drawn_face(0.0)[1], drawn_face(6.0)[0]
    atlas.add(parted, misread)  # the mesh says shut, the picture does not
    for opening in speech(40):
        atlas.add(*drawn_face(float(opening), width=60.0 if opening > 4 else 57.0))
    assert atlas.ready and atlas.mouths[0].redness < 0.7
    wanted = np.array([0.0, 1.0, 0.0], np.float32)
    assert atlas.nearest(wanted, misread, None).redness > 0.9
    assert atlas.nearest(wanted, misread, atlas.mouths[0]).redness > 0.9


def test_mouths_of_a_head_turned_alike_are_preferred() -> None:
    atlas = MouthAtlas(VisemeNet().basis)
    for yaw in (0.0, 20.0):
        for opening in speech(40):
            atlas.add(*drawn_face(float(opening), yaw_deg=yaw))
    for yaw in (0.0, 20.0):
        _, face = drawn_face(0.0, yaw_deg=yaw)
        for opening in (0.0, 0.1, 0.2):
            wanted = np.array([opening, 1, 0], np.float32)
            assert atlas.nearest(wanted, face, None).yaw_deg == yaw


def test_the_atlas_is_bounded() -> None:
    atlas = MouthAtlas(VisemeNet().basis)
    rng = np.random.default_rng(0)
    for _ in range(400):
        opening, width, yaw = rng.uniform((0, 40, -30), (25, 70, 30))
        atlas.add(*drawn_face(float(opening), width=float(width), yaw_deg=float(yaw)))
    assert len(atlas.mouths) == 128
