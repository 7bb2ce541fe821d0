from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.core.nouns import Box, Frame, Kind
from edgevid.media.source import open_source
from edgevid.models.session import Port, SessionInfo
from edgevid.models.store import ModelStore
from edgevid.perception.objects import (
    COCO_LABELS,
    ObjectDetector,
    ObjectsChannel,
    decode_peaks,
    letterbox,
    objects_channel,
    overlap,
)

Floats = npt.NDArray[np.float32]
CAR, DOG = COCO_LABELS.index("car"), COCO_LABELS.index("dog")
IMAGE = np.zeros((90, 160, 3), np.uint8)


def heat_map(*peaks: tuple[int, int, int, float], side: int = 32) -> tuple[Floats, Floats]:
    """Heat with the peaks (y, x, label, score), and boxes that reach 8 pixels (2 cells) each way."""
    heat = np.zeros((side, side, 80), np.float32)
    for y, x, label, score in peaks:
        heat[y, x, label] = score
    return heat, np.full((side, side, 4), 8.0, np.float32)


def test_labels_are_the_80_of_coco() -> None:
    assert len(COCO_LABELS) == len(set(COCO_LABELS)) == 80


def test_a_peak_becomes_a_box() -> None:
    (found,) = decode_peaks(*heat_map((10, 20, CAR, 0.9)), floor=0.2)
    assert (found.label, found.score) == (CAR, pytest.approx(0.9))
    assert found.box == Box(18 / 32, 8 / 32, 22 / 32, 12 / 32)


def test_best_first_and_nothing_below_the_floor() -> None:
    heat, sides = heat_map((4, 4, CAR, 0.3), (20, 20, DOG, 0.8), (28, 4, CAR, 0.19))
    assert [d.label for d in decode_peaks(heat, sides, floor=0.2)] == [DOG, CAR]


def test_a_slope_has_one_peak() -> None:
    heat, sides = heat_map((10, 10, CAR, 0.9), (10, 11, CAR, 0.8), (10, 12, CAR, 0.7), (11, 10, DOG, 0.85))
    assert [d.label for d in decode_peaks(heat, sides, floor=0.2)] == [CAR]


def test_a_tie_is_one_object() -> None:
    heat, sides = heat_map((10, 10, CAR, 0.5), (10, 11, CAR, 0.5), (11, 10, CAR, 0.5))
    assert len(decode_peaks(heat, sides, floor=0.2)) == 1


def test_of_overlapping_boxes_the_best_stays_whatever_its_label() -> None:
    heat, sides = heat_map((10, 10, CAR, 0.5), (12, 10, DOG, 0.6))
    sides[:] = 40.0
    assert [d.label for d in decode_peaks(heat, sides, floor=0.2)] == [DOG]
    sides[:] = 4.0
    assert [d.label for d in decode_peaks(heat, sides, floor=0.2)] == [DOG, CAR]


def test_boxes_are_cut_at_the_picture_and_empty_ones_dropped() -> None:
    heat, sides = heat_map((0, 0, CAR, 0.5), (31, 31, DOG, 0.6), (16, 16, CAR, 0.9))
    sides[16, 16] = -1.0
    boxes = [d.box for d in decode_peaks(heat, sides, floor=0.2)]
    assert boxes == [Box(29 / 32, 29 / 32, 1.0, 1.0), Box(0.0, 0.0, 2 / 32, 2 / 32)]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_makes_no_box(bad: float) -> None:
    heat, sides = heat_map((10, 10, CAR, 0.9), (20, 20, DOG, 0.8))
    heat[10, 10, CAR] = bad
    sides[20, 20, 0] = bad
    for found in decode_peaks(heat, sides, floor=0.2):
        assert np.isfinite(found.score)
        assert 0 <= found.box.x0 < found.box.x1 <= 1 and 0 <= found.box.y0 < found.box.y1 <= 1
    assert decode_peaks(np.full((8, 8, 80), np.nan, np.float32), sides[:8, :8], floor=0.2) == []


def test_a_noisy_map_keeps_at_most_a_hundred() -> None:
    heat = np.random.default_rng(0).random((64, 64, 80)).astype(np.float32)
    assert len(decode_peaks(heat, np.ones((64, 64, 4), np.float32), floor=0.2)) == 100


def test_overlap() -> None:
    left, right = Box(0.0, 0.0, 0.5, 1.0), Box(0.25, 0.0, 0.75, 1.0)
    assert overlap(left, left) == 1.0
    assert overlap(left, right) == pytest.approx(1 / 3)
    assert overlap(left, Box(0.5, 0.0, 1.0, 1.0)) == 0.0


@pytest.mark.parametrize(
    ("shape", "covered"),
    [
        ((90, 160), Box(0.0, 7 / 32, 1.0, 25 / 32)),
        ((160, 90), Box(7 / 32, 0.0, 25 / 32, 1.0)),
        ((200, 200), Box(0.0, 0.0, 1.0, 1.0)),
        ((1, 2000), Box(0.0, 255 / 512, 1.0, 0.5)),
    ],
)
def test_a_picture_is_centred_on_grey(shape: tuple[int, int], covered: Box) -> None:
    square, frame = letterbox(np.full((*shape, 3), 255, np.uint8), 512)
    assert frame == covered
    inside = np.zeros((512, 512), np.bool_)
    inside[round(frame.y0 * 512) : round(frame.y1 * 512), round(frame.x0 * 512) : round(frame.x1 * 512)] = (
        True
    )
    assert (square[inside] == 255).all() and (square[~inside] == 127).all()


class Replay:
    """A session that answers with one prepared pair of heat map and sides after the other."""

    info = SessionInfo("replay", "test", 1, (Port("images", (1, 512, 512, 3), np.dtype(np.float32)),), ())

    def __init__(self, *answers: tuple[Floats, Floats]) -> None:
        self._answers = iter(answers)

    def run(
        self, inputs: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str] | None = None
    ) -> tuple[npt.NDArray[Any], ...]:
        assert inputs["images"].shape == (1, 512, 512, 3) and inputs["images"].dtype == np.float32
        heat, sides = next(self._answers)
        return heat[None], sides[None]


def test_boxes_are_fractions_of_the_picture_not_of_the_square() -> None:
    answers = heat_map((16, 20, CAR, 0.5), (3, 16, DOG, 0.9), (8, 8, DOG, 0.6))
    dog, car = ObjectDetector(Replay(answers))(
        IMAGE
    )  # 160 x 90: rows 7 to 25 of 32; what lies outside is dropped
    assert (car.label, car.box) == (CAR, Box(18 / 32, 7 / 18, 22 / 32, 11 / 18))
    assert (dog.label, dog.score) == (DOG, pytest.approx(0.6))
    assert dog.box == Box(6 / 32, 0.0, 10 / 32, 3 / 18)


def labels_over_time(*scores: float, kind: Kind = "object") -> list[list[str]]:
    channel = ObjectsChannel(ObjectDetector(Replay(*(heat_map((10, 10, CAR, s)) for s in scores))))
    looks = [channel.observe(Frame(IMAGE, i * 10**9, i), period_ns=10**9) for i in range(len(scores))]
    return [[o.label for o in seen if o.kind == kind] for seen in looks]


def test_a_weak_detection_counts_only_where_the_object_stood() -> None:
    car: list[str] = ["car"]
    assert labels_over_time(0.3, 0.5, 0.3, 0.3, 0.22, 0.3) == [[], car, car, car, [], []]


def test_what_does_not_count_is_kept_as_faint() -> None:
    car: list[str] = ["car"]
    assert labels_over_time(0.3, 0.5, 0.22, 0.1, kind="faint") == [car, [], car, []]
    heat = heat_map((12, 4, CAR, 0.8), (12, 20, CAR, 0.25), (20, 4, DOG, 0.22), (20, 20, DOG, 0.27))
    channel = ObjectsChannel(ObjectDetector(Replay(heat)))
    rows = channel.observe(Frame(IMAGE, 0, 0), period_ns=5)
    assert [(o.kind, o.label, o.count, round(o.score, 2)) for o in rows] == [
        ("object", "car", 1, 0.8),
        ("faint", "dog", 1, 0.27),
    ]


def test_another_stream_begins_without_memory() -> None:
    answers = (heat_map((12, 10, CAR, score)) for score in (0.9, 0.3, 0.3))
    channel = ObjectsChannel(ObjectDetector(Replay(*answers)))
    frame = Frame(IMAGE, 0, 0)
    assert len(channel.observe(frame, period_ns=1)) == 1
    assert len(channel.observe(frame, period_ns=1)) == 1
    channel.reset()
    assert [o.kind for o in channel.observe(frame, period_ns=1)] == ["faint"]


def test_one_row_per_label_with_all_its_boxes() -> None:
    heat = heat_map((12, 4, CAR, 0.5), (12, 20, CAR, 0.8), (20, 4, DOG, 0.6))
    channel = ObjectsChannel(ObjectDetector(Replay(heat)))
    rows = channel.observe(Frame(IMAGE, 7, 0, wall_ns=99), period_ns=5)
    assert [(o.label, o.count, len(o.boxes)) for o in rows] == [("car", 2, 2), ("dog", 1, 1)]
    assert rows[0].score == pytest.approx(0.8)
    assert (rows[0].span.start_ns, rows[0].span.end_ns, rows[0].wall_ns) == (7, 12, 99)


def counts(store: ModelStore, clip: Path, label: str, *, every_s: float) -> list[int]:
    """How many instances of ``label`` the channel counts in frames ``every_s`` apart."""
    channel = objects_channel(store, threads=2)
    found = []
    with open_source(clip) as source:
        for frame in source.frames(fps=1 / every_s, max_side=960):
            seen = channel.observe(frame, period_ns=int(every_s * 1e9))
            rows = {o.label: o for o in seen if o.kind == "object"}
            found.append(rows[label].count if label in rows else 0)
    return found


@pytest.mark.packs
def test_people_come_and_go_in_a_room(store: ModelStore, test_data: Path) -> None:
    """Counted by eye: who stands in the room every ten seconds."""
    clip = test_data / "video/intel_one-by-one-person-detection.mp4"
    assert counts(store, clip, "person", every_s=10) == [0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1, 1, 0, 1]


@pytest.mark.packs
def test_bottles_on_a_table(store: ModelStore, test_data: Path) -> None:
    """Counted by eye every four seconds; at 32 s one is being lifted away: 2 and 3 are right."""
    clip = test_data / "video/intel_bottle-detection.mp4"
    found = counts(store, clip, "bottle", every_s=4)
    assert found[8] in (2, 3)
    assert found[:8] + found[9:] == [3, 3, 2, 3, 3, 1, 2, 3, 3]


@pytest.mark.packs
@pytest.mark.parametrize("clip", ["talking/grid_bbaf2n.mpg", "talking/vretalk_4.mp4", "video/asl/book.mkv"])
def test_one_person_talking(store: ModelStore, test_data: Path, clip: str) -> None:
    assert set(counts(store, test_data / clip, "person", every_s=0.5)) == {1}
