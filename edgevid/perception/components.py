"""Connected components of a binary map, as boxes; numpy only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def component_boxes(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """Boxes ``(x0, y0, x1, y1)``, ends exclusive, of the 8-connected components of ``mask`` [h, w].

    Rows are cut into runs; runs of neighbouring rows that touch are joined (union-find). Cost grows with the
    number of runs, not of pixels.
    """
    parents: list[int] = []
    boxes: list[list[int]] = []
    above: list[tuple[int, int, int]] = []
    for y, row in enumerate(mask):
        here: list[tuple[int, int, int]] = []
        for x0, x1 in _runs(row):
            own = len(parents)
            parents.append(own)
            boxes.append([x0, y, x1, y + 1])
            for a0, a1, other in above:
                if a0 <= x1 and x0 <= a1:
                    _join(parents, boxes, own, other)
            here.append((x0, x1, own))
        above = here
    return [(b[0], b[1], b[2], b[3]) for i, b in enumerate(boxes) if parents[i] == i]


def _runs(row: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], row.astype(np.int8), [0]))))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _root(parents: list[int], index: int) -> int:
    while parents[index] != index:
        parents[index] = parents[parents[index]]
        index = parents[index]
    return index


def _join(parents: list[int], boxes: list[list[int]], a: int, b: int) -> None:
    a, b = _root(parents, a), _root(parents, b)
    if a == b:
        return
    parents[a] = b
    kept, gone = boxes[b], boxes[a]
    boxes[b] = [
        min(kept[0], gone[0]),
        min(kept[1], gone[1]),
        max(kept[2], gone[2]),
        max(kept[3], gone[3]),
    ]
