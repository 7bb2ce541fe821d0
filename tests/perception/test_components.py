from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevid.perception.components import component_boxes

Mask = npt.NDArray[np.bool_]


def flood_boxes(mask: Mask) -> list[tuple[int, int, int, int]]:
    """The same boxes, found pixel by pixel."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    boxes = []
    while left:
        reached, waiting = set(), [left.pop()]
        while waiting:
            y, x = waiting.pop()
            reached.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            waiting.extend(near)
        ys, xs = zip(*reached)
        boxes.append((min(xs), min(ys), max(xs) + 1, max(ys) + 1))
    return boxes


@given(st.integers(0, 2**32 - 1), st.integers(1, 24), st.integers(1, 24), st.floats(0, 1))
def test_agrees_with_flood_fill(seed: int, height: int, width: int, density: float) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < density
    assert sorted(component_boxes(mask)) == sorted(flood_boxes(mask))


def from_picture(*rows: str) -> Mask:
    return np.array([[c == "#" for c in row] for row in rows])


@pytest.mark.parametrize(
    ("mask", "boxes"),
    [
        (from_picture("...", "..."), []),
        (from_picture("###", "###"), [(0, 0, 3, 2)]),
        (from_picture("#.#", ".#.", "#.#"), [(0, 0, 3, 3)]),
        (from_picture("#.#", "#.#", "###"), [(0, 0, 3, 3)]),
        (from_picture("#..#", "#..#"), [(0, 0, 1, 2), (3, 0, 4, 2)]),
        (from_picture("#####", "#...#", "#.#.#", "#...#", "#####"), [(0, 0, 5, 5), (2, 2, 3, 3)]),
        (np.zeros((0, 5), np.bool_), []),
        (np.zeros((5, 0), np.bool_), []),
    ],
    ids=[
        "empty",
        "full",
        "corners touch",
        "arms join below",
        "apart",
        "one in another",
        "no rows",
        "no columns",
    ],
)
def test_known_shapes(mask: Mask, boxes: list[tuple[int, int, int, int]]) -> None:
    assert sorted(component_boxes(mask)) == boxes
