"""Rendered streams with known answers: one frame a second, nine cells, three moving shapes, rare stars.

::

    48 x 48 pixels, 3 x 3 cells of 16 x 16      a scene (background colour x texture) lasts 4-12 s
    +----+----+----+                            square, circle, triangle: always in three different cells;
    |    | sq |    |                            each second one of them may move or change colour
    +----+----+----+                            a star is shown for exactly one second, each colour at most
    | ci |    | st |                            once in a stream: the needle
    +----+----+----+
    |    |    | tr |
    +----+----+----+
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CELL = 16
GRID = 3
CELLS = GRID * GRID
SIDE = CELL * GRID

COLOURS: tuple[tuple[str, tuple[float, float, float]], ...] = (
    ("red", (0.9, 0.1, 0.1)),
    ("green", (0.1, 0.8, 0.1)),
    ("blue", (0.15, 0.25, 0.95)),
    ("yellow", (0.95, 0.9, 0.1)),
    ("purple", (0.65, 0.1, 0.8)),
    ("orange", (1.0, 0.55, 0.05)),
    ("white", (1.0, 1.0, 1.0)),
    ("cyan", (0.1, 0.9, 0.9)),
)
SHAPES = ("square", "circle", "triangle")
TEXTURES = ("plain", "dots", "stripes", "bars", "checks", "slants")
NUM_SCENES = len(COLOURS) * len(TEXTURES)
STAR = len(SHAPES)
NO_STAR = -1
GLANCED = (NUM_SCENES, *[len(COLOURS)] * len(SHAPES), *[CELLS] * len(SHAPES), len(COLOURS) + 1, CELLS + 1)
"""Number of values of each column of ``Stream.facts``."""

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_JITTERS = 16
_NOISE = 0.02  # of full scale: about what a codec leaves


@dataclass(frozen=True, slots=True)
class Stream:
    """What happens in each second; index 0 is second ``start_s``.

    Attributes:
        start_s: the first frame's second.
        scene: [F], background colour * len(TEXTURES) + texture.
        colour, cell: [F, 3], of square, circle, triangle.
        star_colour, star_cell: [F], NO_STAR when there is none.
    """

    start_s: int
    scene: Ints
    colour: Ints
    cell: Ints
    star_colour: Ints
    star_cell: Ints

    def __len__(self) -> int:
        return len(self.scene)

    def facts(self) -> Ints:
        """Everything true of each second, [F, len(GLANCED)]: scene, colours, cells, the star's (0: none)."""
        star = np.stack([self.star_colour, self.star_cell], axis=1) + 1
        return np.concatenate([self.scene[:, None], self.colour, self.cell, star], axis=1)

    def things(self) -> Ints:
        """What is in each cell, [F, CELLS, 2]: 1 + shape (STAR too), 1 + colour; 0, 0 in an empty cell."""
        things = np.zeros((len(self), CELLS, 2), np.int64)
        seconds = np.arange(len(self))
        for shape in range(len(SHAPES)):
            things[seconds, self.cell[:, shape]] = np.stack(
                [np.full(len(self), shape + 1), self.colour[:, shape] + 1], axis=1
            )
        for t in np.flatnonzero(self.star_colour != NO_STAR):
            things[t, self.star_cell[t]] = STAR + 1, self.star_colour[t] + 1
        return things


def draw_stream(rng: np.random.Generator, seconds: int, *, start_s: int = 0, stars: int = 8) -> Stream:
    """A random stream of ``seconds`` frames with at most ``stars`` stars."""
    colour = np.empty((seconds, len(SHAPES)), np.int64)
    cell = np.empty((seconds, len(SHAPES)), np.int64)
    now_colour = rng.integers(len(COLOURS), size=len(SHAPES))
    now_cell = rng.permutation(CELLS)[: len(SHAPES)]
    for t in range(seconds):
        if rng.random() < 0.5:
            which = rng.integers(len(SHAPES))
            if rng.random() < 0.5:
                now_colour[which] = rng.integers(len(COLOURS))
            else:
                now_cell[which] = rng.choice(np.setdiff1d(np.arange(CELLS), now_cell))
        colour[t], cell[t] = now_colour, now_cell
    star_colour, star_cell = _place_stars(rng, cell, stars)
    return Stream(start_s, _draw_scenes(rng, seconds), colour, cell, star_colour, star_cell)


def render(stream: Stream, rng: np.random.Generator) -> Floats:
    """The stream's pictures, float32 [F, CELLS, CELL, CELL, 3] in [0, 1], cells row by row."""
    frames = _BACKGROUNDS[stream.scene][:, None].repeat(CELLS, axis=1)
    seconds = np.arange(len(stream))
    for shape in range(len(SHAPES)):
        _paint(frames, seconds, stream.cell[:, shape], shape, stream.colour[:, shape], rng)
    lit = np.flatnonzero(stream.star_colour != NO_STAR)
    _paint(frames, lit, stream.star_cell[lit], STAR, stream.star_colour[lit], rng)
    frames += rng.standard_normal(frames.shape, dtype=np.float32) * np.float32(_NOISE)
    return np.clip(frames, 0.0, 1.0)


def picture(cells: Floats, *, scale: int = 1) -> npt.NDArray[np.uint8]:
    """One frame's cells as a picture, uint8 [SIDE * scale, SIDE * scale, 3]."""
    rows = cells.reshape(GRID, GRID, CELL, CELL, 3).transpose(0, 2, 1, 3, 4).reshape(SIDE, SIDE, 3)
    return np.round(rows * 255).astype(np.uint8).repeat(scale, axis=0).repeat(scale, axis=1)


def _draw_scenes(rng: np.random.Generator, seconds: int) -> Ints:
    scene = np.empty(seconds, np.int64)
    order: list[int] = []
    t = 0
    while t < seconds:
        if not order:
            order = list(rng.permutation(NUM_SCENES))
        length = int(rng.integers(4, 13))
        scene[t : t + length] = order.pop()
        t += length
    return scene


def _place_stars(rng: np.random.Generator, cell: Ints, stars: int) -> tuple[Ints, Ints]:
    """Each in a second of its own, in a cell that no shape is in."""
    seconds = len(cell)
    colours, cells = np.full(seconds, NO_STAR), np.full(seconds, NO_STAR)
    count = min(stars, len(COLOURS), max(1, seconds // 4))
    times = rng.permutation(seconds)[:count]
    colours[times] = rng.permutation(len(COLOURS))[:count]
    for t in times:
        cells[t] = rng.choice(np.setdiff1d(np.arange(CELLS), cell[t]))
    return colours, cells


def _paint(
    frames: Floats, seconds: Ints, cell: Ints, shape: int, colour: Ints, rng: np.random.Generator
) -> None:
    mask = _MASKS[shape, rng.integers(_JITTERS, size=len(seconds))][..., None]
    frames[seconds, cell] += mask * (_PALETTE[colour][:, None, None, :] - frames[seconds, cell])


def _shape_masks() -> Floats:
    """Coverage of each shape at each jitter, float32 [4, _JITTERS, CELL, CELL]; 4 x 4 samples a pixel."""
    fine = 4 * CELL
    y, x = (np.mgrid[0:fine, 0:fine] + 0.5) / fine * 2 - 1
    rng = np.random.default_rng(0)
    masks = np.empty((STAR + 1, _JITTERS, CELL, CELL), np.float32)
    for jitter in range(_JITTERS):
        u, v = x - rng.uniform(-0.12, 0.12), y - rng.uniform(-0.12, 0.12)
        r = rng.uniform(0.62, 0.78)
        cross = (np.abs(u) < 0.22) | (np.abs(v) < 0.22)
        inside = (
            (np.abs(u) < 0.85 * r) & (np.abs(v) < 0.85 * r),
            u * u + v * v < r * r,
            (v < 0.8 * r) & (np.abs(u) < 0.55 * (v + r)),
            cross & (np.abs(u) < r) & (np.abs(v) < r),
        )
        for shape, covered in enumerate(inside):
            masks[shape, jitter] = covered.reshape(CELL, 4, CELL, 4).mean(axis=(1, 3))
    return masks


def _backgrounds() -> Floats:
    """One cell of each scene, float32 [NUM_SCENES, CELL, CELL, 3]: a dim colour, darker in the texture."""
    y, x = np.mgrid[0:CELL, 0:CELL]
    dark = (
        np.zeros((CELL, CELL), bool),
        ((x % 8) // 3 == 1) & ((y % 8) // 3 == 1),
        (y // 2) % 2 == 0,
        (x // 2) % 2 == 0,
        ((x // 4) + (y // 4)) % 2 == 0,
        ((x + y) // 4) % 2 == 0,
    )
    tiles = [
        0.12 + 0.38 * _PALETTE[c] * np.where(d, 0.35, 1.0)[..., None]
        for c in range(len(COLOURS))
        for d in dark
    ]
    return np.stack(tiles).astype(np.float32)


_PALETTE: Floats = np.array([rgb for _, rgb in COLOURS], np.float32)
_MASKS = _shape_masks()
_BACKGROUNDS = _backgrounds()
