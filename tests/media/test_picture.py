from __future__ import annotations

import struct
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from av.video.frame import VideoFrame

from edgevid.media.picture import Matrix, PictureConverter, clockwise_degrees, fit, scale_rgb, turn
from edgevid.media.picture_header import declared_size

_BT601 = (0.299, 0.114)
_BT709 = (0.2126, 0.0722)

_QUARTER_TURNS: list[Matrix] = [(a, 0, 0, d) for a, d in product((1, -1), repeat=2)] + [
    (0, b, c, 0) for b, c in product((1, -1), repeat=2)
]


@pytest.mark.parametrize("matrix", _QUARTER_TURNS)
def test_turning_moves_every_pixel_where_the_matrix_says(matrix: Matrix) -> None:
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    a, b, c, d = matrix
    turned = turn(image, matrix)
    assert turned.flags.c_contiguous
    places = {(x, y): (a * x + c * y, b * x + d * y) for y in range(2) for x in range(3)}
    left, top = min(x for x, _ in places.values()), min(y for _, y in places.values())
    for (x, y), (to_x, to_y) in places.items():
        assert np.array_equal(turned[to_y - top, to_x - left], image[y, x])


def test_clockwise_degrees() -> None:
    assert [clockwise_degrees(m) for m in ((1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0))] == [
        0,
        90,
        180,
        270,
    ]


@pytest.mark.parametrize(
    ("size", "max_side", "aspect", "want"),
    [
        ((1920, 1080), None, 1.0, (1920, 1080)),
        ((1920, 1080), 512, 1.0, (512, 288)),
        ((1080, 1920), 512, 1.0, (288, 512)),
        ((320, 240), 512, 1.0, (320, 240)),
        ((720, 576), 512, 64 / 45, (512, 288)),
        ((720, 480), 640, 8 / 9, (640, 480)),
        ((100, 100), 50, 1000.0, (50, 50)),
        ((9000, 1), 512, 1.0, (512, 1)),
    ],
)
def test_sizes_to_scale_to(
    size: tuple[int, int], max_side: int | None, aspect: float, want: tuple[int, int]
) -> None:
    assert fit(*size, max_side=max_side, pixel_aspect=aspect) == want


def _yuv_frame(
    y: int, u: int, v: int, *, form: str, colorspace: int, color_range: int, height: int = 64
) -> VideoFrame:
    depth = 10 if "10" in form else 8
    frame = VideoFrame(64, height, form)
    for plane, value in zip(frame.planes, (y, u, v)):
        item = np.uint16 if depth == 10 else np.uint8
        data = np.full(plane.buffer_size // np.dtype(item).itemsize, value << (depth - 8), dtype=item)
        plane.update(data.tobytes())
    frame.colorspace = colorspace
    frame.color_range = color_range
    return frame


def _formula(y: int, u: int, v: int, *, weights: tuple[float, float], full: bool) -> npt.NDArray[np.float64]:
    """R'G'B' of ITU-R BT.601 / BT.709 8-bit codes."""
    kr, kb = weights
    luma = y / 255 if full else (y - 16) / 219
    cb, cr = ((u - 128) / (255 if full else 224), (v - 128) / (255 if full else 224))
    red, blue = luma + 2 * (1 - kr) * cr, luma + 2 * (1 - kb) * cb
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    return np.clip(np.array([red, green, blue]), 0, 1) * 255


@pytest.mark.parametrize(
    "codes", [(16, 128, 128), (235, 128, 128), (120, 90, 170), (81, 90, 240), (145, 54, 34)]
)
@pytest.mark.parametrize("form", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("colorspace", "weights"), [(1, _BT709), (5, _BT601), (6, _BT601), (9, (0.2627, 0.0593))]
)
def test_colours_follow_the_stated_matrix_and_range(
    codes: tuple[int, int, int], form: str, full: bool, colorspace: int, weights: tuple[float, float]
) -> None:
    frame = _yuv_frame(*codes, form=form, colorspace=colorspace, color_range=2 if full else 1)
    got = PictureConverter().convert(frame)
    assert np.abs(got - _formula(*codes, weights=weights, full=full)).max() <= 3.0


@pytest.mark.parametrize(("height", "weights"), [(576, _BT601), (720, _BT709)])
def test_unstated_colours_depend_on_the_size(height: int, weights: tuple[float, float]) -> None:
    frame = _yuv_frame(81, 90, 240, form="yuv420p", colorspace=2, color_range=0, height=height)
    got = PictureConverter().convert(frame)
    assert np.abs(got - _formula(81, 90, 240, weights=weights, full=False)).max() <= 3.0


@pytest.mark.parametrize("form", ["rgb24", "bgra", "gbrp", "rgb48le", "rgba"])
def test_rgb_formats_come_through_unchanged(form: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (33, 47, 3), dtype=np.uint8)
    frame = VideoFrame.from_ndarray(image, format="rgb24").reformat(format=form)
    assert np.abs(PictureConverter().convert(frame).astype(int) - image).max() <= 1


def test_grey_pictures_have_equal_channels() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    frame = VideoFrame.from_ndarray(grey, format="gray")
    frame.color_range = 2
    got = PictureConverter().convert(frame)
    assert np.abs(got.astype(int) - grey[..., None]).max() <= 1


def test_scaling_averages_areas() -> None:
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    image[:, ::2] = 200
    small = scale_rgb(image, 16, 16)
    assert small.shape == (16, 16, 3)
    assert np.abs(small.astype(int) - 100).max() <= 2


def _jpeg(width: int, height: int) -> bytes:
    app = b"\xff\xe0\x00\x10" + b"JFIF\0" + bytes(9)
    return b"\xff\xd8" + app + b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\0"


@pytest.mark.parametrize(
    "head",
    [
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 300, 200),
        b"GIF89a" + struct.pack("<HH", 300, 200),
        b"BM" + bytes(16) + struct.pack("<ii", 300, -200),
        _jpeg(300, 200),
        b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + struct.pack("<HBHB", 299, 0, 199, 0),
        b"RIFF\0\0\0\0WEBPVP8L" + bytes(4) + b"\x2f" + struct.pack("<I", 299 | 199 << 14),
        b"RIFF\0\0\0\0WEBPVP8 " + bytes(10) + struct.pack("<HH", 300, 200),
    ],
)
def test_declared_sizes_are_read_and_short_heads_are_no_error(head: bytes) -> None:
    assert declared_size(head) == (300, 200)
    for cut in range(len(head)):
        assert declared_size(head[:cut]) in (None, (300, 200))
