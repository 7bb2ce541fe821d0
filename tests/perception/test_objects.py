from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.core.nouns import Box, Frame
from edgevid.media.source import open_source
from edgevid.models.session import Port, SessionInfo
from edgevid.models.store import ModelStore
from edgevid.perception.objects import (
    COCO_LABELS,
    ObjectDetector,
    ObjectsChannel,
    decode_peaks,
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


def labels_over_time(*scores: float) -> list[list[str]]:
    channel = ObjectsChannel(ObjectDetector(Replay(*(heat_map((10, 10, CAR, s)) for s in scores))))
    return [
        [o.label for o in channel.observe(Frame(IMAGE, i * 10**9, i), period_ns=10**9)]
        for i in range(len(scores))
    ]


def test_a_weak_detection_counts_only_where_the_object_stood() -> None:
    car: list[str] = ["car"]
    assert labels_over_time(0.3, 0.5, 0.3, 0.3, 0.22, 0.3) == [[], car, car, car, [], []]


def test_one_row_per_label_with_all_its_boxes() -> None:
    heat = heat_map((4, 4, CAR, 0.5), (4, 20, CAR, 0.8), (20, 4, DOG, 0.6))
    channel = ObjectsChannel(ObjectDetector(Replay(heat)))
    rows = channel.observe(Frame(IMAGE, 7, 0, wall_ns=99), period_ns=5)
    assert [(o.label, o.count, len(o.boxes)) for o in rows] == [("car", 2, 2), ("dog", 1, 1)]
    assert rows[0].score == pytest.approx(0.8)
    assert (rows[0].span.start_ns, rows[0].span.end_ns, rows[0].wall_ns) == (7, 12, 99)
