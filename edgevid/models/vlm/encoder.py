"""Frames -> the embedding rows that a video language model was trained to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgevid.core.nouns import Frame
from edgevid.models.llm import LanguageModel
from edgevid.models.session import Session
from edgevid.models.vlm.preprocess import FrameRecipe
from edgevid.models.vlm.prompt import Conversation
from edgevid.models.vlm.resize import Picture

Floats = npt.NDArray[np.float32]
FrameRows = Literal["full", "pooled"]
"""``full``: every row of the connector, as the model was trained. ``pooled``: 10 rows, see ``pooled``."""

_CELLS = 3


@dataclass(frozen=True, slots=True)
class VisionPart:
    """A tower with its connector, ready to run.

    Attributes:
        rows: that a picture becomes; the last ``square ** 2`` of them lie row by row on its grid.
    """

    session: Session
    recipe: FrameRecipe
    rows: int
    square: int

    def __call__(self, image: Picture) -> Floats:
        """float32 [rows, hidden] of an RGB picture uint8 [height, width, 3]."""
        (rows,) = self.session.run({"pixels": self.recipe(image)})
        return np.asarray(rows, np.float32)


class FrameEncoder:
    """A ``VisionEncoder``: the rows of a frame between the marks its family expects, with its time.

    Args:
        keep: how many of the picture's rows go to the model.
    """

    def __init__(
        self, vision: VisionPart, model: LanguageModel, conversation: Conversation, *, keep: FrameRows
    ) -> None:
        self._vision = vision
        self._model = model
        self._conversation = conversation
        self._keep = keep
        self.name = f"vision tower, {vision.rows if keep == 'full' else 1 + _CELLS**2} rows a frame"

    def __call__(self, frame: Frame) -> Floats:
        """float32 [marks + rows, hidden]."""
        rows = self._vision(frame.image)
        if self._keep == "pooled":
            rows = pooled(rows, self._vision.square)
        before, after = self._conversation.frame_marks(frame.pts_ns)
        parts = [self._model.embed(ids) for ids in (before, after) if ids]
        parts.insert(1, rows)
        return np.concatenate(parts)


def pooled(rows: Floats, square: int) -> Floats:
    """float32 [10, hidden]: the mean of all, then of each cell of a 3 x 3 grid, row by row.

    It is the rate of a streaming model (10 tokens a frame), for models that were not trained so: what they
    lose by it is not known. A grid of fewer than 3 rows a side stays as it is.
    """
    if square < _CELLS:
        return rows
    grid = rows[-(square**2) :].reshape(square, square, -1)
    bands = [band for strip in np.array_split(grid, _CELLS) for band in np.array_split(strip, _CELLS, axis=1)]
    cells = [grid, *bands]
    return np.stack([cell.mean(axis=(0, 1)) for cell in cells]).astype(np.float32)
