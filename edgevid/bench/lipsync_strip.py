"""Original and dubbed mouths side by side, with what is said and how wide open they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgevid.bench.lipsync_watch import SIDE, Film, Look
from edgevid.core.nouns import NS_PER_S
from edgevid.lipsync.mouth_shape import measure
from edgevid.media import draw
from edgevid.media.draw import Canvas, Colour
from edgevid.media.png import write_png

_PAGE: Colour = (18, 21, 27)
_INK: Colour = (236, 239, 244)
_DIM: Colour = (140, 148, 160)
_GAP = 6
_LINE = draw.text_height(scale=1) + 4
_LABELS = 3 * _LINE
_CELL = 2 * SIDE + _LABELS + 2 * _GAP


def strip(film: Film, looks: Sequence[Look], *, columns: int = 12) -> npt.NDArray[np.uint8]:
    """Of each of ``looks`` its own mouth above the drawn one, and below: second and sound; opening asked for
    and drawn; opening of the original, all in widths of the neutral mouth. uint8 RGB, rows of ``columns``.
    """
    rows = max(-(-len(looks) // columns), 1)
    top = _LINE + _GAP
    page = np.empty((top + rows * _CELL, columns * (SIDE + _GAP) + _GAP, 3), np.uint8)
    page[:] = _PAGE
    title = f"{film.name}: own mouth above, dubbed below"
    draw.text(page, _GAP, _GAP, draw.shorten(title, page.shape[1] - 2 * _GAP, scale=1), _INK, scale=1)
    for i, look in enumerate(looks):
        row, column = divmod(i, columns)
        _cell(page, film, look, x=_GAP + column * (SIDE + _GAP), y=top + row * _CELL)
    return page


def write_strip(path: Path, film: Film, *, start_s: float = 0.0, count: int = 24) -> None:
    """The first ``count`` drawn frames of ``film`` from ``start_s`` on, as a PNG."""
    looks = [look for look in film.looks if look.pts_ns >= start_s * NS_PER_S]
    write_png(path, strip(film, looks[:count]))


def _cell(page: Canvas, film: Film, look: Look, *, x: int, y: int) -> None:
    page[y : y + SIDE, x : x + SIDE] = look.own
    page[y + SIDE : y + 2 * SIDE, x : x + SIDE] = look.drawn
    own, drawn = (measure(lips, film.speaker)[0] for lips in (look.own_lips, look.drawn_lips))
    y += 2 * SIDE + _GAP // 2
    said = film.phoneme_at(look.pts_ns) or "-"
    for words, colour in (
        (f"{look.pts_ns / NS_PER_S:.2f} s  /{_ascii(said)}/", _INK),
        (f"asked {look.asked:.2f} drawn {drawn:.2f}", _INK),
        (f"own {own:.2f}", _DIM),
    ):
        draw.text(page, x, y, words, colour, scale=1)
        y += _LINE


def _ascii(symbol: str) -> str:
    """IPA in the letters the font has: others as in X-SAMPA."""
    return "".join(_SAMPA.get(c, c) for c in symbol if ord(c) < 128 or c in _SAMPA)


_SAMPA = dict(zip("ɾβðɣθʃʒɲʎŋɛɔəɪʊɑæʌɹʝɡɜ", "4BDGTSZJLNEO@IUA{Vrj\\g3".replace("\\", ""), strict=True))
