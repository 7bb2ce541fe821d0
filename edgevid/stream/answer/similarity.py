"""One text embedder per store, loaded at the first question that needs it; None when its pack is "
"missing."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from edgevid.core.errors import MissingPartError

if TYPE_CHECKING:
    from edgevid.models.embed import TextEmbedder
    from edgevid.models.store import ModelStore


@lru_cache(maxsize=2)
def embedder(store: ModelStore) -> TextEmbedder | None:
    """The embedder of the installed text-vector pack."""
    from edgevid.models.embed import TextEmbedder

    try:
        return TextEmbedder(store)
    except MissingPartError:
        return None
