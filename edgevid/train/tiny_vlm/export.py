"""A checkpoint as the files edgevid loads: ``python -m edgevid.train.tiny_vlm.export CHECKPOINT OUT``.

``OUT/tiny_vlm.gguf`` is a llama with float16 matrices and its tokenizer, ``OUT/tiny_vlm.npz`` the vision
encoder.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from edgevid.train.tiny_vlm.network import TinyVLM
from edgevid.train.tiny_vlm.questions import second_name
from edgevid.train.tiny_vlm.text import START, build_tokenizer
from edgevid.train.tiny_vlm.vision import SECONDS

if TYPE_CHECKING:
    from gguf import GGUFWriter

_NORMAL, _CONTROL, _USER_DEFINED = 1, 3, 4  # token types of GGUF
_TENSORS = {
    "attn_norm": "attn_norm",
    "wq": "attn_q",
    "wk": "attn_k",
    "wv": "attn_v",
    "wo": "attn_output",
    "ffn_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}


def export(model: TinyVLM, folder: Path) -> None:
    """Write both files; the folder must exist."""
    from gguf import GGUFWriter

    writer = GGUFWriter(folder / "tiny_vlm.gguf", "llama")
    _write_config(writer, model)
    _write_tokenizer(writer)
    writer.add_tensor("token_embd.weight", _half(model.vocabulary()[: build_tokenizer().get_vocab_size()]))
    writer.add_tensor("output_norm.weight", _single(model.norm.weight))
    for i, block in enumerate(model.blocks):
        for ours, theirs in _TENSORS.items():
            weight = getattr(block, ours).weight
            array = _single(weight) if weight.ndim == 1 else _half(weight)
            writer.add_tensor(f"blk.{i}.{theirs}.weight", array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    model.vision().save(folder / "tiny_vlm.npz")


def _write_config(writer: GGUFWriter, model: TinyVLM) -> None:
    shape = model.shape
    writer.add_name("edgevid tiny VLM (E3)")
    writer.add_license("Apache-2.0")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.eps)


def _write_tokenizer(writer: GGUFWriter) -> None:
    tokenizer = build_tokenizer()
    described = json.loads(tokenizer.to_str())["model"]
    words = sorted(described["vocab"], key=described["vocab"].__getitem__)
    start = described["vocab"][START]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(words + [second_name(t) for t in range(SECONDS)])
    kinds = [_CONTROL if i == start else _NORMAL for i in range(len(words))]
    writer.add_token_types(kinds + [_USER_DEFINED] * SECONDS)
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in described["merges"]])
    writer.add_bos_token_id(start)
    writer.add_eos_token_id(start)
    writer.add_add_bos_token(False)


def _half(weight: torch.Tensor) -> npt.NDArray[np.float16]:
    return np.asarray(weight.detach().numpy(), np.float16)


def _single(weight: torch.Tensor) -> npt.NDArray[np.float32]:
    return np.asarray(weight.detach().numpy(), np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    model = TinyVLM()
    average = torch.load(options.checkpoint, weights_only=True)["average"]
    model.load_state_dict({k.removeprefix("module."): v for k, v in average.items() if k != "n_averaged"})
    options.out.mkdir(parents=True, exist_ok=True)
    export(model, options.out)


if __name__ == "__main__":
    main()
