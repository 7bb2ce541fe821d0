"""The text half of a checkpoint as a GGUF file that the native decoder (and llama.cpp) loads.

Llama checkpoints rotate the two halves of each head against each other, GGUF's ``llama`` neighbouring values:
the rows of the query and key projections are reordered. Weights keep their type; vectors become F32, as GGUF
has them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import MissingPartError
from edgevid.models.vlm.checkpoint import Checkpoint
from edgevid.models.vlm.fields import Fields
from edgevid.models.vlm.safetensors import widened
from edgevid.models.vlm.tokenizer_gguf import TokenizerTable

if TYPE_CHECKING:
    from gguf import GGUFWriter

_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_BIASED = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
_MAX_LAYERS = 1024


@dataclass(frozen=True, slots=True)
class _Defaults:
    """What transformers takes for fields that a config.json leaves out."""

    ff: int
    vocab: int
    context: int


_DEFAULTS = {"llama": _Defaults(11008, 32000, 2048), "qwen2": _Defaults(22016, 151936, 32768)}


@dataclass(frozen=True, slots=True)
class TextShape:
    """The text backbone as ``text_config`` describes it."""

    architecture: str
    layers: int
    hidden: int
    ff: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    context: int
    eps: float
    rope_base: float
    rope_scaling: Fields
    tied: bool

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> TextShape:
        """From the fields of config.json (and, for ``tied``, whether there is a head of its own).

        Raises:
            BadModelError: not a llama or qwen2 backbone, or a field is missing or out of range.
        """
        config = checkpoint.config
        text = config.table("text_config")
        kind = text.text("model_type", "llama")
        if kind not in _DEFAULTS:
            raise text.bad("model_type", f"is {kind[:40]}; llama and qwen2 run on the native decoder")
        if text.text("hidden_act", "silu") != "silu":
            raise text.bad("hidden_act", "is not silu")
        if kind == "qwen2" and text.flag("use_sliding_window", False):
            raise text.bad("use_sliding_window", "is not supported")
        default = _DEFAULTS[kind]
        hidden, heads = text.count("hidden_size", 4096), text.count("num_attention_heads", 32)
        head_dim = text.count("head_dim", max(hidden // heads, 1))
        if head_dim % 2:
            raise text.bad("head_dim", f"is {head_dim}, an odd number")
        rope = text.table("rope_parameters" if "rope_parameters" in text else "rope_scaling", {})
        return cls(
            architecture=kind,
            layers=text.count("num_hidden_layers", 32, most=_MAX_LAYERS),
            hidden=hidden,
            ff=text.count("intermediate_size", default.ff),
            heads=heads,
            kv_heads=text.count("num_key_value_heads", heads),
            head_dim=head_dim,
            vocab=text.count("vocab_size", default.vocab),
            context=text.count("max_position_embeddings", default.context),
            eps=text.number("rms_norm_eps", 1e-6),
            rope_base=rope.number("rope_theta", text.number("rope_theta", 10000.0)),
            rope_scaling=rope,
            tied=config.flag("tie_word_embeddings", False)
            or ("lm_head.weight" not in checkpoint and text.flag("tie_word_embeddings", False)),
        )


def write_text_gguf(path: Path, checkpoint: Checkpoint) -> None:
    """Write the text backbone and its tokenizer to ``path``, one tensor in memory at a time.

    Raises:
        BadModelError: a tensor is missing or has another shape than the configuration says.
        MissingPartError: the gguf package is not installed.
    """
    try:
        from gguf import GGMLQuantizationType, GGUFWriter
    except ImportError:
        raise MissingPartError(
            "converting a checkpoint needs the gguf package", fix="pip install 'edgevid[hf]'"
        ) from None
    shape = TextShape.of(checkpoint)
    tokenizer = TokenizerTable.of_folder(checkpoint.folder, rows=shape.vocab)
    writer = GGUFWriter(path, shape.architecture)
    _add_shape(writer, shape)
    tokenizer.add_to(writer)
    if checkpoint.chat_template is not None:
        writer.add_chat_template(checkpoint.chat_template)
    _refuse_strangers(checkpoint, shape)
    kinds = {"float32": "F32", "float16": "F16", "uint16": "BF16"}
    for name, tensor in _tensors(checkpoint, shape):
        kind = GGMLQuantizationType[kinds[tensor.dtype.name]]
        writer.add_tensor_info(name, tensor.shape, tensor.dtype, tensor.nbytes, raw_dtype=kind)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for _, tensor in _tensors(checkpoint, shape):
            writer.write_tensor_data(tensor)
    finally:
        writer.close()


def _add_shape(writer: GGUFWriter, shape: TextShape) -> None:
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.ff)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_layer_norm_rms_eps(shape.eps)
    writer.add_rope_freq_base(shape.rope_base)
    if _scaling_type(shape.rope_scaling) == "linear":
        from gguf import RopeScalingType

        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(shape.rope_scaling.number("factor"))


def _tensors(checkpoint: Checkpoint, shape: TextShape) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """GGUF names and data in file order; read afresh on every pass, so that none stays in memory."""
    hidden, q, kv = shape.hidden, shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    wide, narrow = (shape.ff, hidden), (hidden, shape.ff)
    sizes = ((hidden,), (q, hidden), (kv, hidden), (kv, hidden), (hidden, q), (hidden,), wide, wide, narrow)
    yield "token_embd.weight", _checked(checkpoint, "text.embed_tokens.weight", (shape.vocab, hidden))
    yield "output_norm.weight", _checked(checkpoint, "text.norm.weight", (hidden,))
    if not shape.tied:
        yield "output.weight", _checked(checkpoint, "lm_head.weight", (shape.vocab, hidden))
    if _scaling_type(shape.rope_scaling) == "llama3":
        yield "rope_freqs.weight", _llama3_factors(shape)
    for layer in range(shape.layers):
        for (source, target), size in zip(_LAYER.items(), sizes):
            heads = {"attn_q": shape.heads, "attn_k": shape.kv_heads}.get(target, 0)
            for part, dims in (("weight", size), ("bias", size[:1])):
                name = f"text.layers.{layer}.{source}.{part}"
                if part == "bias" and name not in checkpoint:
                    continue
                tensor = _checked(checkpoint, name, dims)
                if heads and shape.architecture == "llama":
                    tensor = _interleaved(tensor, heads)
                yield f"blk.{layer}.{target}.{part}", tensor


def _refuse_strangers(checkpoint: Checkpoint, shape: TextShape) -> None:
    """BadModelError for a tensor that would change the arithmetic and is not read here."""
    known = {"text.embed_tokens.weight", "text.norm.weight", "lm_head.weight"}
    for layer in range(shape.layers):
        known |= {f"text.layers.{layer}.{source}.weight" for source in _LAYER}
        known |= {f"text.layers.{layer}.{source}.bias" for source in _BIASED}
    found = [*checkpoint.names("text."), *checkpoint.names("lm_head.")]
    strangers = [n for n in found if n not in known and not n.endswith("rotary_emb.inv_freq")]
    if strangers:
        raise checkpoint.config.bad(strangers[0], "is in the weights, but has no place in this architecture")


def _checked(checkpoint: Checkpoint, name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """The tensor as it goes into the file: F32 for vectors, else its own type (float64 becomes F32)."""
    found = checkpoint.shape(name)
    if found != shape:
        raise checkpoint.config.bad(
            name, f"is {list(found)} in the weights, {list(shape)} by the configuration"
        )
    raw = checkpoint.raw(name)
    return widened(raw) if len(shape) == 1 or raw.dtype == np.float64 else raw


def _interleaved(tensor: npt.NDArray[Any], heads: int) -> npt.NDArray[Any]:
    """Rows (head, half, i) -> (head, i, half)."""
    halves = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, *tensor.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(tensor.shape)


def _scaling_type(scaling: Fields) -> str:
    kind = scaling.text("rope_type", scaling.text("type", "default"))
    if kind not in ("default", "linear", "llama3"):
        raise scaling.bad("rope_type", f"is {kind[:40]}; default, linear and llama3 are supported")
    return kind


def _llama3_factors(shape: TextShape) -> npt.NDArray[np.float32]:
    """Divisors of the rotary frequencies [head_dim / 2], by the rule of Llama 3.1's model card: long waves
    are slowed by ``factor``, short ones kept, those between mixed."""
    scaling = shape.rope_scaling
    factor, low, high = (scaling.number(key) for key in ("factor", "low_freq_factor", "high_freq_factor"))
    context = scaling.number("original_max_position_embeddings")
    if high <= low:
        raise scaling.bad("high_freq_factor", "is not above low_freq_factor")
    frequency = shape.rope_base ** -(np.arange(0, shape.head_dim, 2) / shape.head_dim)
    mix = np.clip((context * frequency / (2 * math.pi) - low) / (high - low), 0.0, 1.0)
    return (1.0 / ((1 - mix) / factor + mix)).astype(np.float32)
