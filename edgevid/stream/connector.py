"""Frames as embedding rows without a trained connector: the "label-connector (demo)".

A classifier's posterior over class names, times the language model's own token embeddings of those names, is
one soft token per picture region (closed form, nothing trained)::

    rows[r] = sum_c p[r, c] * mean_t embed(tokens(name_c))[t]

It gives a decoder real frames at the rate a video LLM would see them (10 rows a frame), so that its latency
and its KV cache can be measured. What the model then says describes nothing and is never shown as if it did.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edgevid.core.nouns import Frame
from edgevid.models.llm import LanguageModel

Floats = npt.NDArray[np.float32]

_TOP = 10  # classes that make up a row; the tail of a posterior over 1000 names is noise


class VisionEncoder(Protocol):
    """Turns a frame into embedding rows of a language model."""

    def __call__(self, frame: Frame) -> Floats:
        """float32 [rows, hidden]."""


class RegionClassifier(Protocol):
    """A classifier of the whole frame and its crops."""

    @property
    def names(self) -> Sequence[str]:
        """Class names in index order."""

    def posteriors(self, image: npt.NDArray[np.uint8]) -> Floats:
        """float32 [regions, classes], rows sum to 1."""


class LabelConnector:
    """The closed-form encoder above."""

    name = "label-connector (demo)"

    def __init__(self, classifier: RegionClassifier, model: LanguageModel) -> None:
        self._classifier = classifier
        self._names = np.stack(
            [model.embed(model.tokenize(" " + name.split(",")[0])).mean(axis=0) for name in classifier.names]
        )

    def __call__(self, frame: Frame) -> Floats:
        """float32 [10, hidden]: the whole frame, then its 3 x 3 crops row by row."""
        posterior = self._classifier.posteriors(frame.image)
        weakest = np.partition(posterior, -_TOP, axis=1)[:, -_TOP, None]
        kept = np.where(posterior >= weakest, posterior, 0.0)
        weights = kept / kept.sum(axis=1, keepdims=True)
        return np.ascontiguousarray(weights @ self._names, dtype=np.float32)
