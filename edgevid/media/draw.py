"""Drawing on an RGB picture in place: filled and outlined rectangles, and text in the project's bitmap font.

Positions are whole pixels from the top left; what lies outside the picture is cut off.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevid.media.font import GLYPH_ROWS, text_columns, text_mask

Canvas = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

BOX_COLOURS: tuple[Colour, ...] = (
    (94, 200, 255),
    (255, 159, 67),
    (126, 231, 135),
    (255, 121, 198),
    (255, 234, 92),
    (178, 148, 255),
)
"""Told apart at a glance; one for each label in a picture, then from the first again."""


def fill(canvas: Canvas, x0: int, y0: int, x1: int, y1: int, colour: Colour, *, opacity: float = 1.0) -> None:
    """Paint ``[x0, x1) x [y0, y1)``; with ``opacity`` below 1 what was there shines through."""
    area = canvas[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)]
    mixed = area * (1.0 - opacity) + np.array(colour, dtype=np.float32) * opacity
    area[:] = np.rint(mixed).astype(np.uint8)


def outline(
    canvas: Canvas, x0: int, y0: int, x1: int, y1: int, colour: Colour, *, thickness: int = 2
) -> None:
    """Draw the border of ``[x0, x1) x [y0, y1)`` inside it."""
    t = thickness
    fill(canvas, x0, y0, x1, y0 + t, colour)
    fill(canvas, x0, y1 - t, x1, y1, colour)
    fill(canvas, x0, y0, x0 + t, y1, colour)
    fill(canvas, x1 - t, y0, x1, y1, colour)


def text(canvas: Canvas, x: int, y: int, words: str, colour: Colour, *, scale: int = 2) -> None:
    """Write one line with its top left at (x, y); capitals are ``7 * scale`` pixels tall."""
    ink = text_mask(words).repeat(scale, axis=0).repeat(scale, axis=1)
    top, left = max(0, -y), max(0, -x)
    area = canvas[max(0, y) : max(0, y + ink.shape[0]), max(0, x) : max(0, x + ink.shape[1])]
    area[ink[top : top + area.shape[0], left : left + area.shape[1]]] = colour


def text_width(words: str, *, scale: int = 2) -> int:
    """Pixels ``text`` covers from left to right."""
    return text_columns(words) * scale


def text_height(*, scale: int = 2) -> int:
    """Pixels ``text`` covers from the top of capitals to the bottom of descenders."""
    return GLYPH_ROWS * scale


def wrap(words: str, width: int, *, scale: int = 2, most: int | None = None) -> list[str]:
    """Break ``words`` into lines of at most ``width`` pixels; past ``most`` lines the last one ends in
    ``...``.
    """
    lines: list[str] = []
    line = ""
    for word in words.split():
        longer = f"{line} {word}" if line else word
        if text_width(longer, scale=scale) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        line = shorten(word, width, scale=scale)
    if line:
        lines.append(line)
    if most is not None and len(lines) > most:
        lines = [*lines[: most - 1], shorten(f"{lines[most - 1]} ...", width, scale=scale, always=True)]
    return lines


def shorten(words: str, width: int, *, scale: int = 2, always: bool = False) -> str:
    """``words`` cut to ``width`` pixels, ending in ``...`` where cut (or ``always``)."""
    if text_width(words, scale=scale) <= width:
        return words
    kept = words.removesuffix(" ...") if always else words
    while kept and text_width(f"{kept}...", scale=scale) > width:
        kept = kept[:-1]
    return f"{kept.rstrip()}..."
