"""An annotated overview of a video: a grid of frames with times, boxes and tags, and what was said below."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import UsageError
from edgevid.core.nouns import NS_PER_S, Frame, Kind, Observation
from edgevid.media import draw
from edgevid.media.draw import Canvas, Colour
from edgevid.media.picture import scale_rgb

_PAGE: Colour = (18, 21, 27)
_CARD: Colour = (31, 36, 45)
_INK: Colour = (236, 239, 244)
_BLACK: Colour = (0, 0, 0)
_KIND_COLOUR: dict[Kind, Colour] = {
    "object": (94, 200, 255),
    "class": (160, 174, 255),
    "text": (255, 209, 102),
    "sound": (232, 146, 255),
    "cut": (255, 120, 120),
    "speech": (126, 231, 135),
}
_MARGIN = 16
_PADDING = 10
_LINE = draw.text_height() + 6
_TAG_LINES = 2  # per kind
_SPEECH_LINES = 3  # per utterance
_STRIP_LINES = 8  # per row of frames
_BULLET = 8


@dataclass(frozen=True, slots=True)
class Cell:
    """One frame and what is known of its moment (rows of the timeline that cover it)."""

    frame: Frame
    observations: tuple[Observation, ...] = ()


def contact_sheet(
    cells: Sequence[Cell], *, columns: int = 4, cell_width: int = 400, title: str = ""
) -> npt.NDArray[np.uint8]:
    """Draw ``cells`` in reading order; returns uint8 [height, width, 3] RGB.

    Errors: UsageError without cells.
    """
    if not cells or columns < 1 or cell_width < 80:
        raise UsageError(
            "a contact sheet needs a frame, a column and 80 pixels per cell", fix="check the source"
        )
    columns = min(columns, len(cells))
    rows = [_Row(cells[i : i + columns], cell_width) for i in range(0, len(cells), columns)]
    width = columns * (cell_width + _MARGIN) + _MARGIN
    top = _MARGIN + (draw.text_height(scale=3) + _MARGIN if title else 0)
    canvas = np.empty((top + sum(row.height(width) + _MARGIN for row in rows), width, 3), dtype=np.uint8)
    canvas[:] = _PAGE
    if title:
        draw.text(canvas, _MARGIN, _MARGIN, draw.shorten(title, width - 2 * _MARGIN, scale=3), _INK, scale=3)
    for row in rows:
        row.draw(canvas, top)
        top += row.height(width) + _MARGIN
    return canvas


def clock(time_ns: int) -> str:
    """``1:02:03.4`` style time, hours only where needed."""
    tenths = round(time_ns * 10 / NS_PER_S)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"


class _Row:
    """Cells side by side, as tall as the tallest of them, and a strip with what was said."""

    def __init__(self, cells: Sequence[Cell], cell_width: int) -> None:
        self._cells = cells
        self._cell_width = cell_width
        self._pictures = [_thumbnail(cell.frame.image, cell_width) for cell in cells]
        self._tags = [_tag_lines(cell, cell_width - 2 * _PADDING - _BULLET - 8) for cell in cells]
        self._picture_height = max(int(p.shape[0]) for p in self._pictures)
        most = max(len(lines) for lines in self._tags)
        self._cell_height = self._picture_height + (2 * _PADDING + most * _LINE if most else 0)
        said = {(o.span.start_ns, o.label): o for c in cells for o in c.observations if o.kind == "speech"}
        self._said = [said[key] for key in sorted(said)]

    def height(self, width: int) -> int:
        """Pixels from the top of the cells to the bottom of the strip, on a page ``width`` wide."""
        lines = len(self._speech_lines(width))
        return self._cell_height + (_PADDING * 2 + lines * _LINE if lines else 0)

    def draw(self, canvas: Canvas, top: int) -> None:
        """Draw the row with its upper edge at ``top``."""
        for number, cell in enumerate(self._cells):
            left = _MARGIN + number * (self._cell_width + _MARGIN)
            draw.fill(canvas, left, top, left + self._cell_width, top + self._cell_height, _CARD)
            picture = self._pictures[number]
            _draw_boxes(picture, cell.observations)
            _draw_time(picture, cell.frame.pts_ns)
            height, width, _ = picture.shape
            x = left + (self._cell_width - width) // 2
            y = top + (self._picture_height - height) // 2
            canvas[y : y + height, x : x + width] = picture
            y = top + self._picture_height + _PADDING
            for colour, line in self._tags[number]:
                if colour is not None:
                    draw.fill(
                        canvas, left + _PADDING, y + 3, left + _PADDING + _BULLET, y + 3 + _BULLET, colour
                    )
                draw.text(canvas, left + _PADDING + _BULLET + 8, y, line, _INK)
                y += _LINE
        self._draw_speech(canvas, top + self._cell_height)

    def _speech_lines(self, width: int) -> list[tuple[str, str]]:
        """(time or empty, words) per line of the strip."""
        lines = []
        for spoken in self._said:
            stamp = clock(spoken.span.start_ns)
            room = width - 2 * _MARGIN - 3 * _PADDING - draw.text_width(stamp)
            parts = draw.wrap(f'"{spoken.label}"', room, most=_SPEECH_LINES)
            lines += [(stamp if i == 0 else "", part) for i, part in enumerate(parts)]
        return lines if len(lines) <= _STRIP_LINES else [*lines[: _STRIP_LINES - 1], ("", "...")]

    def _draw_speech(self, canvas: Canvas, top: int) -> None:
        width = canvas.shape[1]
        lines = self._speech_lines(width)
        if not lines:
            return
        bottom = top + _PADDING * 2 + len(lines) * _LINE
        draw.fill(canvas, _MARGIN, top + 4, width - _MARGIN, bottom, _CARD)
        draw.fill(canvas, _MARGIN, top + 4, _MARGIN + 4, bottom, _KIND_COLOUR["speech"])
        y = top + _PADDING + 2
        indent = max(draw.text_width(stamp) for stamp, _ in lines) + 2 * _PADDING
        for stamp, words in lines:
            draw.text(canvas, _MARGIN + _PADDING + 4, y, stamp, _KIND_COLOUR["speech"])
            draw.text(canvas, _MARGIN + _PADDING + indent, y, words, _INK)
            y += _LINE


def _thumbnail(image: npt.NDArray[np.uint8], width: int) -> Canvas:
    """``image`` scaled to ``width``, at most as tall as wide; a copy that may be drawn on."""
    factor = width / max(image.shape[0], image.shape[1])
    return scale_rgb(image, max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))


def _tag_lines(cell: Cell, width: int) -> list[tuple[Colour | None, str]]:
    """(colour of the bullet or None, text) per line under a frame."""
    lines: list[tuple[Colour | None, str]] = []
    for kind, colour in _KIND_COLOUR.items():
        labels = [_label(o) for o in cell.observations if o.kind == kind]
        if kind == "speech" or not labels:
            continue
        parts = draw.wrap(", ".join(dict.fromkeys(labels)), width, most=_TAG_LINES)
        lines += [(colour if i == 0 else None, part) for i, part in enumerate(parts)]
    return lines


def _label(seen: Observation) -> str:
    words = f'"{seen.label}"' if seen.kind == "text" else seen.label
    return f"{words} x{seen.count}" if seen.count > 1 else words


def _draw_time(picture: Canvas, time_ns: int) -> None:
    stamp = clock(time_ns)
    right = draw.text_width(stamp) + 16
    draw.fill(picture, 0, 0, right, draw.text_height() + 8, _BLACK, opacity=0.65)
    draw.text(picture, 8, 6, stamp, _INK)


def _draw_boxes(picture: Canvas, observations: Sequence[Observation]) -> None:
    height, width, _ = picture.shape
    for seen in observations:
        if seen.kind not in ("object", "text"):
            continue
        colour = _KIND_COLOUR["text"] if seen.kind == "text" else _box_colour(seen.label)
        for box in seen.boxes:
            x0, y0 = round(box.x0 * width), round(box.y0 * height)
            x1, y1 = max(x0 + 4, round(box.x1 * width)), max(y0 + 4, round(box.y1 * height))
            draw.outline(picture, x0, y0, x1, y1, colour)
            if seen.kind == "object":
                _draw_box_label(picture, x0, y0, seen.label, colour)


def _draw_box_label(picture: Canvas, x: int, y: int, label: str, colour: Colour) -> None:
    height, width = draw.text_height() + 2, draw.text_width(label) + 8
    x = max(0, min(x, picture.shape[1] - width))
    y = y - height if y >= height else y
    draw.fill(picture, x, y, x + width, y + height, colour, opacity=0.85)
    draw.text(picture, x + 4, y + 2, label, _BLACK)


def _box_colour(label: str) -> Colour:
    return draw.BOX_COLOURS[zlib.crc32(label.encode()) % len(draw.BOX_COLOURS)]
