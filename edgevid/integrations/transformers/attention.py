"""The attention implementation ``"edgevid"``: what a model calls after it has updated its cache."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import causal_mask_function

from edgevid.core.errors import UsageError
from edgevid.integrations.transformers.cache import HANDLE, rows_of

NAME = "edgevid"
CHANGES = ("sliding_window", "softcap", "s_aux", "position_bias", "block_indices")
"""Options of transformers that would change what attention computes."""

ROLLBACK = "without it; cache.rollback() takes the step back"


def register() -> None:
    """Make the implementation known to transformers."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, no_mask)


def attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    scaling: float | None = None,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[Any, None]:
    """``query`` [1, heads, rows, head_dim], ``key`` as :class:`RetrievalCache` returned it; the result is
    [1, rows, heads, head_dim].

    Raises:
        UsageError: the model has another cache, or wants another kind of attention.
    """
    stream = getattr(key, HANDLE, None)
    if stream is None:
        raise UsageError(
            'attn_implementation="edgevid" works on its own cache',
            fix="past_key_values=RetrievalCache(model.config)",
        )
    changed = [name for name in CHANGES if options.get(name) is not None]
    if changed or dropout or attention_mask is not None:
        what = ", ".join([*changed, *["dropout"] * bool(dropout)]) or "a mask of the caller"
        raise UsageError(f"edgevid's attention is causal and plain, without {what}", fix=ROLLBACK)
    if options.get("is_causal") is False:
        raise UsageError("edgevid's attention is causal, this model's is not", fix=ROLLBACK)
    if options.get("output_attentions"):
        raise UsageError("weights of attention are never whole here to be given out", fix=ROLLBACK)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    out = torch.from_numpy(stream.attend(rows_of(query), scale=scale))
    return out[None].to(query.device, query.dtype), None


def no_mask(*, mask_function: Any, attention_mask: Any = None, **_: Any) -> None:
    """No mask is made: rows see what came before them.

    Raises:
        UsageError: the model asks for another mask, or a prompt is padded.
    """
    if mask_function is not causal_mask_function:
        raise UsageError("edgevid's attention is causal and plain, without windows or blocks")
    if attention_mask is not None and not bool(attention_mask.all()):
        raise UsageError("a stream has no padding", fix="prompts one by one, without padding")
