"""The SmolLM2 of the pack as a transformers model in float32, dequantised by the gguf package."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tests.models.torch_llama import TorchLlama

LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def load_smollm2(path: Path) -> LlamaForCausalLM:
    """With eager attention."""
    source = TorchLlama(path)
    meta = source.meta
    config = LlamaConfig(
        vocab_size=len(source.weights["token_embd.weight"]),
        hidden_size=int(meta["llama.embedding_length"]),
        intermediate_size=int(meta["llama.feed_forward_length"]),
        num_hidden_layers=source.layers,
        num_attention_heads=source.heads,
        num_key_value_heads=source.kv_heads,
        head_dim=source.head_dim,
        max_position_embeddings=int(meta["llama.context_length"]),
        rms_norm_eps=source.eps,
        rope_parameters={"rope_type": "default", "rope_theta": float(meta["llama.rope.freq_base"])},
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM._from_config(config, attn_implementation="eager").eval()
    names = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
    for i in range(source.layers):
        names |= {f"blk.{i}.{a}.weight": f"model.layers.{i}.{b}.weight" for a, b in LAYER.items()}
    weights = {name: _in_halves(ggml, source) for ggml, name in names.items()}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert set(missing) <= {"lm_head.weight"} and not unexpected
    return model


def _in_halves(name: str, source: TorchLlama) -> torch.Tensor:
    """GGUF keeps the two dims of a rotary pair side by side, transformers half a head apart."""
    weight = source.weights[name]
    if ".attn_q." not in name and ".attn_k." not in name:
        return weight
    pairs = weight.reshape(-1, source.head_dim // 2, 2, weight.shape[1])
    return pairs.transpose(1, 2).reshape(weight.shape)
