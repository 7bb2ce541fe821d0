from __future__ import annotations

import numpy as np
import pytest

from edgevid.core.errors import UsageError
from edgevid.core.nouns import NS_PER_S, Box, Frame, Observation, TimeSpan
from edgevid.media import draw
from edgevid.media.contact_sheet import Cell, clock, contact_sheet
from edgevid.media.font import glyph, text_columns, text_mask, to_ascii

_GREEN = (126, 231, 135)


def _frame(time_s: float, *, width: int = 320, height: int = 180) -> Frame:
    return Frame(np.full((height, width, 3), 90, dtype=np.uint8), round(time_s * NS_PER_S), 0)


def _seen(kind: str, label: str, *boxes: Box, at_s: float = 0.0) -> Observation:
    span = TimeSpan(round(at_s * NS_PER_S), round((at_s + 1) * NS_PER_S))
    return Observation(kind, label, span, 0.9, len(boxes) or 1, boxes)  # type: ignore[arg-type]


def test_every_ascii_character_has_its_own_shape() -> None:
    shapes = {glyph(chr(code)).tobytes() + bytes(glyph(chr(code)).shape) for code in range(33, 127)}
    assert len(shapes) == 94
    assert all(glyph(chr(code)).any() for code in range(33, 127))
    assert not glyph(" ").any()


def test_text_becomes_drawable() -> None:
    assert to_ascii("Señor “Müller” – 10×2…") == 'Senor "Muller" - 10x2...'
    assert to_ascii("日本\tx") == "?? x"
    for words in ("", "a", "Wii jj 0123", "é"):
        assert text_mask(words).shape == (9, text_columns(words))


def test_wrapping_fits_and_keeps_every_word() -> None:
    words = "the quick brown fox jumps over the lazy dog again and again"
    lines = draw.wrap(words, 150)
    assert " ".join(lines) == words
    assert all(draw.text_width(line) <= 150 for line in lines)
    short = draw.wrap(words, 150, most=2)
    assert len(short) == 2
    assert short[-1].endswith("...")
    assert draw.text_width(short[-1]) <= 150
    assert draw.text_width(draw.wrap("x" * 200, 100)[0]) <= 100


def test_drawing_stays_inside_the_picture() -> None:
    canvas = np.zeros((20, 20, 3), dtype=np.uint8)
    draw.text(canvas, -5, -4, "Clip", (255, 255, 255))
    draw.text(canvas, 15, 12, "Clip", (255, 255, 255))
    draw.text(canvas, 50, 50, "Clip", (255, 255, 255))
    draw.outline(canvas, -3, -3, 40, 40, (255, 0, 0))
    draw.fill(canvas, 5, 5, 500, 6, (0, 0, 255), opacity=0.5)
    assert canvas.any()
    assert canvas[5, 19, 2] == 128


def test_text_is_drawn_pixel_for_pixel() -> None:
    canvas = np.zeros((40, 200, 3), dtype=np.uint8)
    draw.text(canvas, 3, 5, "A?g", (10, 20, 30), scale=3)
    ink = text_mask("A?g").repeat(3, axis=0).repeat(3, axis=1)
    assert np.array_equal((canvas[5 : 5 + 27, 3 : 3 + ink.shape[1]] == (10, 20, 30)).all(axis=2), ink)
    assert (canvas.any(axis=2)).sum() == ink.sum()


@pytest.mark.parametrize(
    ("time_s", "text"), [(0, "0:00.0"), (59.96, "1:00.0"), (61.25, "1:01.2"), (3723.4, "1:02:03.4")]
)
def test_times(time_s: float, text: str) -> None:
    assert clock(round(time_s * NS_PER_S)) == text


def test_the_grid_has_the_size_its_cells_need() -> None:
    sheet = contact_sheet([Cell(_frame(i)) for i in range(5)], columns=3, cell_width=160)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (16 + 2 * (90 + 16), 16 + 3 * (160 + 16), 3)
    assert contact_sheet([Cell(_frame(0))], columns=4, cell_width=160).shape[1] == 16 + 176


def test_tags_and_speech_add_lines_and_colours() -> None:
    plain = contact_sheet([Cell(_frame(i)) for i in range(4)])
    cells = [
        Cell(_frame(i), (_seen("object", "person"), _seen("sound", "music"), _seen("speech", "hello there")))
        for i in range(4)
    ]
    tagged = contact_sheet(cells)
    assert tagged.shape[0] > plain.shape[0] + 60
    assert (tagged == _GREEN).all(axis=2).sum() > 20
    assert (plain == _GREEN).all(axis=2).sum() == 0


def test_boxes_lie_where_the_observation_says() -> None:
    box = Box(0.25, 0.5, 0.75, 1.0)
    sheet = contact_sheet([Cell(_frame(0), (_seen("object", "cat", box),))], cell_width=400)
    colour = tuple(int(v) for v in sheet[16 + 112 + 30, 16 + 100])
    left, right = 16 + 100, 16 + 300 - 1
    assert tuple(int(v) for v in sheet[16 + 112 + 60, right]) == colour
    assert tuple(int(v) for v in sheet[16 + 225 - 1, left + 40]) == colour
    assert tuple(int(v) for v in sheet[16 + 112 + 60, left + 60]) == (90, 90, 90)


def test_boxes_and_labels_at_the_rim_and_odd_shapes_are_fine() -> None:
    rim = (Box(0.0, 0.0, 0.001, 0.001), Box(0.999, 0.999, 1.0, 1.0), Box(0.0, 0.0, 1.0, 1.0))
    for width, height in ((4, 300), (300, 4), (1, 1), (1000, 1000)):
        contact_sheet([Cell(_frame(0, width=width, height=height), (_seen("object", "x" * 90, *rim),))])


def test_nothing_to_draw_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        contact_sheet([])
