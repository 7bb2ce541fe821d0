"""A plain float32 forward of llama-family GGUF models, written apart from the native decoder to check it.

Weights are dequantised by the gguf package. ``visible`` replaces the causal mask, ``key_shift`` moves keys to
other positions, ``f16_kv`` rounds keys (after rotation) and values as the native KV cache does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFReader
from gguf.quants import dequantize


class TorchLlama:
    """The model of one GGUF file as torch tensors."""

    def __init__(self, path: Path) -> None:
        reader = GGUFReader(path)
        self.meta: dict[str, Any] = {
            k: f.contents() for k, f in reader.fields.items() if "tokenizer" not in k
        }
        self.weights = {t.name: _weight(t) for t in reader.tensors}
        arch = self.meta["general.architecture"]
        self.interleaved = arch == "llama"
        self.heads = int(self.meta[f"{arch}.attention.head_count"])
        self.kv_heads = int(self.meta[f"{arch}.attention.head_count_kv"])
        self.layers = int(self.meta[f"{arch}.block_count"])
        self.eps = float(self.meta[f"{arch}.attention.layer_norm_rms_epsilon"])
        hidden = int(self.meta[f"{arch}.embedding_length"])
        self.head_dim = int(self.meta.get(f"{arch}.attention.key_length", hidden // self.heads))
        base = float(self.meta.get(f"{arch}.rope.freq_base", 10000.0))
        exponent = torch.arange(0, self.head_dim, 2, dtype=torch.float64) / self.head_dim
        self.inv_freq = base**-exponent
        if "rope_freqs.weight" in self.weights:
            self.inv_freq = self.inv_freq / self.weights["rope_freqs.weight"].double()

    def embed(self, ids: list[int]) -> torch.Tensor:
        return self.weights["token_embd.weight"][ids]

    @torch.inference_mode()
    def forward(
        self,
        rows: torch.Tensor,
        *,
        visible: torch.Tensor | None = None,
        key_shift: torch.Tensor | None = None,
        f16_kv: bool = False,
    ) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Logits float32 [n, vocab] of embedding rows [n, hidden].

        visible: bool [n, n], row i attends key j. key_shift: int [n, n], added to the position of key j seen
            by row i.
        """
        n = len(rows)
        if visible is None:
            visible = torch.ones(n, n, dtype=torch.bool).tril()
        x = rows.float()
        for layer in range(self.layers):
            x = x + self._attend(
                self._norm(x, f"blk.{layer}.attn_norm.weight"), layer, visible, key_shift, f16_kv
            )
            y = self._norm(x, f"blk.{layer}.ffn_norm.weight")
            gate = torch.nn.functional.silu(self._linear(y, f"blk.{layer}.ffn_gate"))
            x = x + self._linear(gate * self._linear(y, f"blk.{layer}.ffn_up"), f"blk.{layer}.ffn_down")
        head = "output" if "output.weight" in self.weights else "token_embd"
        logits = self._linear(self._norm(x, "output_norm.weight"), head)
        return logits.numpy()

    def _linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return torch.nn.functional.linear(x, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"))

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weights[name]

    def _rotate(self, x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """x [..., n, heads, head_dim] rotated to positions [..., n]."""
        angle = (positions.double()[..., None] * self.inv_freq)[..., None, :]
        cos, sin = angle.cos().float(), angle.sin().float()
        half = self.head_dim // 2
        a, b = (x[..., 0::2], x[..., 1::2]) if self.interleaved else (x[..., :half], x[..., half:])
        pair = (a * cos - b * sin, a * sin + b * cos)
        return torch.stack(pair, -1).flatten(-2) if self.interleaved else torch.cat(pair, -1)

    def _attend(
        self, x: torch.Tensor, layer: int, visible: torch.Tensor, key_shift: torch.Tensor | None, f16_kv: bool
    ) -> torch.Tensor:
        n, d, group = len(x), self.head_dim, self.heads // self.kv_heads
        position = torch.arange(n)
        q = self._rotate(self._linear(x, f"blk.{layer}.attn_q").view(n, self.heads, d), position)
        k = self._linear(x, f"blk.{layer}.attn_k").view(n, self.kv_heads, d)
        v = self._linear(x, f"blk.{layer}.attn_v").view(n, self.kv_heads, d)
        stored = (lambda t: t.half().float()) if f16_kv else (lambda t: t)
        v = stored(v).repeat_interleave(group, 1)
        if key_shift is None:
            keys = stored(self._rotate(k, position)).repeat_interleave(group, 1)
            scores = torch.einsum("ihd,jhd->hij", q, keys)
        else:
            keys = stored(self._rotate(k.expand(n, *k.shape), position + key_shift))
            scores = torch.einsum("ihd,ijhd->hij", q, keys.repeat_interleave(group, 2))
        scores = (scores / d**0.5).masked_fill(~visible, float("-inf"))
        mixed = torch.einsum("hij,jhd->ihd", scores.softmax(-1), v).reshape(n, self.heads * d)
        return self._linear(mixed, f"blk.{layer}.attn_output")


def _weight(tensor: Any) -> torch.Tensor:
    values = dequantize(tensor.data, tensor.tensor_type)
    shape = tuple(int(d) for d in reversed(tensor.shape))
    return torch.from_numpy(np.array(values, dtype=np.float32).reshape(shape))
