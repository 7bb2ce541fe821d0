"""The cache of a Hugging Face model, with retrieval in every layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import Cache, CacheLayerMixin

from edgevid.core.errors import UsageError
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.integrations.transformers.clusters import Clusters
from edgevid.integrations.transformers.layer import LayerConfig, LayerStats, StreamLayer
from edgevid.ops.backend import Backend
from edgevid.ops.dequantize import Floats
from edgevid.ops.paged_attention import KvCache

HANDLE = "edgevid_layer"
"""Attribute of the key tensor that tells the attention function which layer of which cache it belongs to."""

DEFAULT = KVConfig(max_tokens=8192, retrieval=RetrievalConfig(rotated=True))


class RetrievalCache(Cache):  # type: ignore[misc]  # transformers is not typed here
    """``past_key_values`` of one stream for a model with ``attn_implementation="edgevid"``.

    Past ``kv.max_tokens`` the oldest segments are forgotten, the sinks and what is new stay; positions go on
    counting. Tokens can be taken back (``crop(-n)``) while they are not sealed, the newest
    ``kv.retrieval.recent`` of them always. A step that was broken off is taken back by :meth:`rollback`.

    Args:
        config: the model's; its text part is used.
        kv: bounds and retrieval. Codes are made of rotated keys, as the model hands them over.
        f32: keep float32 instead of ``kv.dtype``.
        threads: of attention; 0 = all processors.

    Raises:
        UsageError: ``kv`` has no ``max_tokens`` or no ``retrieval``, or asks for what this door cannot do.
    """

    def __init__(
        self,
        config: Any,
        kv: KVConfig = DEFAULT,
        *,
        f32: bool = False,
        threads: int = 0,
        backend: Backend = "native",
    ) -> None:
        layer = _layer_config(kv, f32)
        text = config.get_text_config(decoder=True)
        heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
        head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        shape = {"num_kv_heads": heads, "head_dim": head_dim}
        layers, per = text.num_hidden_layers, layer.pages
        store = KvCache(
            num_pages=layers * per,
            page_size=kv.page_size,
            dtype=layer.dtype,
            threads=threads,
            backend=backend,
            **shape,
        )

        def stream(index: int) -> StreamLayer:
            clusters = Clusters(layer.retrieval, layer=index, backend=backend, **shape)
            return StreamLayer(store, range(index * per, (index + 1) * per), clusters, layer)

        super().__init__(layers=[_Layer(partial(stream, i), heads, head_dim) for i in range(layers)])

    def update(
        self, key_states: Any, value_states: Any, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Any, Any]:
        """As transformers calls it, layer after layer.

        Raises:
            UsageError: an earlier step was broken off, so that some layers hold its rows and others do not,
                or the model attends by something else than this cache.
        """
        if layer_idx >= len(self.layers):
            raise UsageError(
                f"the cache has {len(self.layers)} layers, the model more", fix="RetrievalCache(model.config)"
            )
        streams = [layer.stream for layer in self.layers]
        before, step = streams[-1].seen, key_states.shape[-2]
        want = [before + step] * layer_idx + [before] * (len(streams) - layer_idx)
        if [stream.seen for stream in streams] != want:
            raise UsageError(
                "a step was broken off, or the model has fewer layers than the cache",
                fix="cache.rollback() takes back what is not whole",
            )
        if [stream.attended for stream in streams] != want:
            raise UsageError(
                "the step before was not attended through edgevid",
                fix='attn_implementation="edgevid", then cache.rollback()',
            )
        return self.layers[layer_idx].update(key_states, value_states)  # type: ignore[no-any-return]

    def rollback(self) -> None:
        """Take back the rows of a step that was broken off, in the layers that have them; else nothing. What
        was sealed or forgotten to make room for it stays so."""
        whole = min(layer.stream.attended for layer in self.layers)
        for layer in self.layers:
            layer.stream.take_back(layer.stream.seen - whole)

    def reorder_cache(self, beam_idx: Any) -> None:
        """UsageError, as the next two: there is one stream."""
        raise _not_a_batch()

    def batch_repeat_interleave(self, repeats: int) -> None:
        raise _not_a_batch()

    def batch_select_indices(self, indices: Any) -> None:
        raise _not_a_batch()

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise UsageError(
            "a RetrievalCache cannot be copied or saved", fix="another RetrievalCache, fed the same tokens"
        )

    def stats(self) -> list[LayerStats]:
        """Per layer, what was attended since the beginning."""
        return [layer.stream.stats for layer in self.layers]


class _Layer(CacheLayerMixin):  # type: ignore[misc]
    """What transformers asks of a layer's cache; ``keys`` and ``values`` stay None."""

    is_sliding = False
    supports_early_init = False

    def __init__(self, make: Callable[[], StreamLayer], heads: int, head_dim: int) -> None:
        super().__init__()
        self._make, self._shape = make, (heads, head_dim)
        self.stream = make()

    def lazy_initialization(self, key_states: Any, value_states: Any) -> None:
        """Nothing is left to do: pages are allocated with the cache."""

    def update(self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        if len(key_states) != 1:
            raise _not_a_batch()
        for states in (key_states, value_states):
            if (states.shape[1], states.shape[3]) != self._shape:
                raise UsageError(
                    f"the model has {states.shape[1]} KV heads of {states.shape[3]}, the cache has "
                    f"{self._shape[0]} of {self._shape[1]}",
                    fix="RetrievalCache(model.config)",
                )
        self.stream.append(rows_of(key_states), rows_of(value_states))
        setattr(key_states, HANDLE, self.stream)
        return key_states, value_states

    def get_seq_length(self) -> int:
        return self.stream.seen

    def get_max_length(self) -> int:
        return -1  # the oldest tokens make room

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.stream.seen + query_length, 0

    def crop(self, tokens_to_remove: int) -> None:
        if tokens_to_remove > 0:
            raise UsageError("crop() takes minus the number of tokens", fix=f"crop(-{tokens_to_remove})")
        self.stream.take_back(-tokens_to_remove)

    def reset(self) -> None:
        self.stream = self._make()


def _not_a_batch() -> UsageError:
    return UsageError("a RetrievalCache holds one stream, not a batch", fix="a cache for each")


def rows_of(states: Any) -> Floats:
    """float32 [rows, heads, head_dim] of a tensor [1, heads, rows, head_dim] on any device.

    Raises:
        UsageError: it is part of a gradient's computation.
    """
    if states.requires_grad:
        raise UsageError("edgevid's attention has no gradient", fix="torch.inference_mode()")
    return np.ascontiguousarray(states[0].transpose(0, 1).to("cpu", torch.float32).numpy())


def _layer_config(kv: KVConfig, f32: bool) -> LayerConfig:
    retrieval = kv.retrieval
    if retrieval is None or kv.max_tokens is None:
        raise UsageError(
            "a RetrievalCache needs bounds and a retrieval",
            fix="KVConfig(max_tokens=8192, retrieval=RetrievalConfig(rotated=True))",
        )
    if not retrieval.rotated:
        raise UsageError("Hugging Face models hand over rotated keys", fix="RetrievalConfig(rotated=True)")
    if retrieval.certify:
        raise UsageError("no bound is computed here", fix="RetrievalConfig(certify=False)")
    if retrieval.mean_clusters or retrieval.max_pages:
        raise UsageError(
            "tables and pages of Hugging Face caches are not bounded",
            fix="RetrievalConfig(mean_clusters=0, max_pages=0)",
        )
    least = kv.sinks + retrieval.segment + retrieval.recent
    if kv.max_tokens <= least:
        raise UsageError(f"max_tokens is {kv.max_tokens}, must exceed sinks + segment + recent ({least})")
    return LayerConfig(kv.page_size, kv.max_tokens, kv.sinks, retrieval, "f32" if f32 else kv.dtype)
