"""Pictures to the size a network takes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def resize(image: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """uint8 RGB [h, w, 3] to [height, width, 3]: area averaging when it shrinks, bilinear when it grows."""
    import av

    if image.shape[:2] == (height, width):
        return image
    shrinks = image.shape[0] * image.shape[1] > height * width
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    scaled = frame.reformat(width=width, height=height, interpolation="AREA" if shrinks else "BILINEAR")
    return np.asarray(scaled.to_ndarray(format="rgb24"), np.uint8)
