"""Small models with random weights, twice: with their own eager attention and with edgevid's."""

from __future__ import annotations

import copy
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.integrations.transformers import RetrievalCache

VOCAB = 97


def llama_config(**options: Any) -> LlamaConfig:
    """Three query heads to a KV head; weights large enough that attention decides."""
    shape = {
        "vocab_size": VOCAB,
        "hidden_size": 96,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 20,
        "max_position_embeddings": 1024,
        "initializer_range": 0.15,
    }
    return LlamaConfig(**{**shape, **options})


def pair(config: Any, kind: type[PreTrainedModel] = LlamaForCausalLM) -> tuple[Any, Any]:
    """``(eager, edgevid)`` with the same weights."""
    torch.manual_seed(0)
    eager = kind._from_config(copy.deepcopy(config), attn_implementation="eager").eval()
    ours = kind._from_config(copy.deepcopy(config), attn_implementation="edgevid").eval()
    ours.load_state_dict(eager.state_dict())
    return eager, ours


def ids(count: int, seed: int = 1) -> torch.Tensor:
    """int64 [1, count]."""
    return torch.randint(0, VOCAB, (1, count), generator=torch.Generator().manual_seed(seed))


def small_kv(*, max_tokens: int = 700, **options: Any) -> KVConfig:
    """Segments of 32 after 16 sinks, sealed once 16 tokens are newer."""
    settings = {"segment": 32, "recent": 16, "rotated": True, "min_sealed": 0, "dense_share": 1.0}
    return KVConfig(
        page_size=16, max_tokens=max_tokens, sinks=16, retrieval=RetrievalConfig(**{**settings, **options})
    )


def fresh(model: Any, **options: Any) -> RetrievalCache:
    """An empty cache in float32 that chooses."""
    return RetrievalCache(model.config, small_kv(**{"mass": 0.9, **options}), f32=True)


def streamed(model: Any, tokens: Any, cache: Any, steps: list[int]) -> Any:
    """Logits [n, vocab] of the tokens, fed in steps."""
    parts = torch.split(tokens[:, : sum(steps)], steps, dim=1)
    with torch.inference_mode():
        return torch.cat([model(part, past_key_values=cache).logits[0] for part in parts])
