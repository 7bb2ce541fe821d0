"""The visual channels edgevid looks with by default."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from edgevid.core.nouns import KINDS, Kind

if TYPE_CHECKING:
    from edgevid.models.store import ModelStore
    from edgevid.perception.protocols import VisualChannel


def default_channels(
    store: ModelStore, *, threads: int = 1, channels: Collection[Kind] = KINDS
) -> list[VisualChannel]:
    """The visual channels among ``channels``, their models loaded.

    Raises:
        MissingPartError: a pack is not installed; ``fix`` installs it.
        BadModelError: a file of a pack is not the pinned one.
    """
    made: list[VisualChannel] = []
    if "cut" in channels:
        from edgevid.perception.cuts import CutsChannel

        made.append(CutsChannel())
    if "object" in channels:
        from edgevid.perception.objects import objects_channel

        made.append(objects_channel(store, threads=threads))
    if "class" in channels:
        from edgevid.perception.classes import classes_channel

        made.append(classes_channel(store, threads=threads))
    if "text" in channels:
        from edgevid.perception.text import text_channel

        made.append(text_channel(store, threads=threads))
    return made
