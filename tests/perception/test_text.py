"""Screen text: the parts around the networks on made data, and the networks on lines drawn here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.core.nouns import Box, Frame, Kind
from edgevid.media import draw
from edgevid.media.source import open_source
from edgevid.models.store import ModelStore
from edgevid.perception.scaling import resize
from edgevid.perception.text import Line, TextChannel, join_words, text_boxes, text_channel

Picture = npt.NDArray[np.uint8]
WORDS = (
    "Exit 42 North", "SALE ends Friday", "www.example.org", "Room 3.14", "Hello, world!", "Gate B12 boarding",
    "TAXI", "STOP", "Track 7 to Lyon", "15:45 Departure", "Breaking news tonight", "No parking",
    "Total 128.50 EUR", "Press any key", "Camera 2",
)  # fmt: skip


def test_a_region_becomes_a_box_grown_back() -> None:
    probability = np.zeros((64, 128), np.float32)
    probability[20:30, 40:80] = 0.9
    (box,) = text_boxes(probability)
    grow = 5 * 20 * 1.6 / (2 * 25)  # at half resolution; twice that at both ends
    assert box == Box((20 - 2 * grow) / 64, (10 - grow) / 32, (40 + 2 * grow) / 64, (15 + grow) / 32)


def test_faint_and_tiny_regions_are_no_text() -> None:
    probability = np.zeros((64, 128), np.float32)
    probability[20:30, 40:80] = 0.45
    probability[50:52, 10:14] = 0.9
    assert list(text_boxes(probability)) == []
    assert list(text_boxes(np.full((64, 128), np.nan, np.float32))) == []


def test_lines_come_from_top_to_bottom_and_stay_in_the_picture() -> None:
    probability = np.zeros((96, 96), np.float32)
    for top in (80, 0, 40):
        probability[top : top + 16, 0:96] = 0.9
    boxes = list(text_boxes(probability))
    assert [box.y0 for box in boxes] == sorted(box.y0 for box in boxes) and len(boxes) == 3
    assert all(0 <= b.x0 < b.x1 <= 1 and 0 <= b.y0 < b.y1 <= 1 for b in boxes)


def test_the_largest_24_lines_are_kept() -> None:
    probability = np.zeros((640, 96), np.float32)
    for i in range(32):
        probability[i * 20 : i * 20 + 8, 0 : 20 + 2 * i] = 0.9
    boxes = list(text_boxes(probability))
    assert len(boxes) == 24 and boxes[0].y0 > 7 * 20 / 640


@pytest.mark.parametrize(
    ("second", "joined"),
    [
        (Box(0.31, 0.1, 0.5, 0.2), True),
        (Box(0.28, 0.11, 0.5, 0.19), True),
        (Box(0.36, 0.1, 0.5, 0.2), False),
        (Box(0.31, 0.15, 0.5, 0.25), False),
        (Box(0.31, 0.1, 0.5, 0.5), False),
        (Box(0.1, 0.21, 0.3, 0.31), False),
    ],
    ids=["beside", "touching", "too far", "half a line lower", "much taller", "below"],
)
def test_words_beside_each_other_are_one_line(second: Box, joined: bool) -> None:
    first = Box(0.1, 0.1, 0.3, 0.2)
    for boxes in ([first, second], [second, first]):
        lines = join_words(boxes, aspect=1.0)
        assert len(lines) == (1 if joined else 2)
        if joined:
            assert lines == [Box(0.1, min(0.1, second.y0), 0.5, max(0.2, second.y1))]


class Counting:
    """A reader that says what it is told and counts how often it is asked."""

    def __init__(self, *lines: Line) -> None:
        self.lines = list(lines)
        self.asked = 0

    def __call__(self, image: Picture) -> list[Line]:
        self.asked += 1
        return self.lines


def observe(channel: TextChannel, image: Picture, at_ns: int = 0, *, kind: Kind = "text") -> list[str]:
    return [o.label for o in channel.observe(Frame(image, at_ns, 0), period_ns=10) if o.kind == kind]


def say(text: str, score: float = 0.95) -> Line:
    return Line(text, score, Box(0.1, 0.1, 0.5, 0.2))


def test_only_believable_lines_are_kept() -> None:
    lines = (
        say("EXIT"),
        say("42"),
        say("X"),
        say("--"),
        say("doubtful", 0.8),
        say("abc", 0.8),
        say("dark", 0.5),
    )
    black = np.zeros((90, 160, 3), np.uint8)
    assert observe(TextChannel(Counting(*lines)), black) == ["EXIT", "42"]
    assert observe(TextChannel(Counting(*lines)), black, kind="faint") == ["doubtful"]


def test_rows_span_the_period_and_carry_box_and_clock() -> None:
    channel = TextChannel(Counting(say("EXIT")))
    frame = Frame(np.zeros((90, 160, 3), np.uint8), 7, 0, wall_ns=99)
    (row,) = channel.observe(frame, period_ns=10)
    assert (row.kind, row.span.start_ns, row.span.end_ns, row.wall_ns) == ("text", 7, 17, 99)
    assert row.boxes == (Box(0.1, 0.1, 0.5, 0.2),) and row.score == 0.95


def noisy(image: Picture, seed: int) -> Picture:
    noise = np.random.default_rng(seed).normal(0, 3, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def test_a_picture_that_did_not_change_is_not_read_again() -> None:
    still = backdrop(3)
    reader = Counting(say("EXIT"))
    channel = TextChannel(reader)
    for i in range(10):
        assert observe(channel, noisy(still, i), i * 10) == ["EXIT"]
    assert reader.asked == 1
    changed = still.copy()
    draw.text(changed, 200, 150, "NEW", (255, 255, 255), scale=2)
    observe(channel, changed)
    assert reader.asked == 2


def test_slow_change_is_noticed() -> None:
    """Compared is the last picture that was read, not the last one seen."""
    reader = Counting()
    channel = TextChannel(reader)
    for level in range(100, 140):
        observe(channel, np.full((90, 160, 3), level, np.uint8))
    assert 4 <= reader.asked <= 8


def backdrop(seed: int, height: int = 360, width: int = 640) -> Picture:
    blocks = np.random.default_rng(seed).integers(0, 160, (5, 8, 3), dtype=np.uint8)
    return resize(blocks, height, width).copy()


def written(seed: int, *, scale: int, height: int = 360, width: int = 640) -> tuple[Picture, list[str]]:
    """A picture with up to four lines in the project's bitmap font, white on dark colours."""
    image, lines, y = backdrop(seed, height, width), [], 10
    for words in np.random.default_rng(seed).permutation(WORDS):
        if draw.text_width(words, scale=scale) > width - 20:
            continue
        if len(lines) == 4 or y + draw.text_height(scale=scale) > height:
            break
        draw.text(image, 10, y, words, (255, 255, 255), scale=scale)
        lines.append(str(words))
        y += int(draw.text_height(scale=scale) * 1.8)
    return image, lines


@pytest.fixture(scope="module")
def channel(store: ModelStore) -> TextChannel:
    return text_channel(store, threads=2)


@pytest.mark.packs
@pytest.mark.parametrize(
    ("scale", "height", "at_least"),
    [(1, 360, 0.85), (2, 360, 0.9), (3, 360, 0.9), (2, 720, 0.9), (3, 720, 0.9)],
)
def test_lines_drawn_here_are_read(channel: TextChannel, scale: int, height: int, at_least: float) -> None:
    """Capitals 7 to 21 pixels tall; docs/model_cards/ppocr.md has the figures."""
    right = wrong = total = 0
    for seed in range(5):
        image, lines = written(seed, scale=scale, height=height, width=height * 16 // 9)
        found = observe(channel, image)
        right += len(set(found) & set(lines))
        wrong += len(set(found) - set(lines))
        total += len(lines)
    assert right / total >= at_least
    assert wrong / total <= 1 - at_least


@pytest.mark.packs
@pytest.mark.parametrize(
    "image",
    [
        np.zeros((360, 640, 3), np.uint8),
        np.full((360, 640, 3), 255, np.uint8),
        np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8),
        backdrop(5),
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((3, 2000, 3), np.uint8),
        np.zeros((2000, 1, 3), np.uint8),
    ],
    ids=["black", "white", "noise", "blobs", "one pixel", "flat", "narrow"],
)
def test_where_nothing_is_written_nothing_is_read(channel: TextChannel, image: Picture) -> None:
    assert observe(channel, image) == []


@pytest.mark.packs
@pytest.mark.parametrize(
    ("name", "at_s", "lines"),
    [
        ("bikes.mp4", 3.0, ["TAXI"]),
        ("big_buck_bunny_0_30.webm", 22.0, ["THE PEACH OPEN MOVIE PROJECT", "PRESENTS"]),
        ("chaplin.mp4", 4.0, []),
        ("carphone.mp4", 2.0, []),
        ("intel_one-by-one-person-detection.mp4", 5.0, []),
    ],
)
def test_text_in_real_clips(
    channel: TextChannel, test_data: Path, name: str, at_s: float, lines: list[str]
) -> None:
    with open_source(test_data / "video" / name) as source:
        frame = next(source.frames(fps=1, start_s=at_s, max_side=1280))
    assert observe(channel, frame.image) == lines
