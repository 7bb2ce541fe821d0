"""The newest frame of a session as JPEG, with boxes around what is seen in it."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from edgevid.core.nouns import Observation
from edgevid.media import draw
from edgevid.media.draw import Canvas, Colour

_QUALITY = 5  # MJPEG quantiser, 2 (best) to 31
_INK: Colour = (12, 14, 18)


def encode_jpeg(image: npt.NDArray[np.uint8]) -> bytes:
    """JPEG file contents of uint8 [height, width, 3] RGB; odd sizes lose their last row or column."""
    from av.codec import CodecContext
    from av.video.frame import VideoFrame

    height, width = (side // 2 * 2 or 1 for side in image.shape[:2])
    encoder = CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.qmin = encoder.qmax = _QUALITY
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
    packets = [*encoder.encode(frame.reformat(format="yuvj420p")), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


def with_boxes(image: npt.NDArray[np.uint8], seen: Iterable[Observation]) -> npt.NDArray[np.uint8]:
    """A copy of uint8 [height, width, 3] RGB with every box of ``seen`` outlined and named."""
    canvas = image.copy()
    colours: dict[str, Colour] = {}
    for o in seen:
        colour = colours.setdefault(o.label, draw.BOX_COLOURS[len(colours) % len(draw.BOX_COLOURS)])
        for box in o.boxes:
            _draw_box(canvas, (box.x0, box.y0, box.x1, box.y1), o.label, colour)
    return canvas


def _draw_box(canvas: Canvas, box: tuple[float, float, float, float], label: str, colour: Colour) -> None:
    height, width = canvas.shape[:2]
    x0, y0, x1, y1 = (round(v * side) for v, side in zip(box, (width, height, width, height), strict=True))
    draw.outline(canvas, x0, y0, x1, y1, colour, thickness=2)
    words = draw.shorten(label, width // 2, scale=1)
    tall = draw.text_height(scale=1) + 4
    top = y0 - tall if y0 >= tall else y0
    draw.fill(canvas, x0, top, x0 + draw.text_width(words, scale=1) + 6, top + tall, colour)
    draw.text(canvas, x0 + 3, top + 2, words, _INK, scale=1)
