"""Single pictures: read any format, write PNG."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import UsageError
from edgevid.core.limits import MediaLimits
from edgevid.media.atomic import write_whole
from edgevid.media.picture import PictureConverter
from edgevid.media.sequence import read_picture

_DEFAULT_LIMITS = MediaLimits()


def read_image(
    path: str | Path, *, max_side: int | None = None, limits: MediaLimits = _DEFAULT_LIMITS
) -> npt.NDArray[np.uint8]:
    """The first picture of a file, uint8 [height, width, 3] RGB, upright; scaled to ``max_side`` if given.

    Errors: BadInputError, LimitError, naming the file.
    """
    return PictureConverter(max_side=max_side).convert(read_picture(Path(path), limits=limits))


def write_png(path: str | Path, image: npt.NDArray[np.uint8]) -> None:
    """Write uint8 [height, width, 3] RGB as PNG, atomically. Errors: UsageError for another shape or type."""
    write_whole(path, encode_png(image))


def encode_png(image: npt.NDArray[np.uint8]) -> bytes:
    """PNG file contents of uint8 [height, width, 3] RGB. Errors: UsageError for another shape or type."""
    from av.codec import CodecContext
    from av.video.frame import VideoFrame

    check_rgb(image)
    height, width, _ = image.shape
    encoder = CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "rgb24"
    encoder.time_base = Fraction(1, 1)
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


def check_rgb(image: npt.NDArray[np.uint8]) -> None:
    """Raise UsageError unless ``image`` is uint8 [height, width, 3] with at least one pixel."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise UsageError(
            f"a picture of type {image.dtype}, shape {list(image.shape)} cannot be used",
            fix="give uint8 [height, width, 3] in RGB",
        )
