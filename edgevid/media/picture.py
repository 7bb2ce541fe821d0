"""One decoded picture -> upright RGB bytes: colour matrix and range, size, rotation. The work is swscale's.

Colours: the matrix and range the stream states; where it states none, limited range, BT.709 from 720 lines
up and BT.601 below (what players assume). HDR transfer curves are not tone-mapped. Alpha is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

# Codes of ITU-T H.273.
_STATED_MATRICES = (1, 4, 5, 6, 7, 9, 10)
_BT709, _BT601 = 1, 5
_LIMITED_RANGE, _FULL_RANGE = 1, 2
_HD_LINES = 720
_HDR_CURVES = {16: "PQ (HDR10)", 18: "HLG"}
_MAX_STRETCH = 4.0

Matrix = tuple[int, int, int, int]
"""(a, b, c, d) of a display matrix, each -1, 0 or 1: x' = a x + c y, y' = b x + d y; y points down."""

UPRIGHT: Matrix = (1, 0, 0, 1)


def display_matrix(frame: VideoFrame) -> Matrix:
    """How the picture must be turned or mirrored to stand upright; quarter turns only, else ``UPRIGHT``."""
    try:
        data = frame.side_data["DISPLAYMATRIX"]  # type: ignore[typeddict-item]
    except (KeyError, ValueError):
        # PyAV cannot list side data when one entry (EXIF) is of a kind it does not know. The angle still
        # works, but tells a mirrored picture from one upside down no more.
        return _from_angle(frame.rotation)
    values = np.frombuffer(bytes(data), dtype=np.int32)
    if values.size < 9:
        return UPRIGHT
    a, b, c, d = (int(np.clip(np.rint(int(values[i]) / 65536), -1, 1)) for i in (0, 1, 3, 4))
    is_quarter_turn = abs(a) == abs(d) and abs(b) == abs(c) and abs(a) + abs(b) == 1
    return (a, b, c, d) if is_quarter_turn else UPRIGHT


def _from_angle(counterclockwise: int) -> Matrix:
    return {90: (0, -1, 1, 0), -90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), -180: (-1, 0, 0, -1)}.get(
        counterclockwise, UPRIGHT
    )


def clockwise_degrees(matrix: Matrix) -> int:
    """Rotation part of ``matrix``: 0, 90, 180 or 270 degrees clockwise (mirroring is not told)."""
    a, b, _, d = matrix
    if a == 0:
        return 90 if b > 0 else 270
    return 180 if a < 0 and d < 0 else 0


def turn(image: npt.NDArray[np.uint8], matrix: Matrix) -> npt.NDArray[np.uint8]:
    """Apply ``matrix`` to a picture [height, width, 3]; the result is C-contiguous."""
    a, b, c, d = matrix
    if a == 0:
        image = image.transpose(1, 0, 2)
        flip_x, flip_y = c < 0, b < 0
    else:
        flip_x, flip_y = a < 0, d < 0
    return np.ascontiguousarray(image[:: -1 if flip_y else 1, :: -1 if flip_x else 1])


def fit(width: int, height: int, *, max_side: int | None, pixel_aspect: float) -> tuple[int, int]:
    """Size to scale a stored picture to.

    Without ``max_side`` the stored size. With it the longer side is at most that, never enlarged, and pixels
    become square (aspects beyond 4:1 are taken for damage and ignored).
    """
    if max_side is None:
        return width, height
    shown_w, shown_h = float(width), float(height)
    if 1 < pixel_aspect <= _MAX_STRETCH:
        shown_w *= pixel_aspect
    elif 1 / _MAX_STRETCH <= pixel_aspect < 1:
        shown_h /= pixel_aspect
    scale = min(1.0, max_side / max(shown_w, shown_h))
    return max(1, round(shown_w * scale)), max(1, round(shown_h * scale))


class PictureConverter:
    """Turns decoded pictures into RGB; keeps swscale's tables from one picture to the next. One thread at a
    time.

    Args:
        max_side: longest side of the result in pixels; None keeps the stored size.
        pixel_aspect: width / height of one stored pixel, used when scaling.
    """

    def __init__(self, *, max_side: int | None = None, pixel_aspect: float = 1.0) -> None:
        from av.video.reformatter import VideoReformatter

        self._scaler = VideoReformatter()
        self._max_side = max_side
        self._pixel_aspect = pixel_aspect
        self._matrices: dict[int, Matrix] = {}

    def convert(self, frame: VideoFrame) -> npt.NDArray[np.uint8]:
        """uint8 [height, width, 3], RGB, upright, C-contiguous.

        Errors: av.error.FFmpegError for odd formats.
        """
        width, height = fit(
            frame.width, frame.height, max_side=self._max_side, pixel_aspect=self._pixel_aspect
        )
        rgb = self._scaler.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            interpolation="AREA",
            src_colorspace=_assumed_matrix(frame),
            src_color_range=_colour_range(frame),
            dst_color_range=_FULL_RANGE,
            threads=1,
        )
        image: npt.NDArray[np.uint8] = rgb.to_ndarray()  # type: ignore[assignment]
        return turn(image, self._matrix_of(frame))

    def _matrix_of(self, frame: VideoFrame) -> Matrix:
        # Looking at side data ties frame and side data into a reference cycle, which keeps the picture's
        # memory until the garbage collector runs: so only once per angle.
        angle = frame.rotation
        if angle not in self._matrices:
            self._matrices[angle] = display_matrix(frame)
        return self._matrices[angle]


def _assumed_matrix(frame: VideoFrame) -> int | None:
    """The matrix to take for a picture that states none; None where it does or needs none."""
    if _is_rgb(frame) or frame.colorspace in _STATED_MATRICES:
        return None
    return _BT709 if frame.height >= _HD_LINES else _BT601


def _colour_range(frame: VideoFrame) -> int:
    full = _is_rgb(frame) or frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj")
    return _FULL_RANGE if full else _LIMITED_RANGE


def _is_rgb(frame: VideoFrame) -> bool:
    return frame.format.is_rgb or frame.format.name.startswith("pal")


def hdr_curve(frame: VideoFrame) -> str | None:
    """Name of the HDR transfer curve of ``frame``, None for ordinary video."""
    return _HDR_CURVES.get(frame.color_trc)


def scale_rgb(image: npt.NDArray[np.uint8], width: int, height: int) -> npt.NDArray[np.uint8]:
    """``image`` [h, w, 3] resized by area averaging; always a new array, C-contiguous."""
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

    frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    scaled = VideoReformatter().reformat(frame, width=width, height=height, interpolation="AREA")
    return np.array(scaled.to_ndarray(), dtype=np.uint8)
