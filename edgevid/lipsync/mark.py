"""The visible mark of a dub, for who passes pictures on without the file's own tag."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevid.media import draw

MARK = "AI-dubbed"
_INK, _GROUND = (255, 255, 255), (0, 0, 0)
_OPACITY = 0.55
_ROWS_PER_SCALE = 300  # of the picture for each pixel of the letters' strokes

Image = npt.NDArray[np.uint8]


def marked(image: Image) -> Image:
    """A copy of uint8 RGB ``image`` [h, w, 3] with the mark in its lower right corner; what does not fit into
    a tiny picture is cut off."""
    out = np.ascontiguousarray(image).copy()
    height, width = out.shape[:2]
    scale = max(1, round(height / _ROWS_PER_SCALE))
    pad = 3 * scale
    left = width - draw.text_width(MARK, scale=scale) - 3 * pad
    top = height - draw.text_height(scale=scale) - 3 * pad
    draw.fill(out, left, top, width - pad, height - pad, _GROUND, opacity=_OPACITY)
    draw.text(out, left + pad, top + pad, MARK, _INK, scale=scale)
    return out
