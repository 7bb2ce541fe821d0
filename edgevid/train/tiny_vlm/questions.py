"""Questions about a stream, in words, with their answers and the rows that hold them.

What tells the row from others comes last, so that the word that looks for it is the word that answers: asked
before, it has to be carried there first, which took training longest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgevid.train.tiny_vlm.world import CELLS, COLOURS, NO_STAR, SHAPES, TEXTURES, Stream

Family = Literal["colour", "place", "after", "when", "star"]
FAMILIES: tuple[Family, ...] = ("colour", "place", "after", "when", "star")
"""``colour``, ``place``: of a shape at a second. ``after``: the scene that followed a scene, as COIN asks for
the step after a step. ``when``: the second of a star, the needle; ``star``: where a needle was."""

_PLACES = (
    *("northwest", "north", "northeast"),
    *("west", "middle", "east"),
    *("southwest", "south", "southeast"),
)


@dataclass(frozen=True, slots=True)
class Question:
    """``prompt + answer`` is what the model was trained on; the answer stands in the row ``row`` of
    ``second``: a cell, or the whole frame."""

    family: Family
    prompt: str
    answer: str
    second: int
    row: int


def ask(rng: np.random.Generator, stream: Stream, family: Family | None = None) -> Question | None:
    """A random question; None when the stream holds nothing the family could ask about."""
    family = family or FAMILIES[rng.integers(len(FAMILIES))]
    return _ASKERS[family](rng, stream)


def second_name(second: int) -> str:
    """The word for a second, one token of its own (a time token, as Vid2Seq's, arXiv 2302.14115)."""
    return f"<{second:03d}>"


def _second(stream: Stream, t: int) -> str:
    return second_name(stream.start_s + t)


def _scene(index: int) -> str:
    colour, texture = divmod(int(index), len(TEXTURES))
    return f"{COLOURS[colour][0]} {TEXTURES[texture]}"


def _question(family: Family, text: str, answer: str, second: int, row: int) -> Question:
    return Question(family, f"\n{text}", answer, second, row)


def _ask_colour(rng: np.random.Generator, stream: Stream) -> Question:
    t, shape = int(rng.integers(len(stream))), int(rng.integers(len(SHAPES)))
    colour = COLOURS[stream.colour[t, shape]][0]
    text = f"what colour was the {SHAPES[shape]} at second {_second(stream, t)}"
    return _question("colour", text, f" {colour}", stream.start_s + t, int(stream.cell[t, shape]))


def _ask_place(rng: np.random.Generator, stream: Stream) -> Question:
    t, shape = int(rng.integers(len(stream))), int(rng.integers(len(SHAPES)))
    text = f"where was the {SHAPES[shape]} at second {_second(stream, t)}"
    return _question(
        "place", text, f" {_PLACES[stream.cell[t, shape]]}", stream.start_s + t, int(stream.cell[t, shape])
    )


def _ask_after(rng: np.random.Generator, stream: Stream) -> Question | None:
    changes = np.flatnonzero(np.diff(stream.scene)) + 1
    shown, times = np.unique(stream.scene[np.r_[0, changes]], return_counts=True)
    once = [t for t in changes if stream.scene[t - 1] in shown[times == 1]]
    if not once:
        return None
    t = int(rng.choice(once))
    text = f"which scene came after {_scene(stream.scene[t - 1])}"
    return _question("after", text, f" {_scene(stream.scene[t])}", stream.start_s + t, CELLS)


def _ask_when(rng: np.random.Generator, stream: Stream) -> Question:
    t = int(rng.choice(np.flatnonzero(stream.star_colour != NO_STAR)))
    text = f"when was the star in {COLOURS[stream.star_colour[t]][0]}"
    return _question("when", text, _second(stream, t), stream.start_s + t, int(stream.star_cell[t]))


def _ask_star(rng: np.random.Generator, stream: Stream) -> Question:
    t = int(rng.choice(np.flatnonzero(stream.star_colour != NO_STAR)))
    text = f"where was the star in {COLOURS[stream.star_colour[t]][0]}"
    return _question(
        "star", text, f" {_PLACES[stream.star_cell[t]]}", stream.start_s + t, int(stream.star_cell[t])
    )


_ASKERS: dict[Family, Callable[[np.random.Generator, Stream], Question | None]] = {
    "colour": _ask_colour,
    "place": _ask_place,
    "after": _ask_after,
    "when": _ask_when,
    "star": _ask_star,
}
