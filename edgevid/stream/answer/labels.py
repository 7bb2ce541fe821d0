"""The labels of the installed packs, as a vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevid.stream.answer.vocabulary import Vocabulary

if TYPE_CHECKING:
    from edgevid.models.store import ModelStore


def load_vocabulary(store: ModelStore) -> Vocabulary:
    """Labels of the object detector, the frame classifier and the sound tagger that are installed."""
    raise NotImplementedError
