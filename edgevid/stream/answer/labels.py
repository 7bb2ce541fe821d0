"""The labels of the installed packs, as a vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevid.core.errors import MissingPartError
from edgevid.stream.answer.vocabulary import Vocabulary

if TYPE_CHECKING:
    from edgevid.models.store import ModelStore


def load_vocabulary(store: ModelStore) -> Vocabulary:
    """Labels of the object detector, the frame classifier and the sound tagger.

    Without the sound pack its labels are unknown, and questions about sounds are answered as undetectable.
    """
    from edgevid.perception.audio import SOUND_PACK
    from edgevid.perception.classes import class_names
    from edgevid.perception.objects import COCO_LABELS
    from edgevid.perception.yamnet import read_class_names

    try:
        sounds = read_class_names(store.where(SOUND_PACK)["classes.csv"])
    except MissingPartError:
        sounds = ()
    return Vocabulary(objects=COCO_LABELS, classes=class_names(store), sounds=sounds)
