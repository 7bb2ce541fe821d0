"""Writes tiny random llama-family GGUF files: any weight type, tied or not, with bias or RoPE factors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType as Q
from gguf import GGUFWriter
from gguf.quants import quantize

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class TinyModel:
    """Shape and kind of a tiny model; the default has the proportions of SmolLM2 (9 heads over 3)."""

    arch: str = "llama"
    weight_type: Q = Q.F32
    layers: int = 2
    hidden: int = 256
    heads: int = 8
    kv_heads: int = 2
    ff: int = 512
    vocab: int = 320
    context: int = 512
    tied: bool = True
    bias: bool = False
    rope_factors: bool = False
    rope_base: float = 10000.0
    seed: int = 0

    @property
    def head_dim(self) -> int:
        return self.hidden // self.heads


def write_tiny(path: Path, model: TinyModel) -> Path:
    """Write ``model`` with random weights to ``path``."""
    rng = np.random.default_rng(model.seed)
    writer = GGUFWriter(path, model.arch)
    writer.add_block_count(model.layers)
    writer.add_context_length(model.context)
    writer.add_embedding_length(model.hidden)
    writer.add_feed_forward_length(model.ff)
    writer.add_head_count(model.heads)
    writer.add_head_count_kv(model.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(model.rope_base)
    _add_byte_tokenizer(writer, model.vocab)
    for name, shape in _shapes(model).items():
        if len(shape) == 1:
            writer.add_tensor(name, _vector(rng, name, shape[0]))
        else:
            data = random_weight(rng, shape, model.weight_type)
            writer.add_tensor(name, data, raw_dtype=model.weight_type)
    if model.rope_factors:
        writer.add_tensor("rope_freqs.weight", llama3_factors(model.rope_base, model.head_dim))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def llama3_factors(base: float, head_dim: int, *, factor: float = 8.0, context: int = 64) -> Array:
    """Llama 3.1's divisors of the rotation frequencies (low 1, high 4), for a short original context."""
    wavelength = 2 * np.pi * base ** (np.arange(0, head_dim, 2) / head_dim)
    smooth = np.clip((context / wavelength - 1.0) / 3.0, 0.0, 1.0)
    return (1.0 / ((1 - smooth) / factor + smooth)).astype(np.float32)


def random_weight(rng: np.random.Generator, shape: tuple[int, ...], kind: Q) -> Array:
    """Weights of standard deviation about ``cols ** -0.5``, as the bytes of ``kind``."""
    rows, cols = shape
    if kind in (Q.Q4_K, Q.Q6_K):
        return _random_k_blocks(rng, rows, cols, kind)
    values = (rng.standard_normal(shape) * cols**-0.5).astype(np.float32)
    return quantize(values, kind)


def _random_k_blocks(rng: np.random.Generator, rows: int, cols: int, kind: Q) -> Array:
    """Blocks of random bits under small scales: the gguf package reads K types but does not write them."""
    bytes_per_block = 144 if kind == Q.Q4_K else 210
    blocks = rng.integers(0, 256, (rows, cols // 256, bytes_per_block), dtype=np.uint8)
    scale = cols**-0.5
    if kind == Q.Q4_K:  # w = d * scale * q - dmin * min; scales and mins up to 63, q up to 15
        blocks[..., 0:2] = _f16_bytes(scale / 140)
        blocks[..., 2:4] = _f16_bytes(scale / 19)
    else:  # w = d * scale * (q - 32); scales up to 127
        blocks[..., 208:210] = _f16_bytes(scale / 1300)
    return blocks.reshape(rows, -1)


def _f16_bytes(value: float) -> Array:
    return np.array([value], dtype=np.float16).view(np.uint8)


def _vector(rng: np.random.Generator, name: str, size: int) -> Array:
    centre = 1.0 if "norm" in name else 0.0
    return (centre + 0.1 * rng.standard_normal(size)).astype(np.float32)


def _shapes(m: TinyModel) -> dict[str, tuple[int, ...]]:
    q, kv = m.heads * m.head_dim, m.kv_heads * m.head_dim
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (m.vocab, m.hidden),
        "output_norm.weight": (m.hidden,),
    }
    if not m.tied:
        shapes["output.weight"] = (m.vocab, m.hidden)
    for i in range(m.layers):
        block: dict[str, tuple[int, ...]] = {
            "attn_norm.weight": (m.hidden,),
            "attn_q.weight": (q, m.hidden),
            "attn_k.weight": (kv, m.hidden),
            "attn_v.weight": (kv, m.hidden),
            "attn_output.weight": (m.hidden, q),
            "ffn_norm.weight": (m.hidden,),
            "ffn_gate.weight": (m.ff, m.hidden),
            "ffn_up.weight": (m.ff, m.hidden),
            "ffn_down.weight": (m.hidden, m.ff),
        }
        if m.bias:
            block |= {"attn_q.bias": (q,), "attn_k.bias": (kv,), "attn_v.bias": (kv,)}
        shapes |= {f"blk.{i}.{name}": shape for name, shape in block.items()}
    return shapes


def _add_byte_tokenizer(writer: GGUFWriter, vocab: int) -> None:
    """GPT-2's 256 byte tokens, then control tokens; no merges beyond one."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    chars = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    controls = names + [f"<|extra_{i}|>" for i in range(vocab - 256 - 1 - len(names))]
    tokens = [chars[b] for b in range(256)] + ["th", *controls]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * 257 + [3] * len(controls))
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(257)
    writer.add_eos_token_id(259)
    writer.add_add_bos_token(False)
