"""Retrieval of edgevid's KV cache in Hugging Face models.

Importing this registers the attention implementation ``"edgevid"``; its other half is
:class:`~edgevid.integrations.transformers.cache.RetrievalCache`. See docs/TRANSFORMERS.md.

Raises:
    MissingPartError: torch or transformers is not installed.
"""

from __future__ import annotations

from edgevid.core.errors import MissingPartError

try:
    from edgevid.integrations.transformers.attention import register
    from edgevid.integrations.transformers.cache import RetrievalCache
except ImportError as error:
    raise MissingPartError(
        f"{error.name} is not installed", fix="pip install torch 'transformers>=5.23'"
    ) from error

register()

__all__ = ["RetrievalCache"]
