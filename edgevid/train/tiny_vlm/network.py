"""The torch model: a Llama (RMSNorm, interleaved RoPE, GQA, SwiGLU, tied head) over rows and tokens."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgevid.train.tiny_vlm.text import WORDS
from edgevid.train.tiny_vlm.vision import PIXELS, ROWS, Vision
from edgevid.train.tiny_vlm.world import COLOURS, GLANCED, STAR


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the network."""

    hidden: int = 192
    layers: int = 4
    heads: int = 6
    kv_heads: int = 3
    head_dim: int = 32
    inner: int = 512
    context: int = 8192
    rope_base: float = 1e8  # half of a key hardly turns in 8,000 rows: content
    eps: float = 1e-5


class Block(nn.Module):  # type: ignore[misc]  # torch is not looked into
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        q, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
        self.attn_norm = nn.RMSNorm(shape.hidden, eps=shape.eps)
        self.wq = nn.Linear(shape.hidden, q, bias=False)
        self.wk = nn.Linear(shape.hidden, kv, bias=False)
        self.wv = nn.Linear(shape.hidden, kv, bias=False)
        self.wo = nn.Linear(q, shape.hidden, bias=False)
        self.ffn_norm = nn.RMSNorm(shape.hidden, eps=shape.eps)
        self.gate = nn.Linear(shape.hidden, shape.inner, bias=False)
        self.up = nn.Linear(shape.hidden, shape.inner, bias=False)
        self.down = nn.Linear(shape.inner, shape.hidden, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """``x`` [batch, m, hidden], ``cos``, ``sin`` [m, head_dim / 2]."""
        batch, m, _ = x.shape
        h = self.attn_norm(x)
        q = _turn(self.wq(h).view(batch, m, self.shape.heads, -1), cos, sin)
        k = _turn(self.wk(h).view(batch, m, self.shape.kv_heads, -1), cos, sin)
        v = self.wv(h).view(batch, m, self.shape.kv_heads, -1)
        groups = self.shape.heads // self.shape.kv_heads
        k, v = (t.repeat_interleave(groups, dim=2).transpose(1, 2) for t in (k, v))
        mixed = F.scaled_dot_product_attention(q.transpose(1, 2), k, v, is_causal=True)
        x = x + self.wo(mixed.transpose(1, 2).reshape(batch, m, -1))
        h = self.ffn_norm(x)
        out: Tensor = x + self.down(F.silu(self.gate(h)) * self.up(h))
        return out


class TinyVLM(nn.Module):  # type: ignore[misc]
    """Frames, then text. A second looks the same in a frame's rows, in a question and in the head."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = shape or Shape()
        hidden = self.shape.hidden
        self.embed = nn.Embedding(WORDS, hidden)
        self.see_in = nn.Linear(PIXELS, 2 * hidden)
        self.see_out = nn.Linear(2 * hidden, hidden, bias=False)
        self.place = nn.Parameter(torch.randn(ROWS, hidden) * 0.05)
        self.digits = nn.Parameter(torch.randn(3, 10, hidden) * 0.1)
        self.blocks = nn.ModuleList(Block(self.shape) for _ in range(self.shape.layers))
        self.norm = nn.RMSNorm(hidden, eps=self.shape.eps)
        freq = self.shape.rope_base ** (-torch.arange(0, self.shape.head_dim, 2) / self.shape.head_dim)
        self.register_buffer("freq", freq, persistent=False)
        nn.init.normal_(self.embed.weight, std=0.05)

    def cells(self, pixels: Tensor) -> Tensor:
        """[batch, F, CELLS, hidden] of ``pixels`` [batch, F, CELLS, PIXELS]: what is there, nothing else."""
        out: Tensor = self.see_out(F.gelu(self.see_in(pixels), approximate="tanh"))
        return out

    def rows(self, cells: Tensor, seconds: Tensor) -> Tensor:
        """[batch, F * ROWS, hidden] of ``cells`` and ``seconds`` [batch, F]."""
        rows = torch.cat([cells, cells.mean(dim=2, keepdim=True)], dim=2) + self.place
        return (rows + self.seconds()[seconds][:, :, None]).flatten(1, 2)

    def seconds(self) -> Tensor:
        """[SECONDS, hidden]: a vector for each second, the sum of its digits'."""
        hundreds, tens, ones = self.digits
        return (hundreds[:, None, None] + tens[None, :, None] + ones).flatten(0, 2)

    def vocabulary(self) -> Tensor:
        """[VOCAB_SIZE, hidden]: of words, then of seconds; embedding and head."""
        return torch.cat([self.embed.weight, self.seconds()])

    def forward(
        self, start: Tensor, pixels: Tensor, seconds: Tensor, text: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logits [batch, n, vocab] of ``text`` [batch, n] after the start token and the frames; the whole
        frames' rows [batch, F, hidden] half way up, for ``Glance``; the cells, for ``CellGlance``."""
        vocabulary = self.vocabulary()
        cells = self.cells(pixels)
        rows = torch.cat([vocabulary[start], self.rows(cells, seconds), vocabulary[text]], dim=1)
        angles = torch.arange(rows.shape[1])[:, None] * self.freq
        cos, sin = angles.cos(), angles.sin()
        half_way = rows
        for i, block in enumerate(self.blocks):
            rows = block(rows, cos, sin)
            if i == len(self.blocks) // 2 - 1:
                half_way = rows[:, ROWS : ROWS * (pixels.shape[1] + 1) : ROWS]
        return F.linear(self.norm(rows[:, -text.shape[1] :]), vocabulary), half_way, cells

    def vision(self) -> Vision:
        """The encoder's weights for numpy."""
        arrays = [self.see_in.weight, self.see_in.bias, self.see_out.weight, self.place, *self.digits]
        return Vision(*(a.detach().float().numpy().copy() for a in arrays))

    def config(self) -> dict[str, float]:
        return asdict(self.shape)


class Glance(nn.Module):  # type: ignore[misc]
    """Training only: what each whole-frame row must know half way up, so that later layers can ask for it.

    Without it the model learns to find a second long before it learns to see what was there.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(shape.hidden, eps=shape.eps)
        self.heads = nn.ModuleList(nn.Linear(shape.hidden, classes) for classes in GLANCED)

    def forward(self, rows: Tensor, truth: Tensor) -> Tensor:
        """Mean cross entropy; ``rows`` [batch, F, hidden], ``truth`` [batch, F, len(GLANCED)]."""
        seen = self.norm(rows)
        losses = [
            F.cross_entropy(head(seen).flatten(0, 1), truth[..., i].flatten())
            for i, head in enumerate(self.heads)
        ]
        return torch.stack(losses).mean()


class CellGlance(nn.Module):  # type: ignore[misc]
    """Training only: what a cell holds must show in its features, before any attention.

    With it streams of 8 s are learnt in minutes; without it squares and circles stay mixed up for an hour.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(shape.hidden, eps=shape.eps)
        self.thing = nn.Linear(shape.hidden, STAR + 2)
        self.colour = nn.Linear(shape.hidden, len(COLOURS) + 1)

    def forward(self, cells: Tensor, truth: Tensor) -> Tensor:
        """Sum of both cross entropies; ``cells`` [batch, F, CELLS, hidden], ``truth`` [..., 2]."""
        seen = self.norm(cells).flatten(0, 2)
        thing = F.cross_entropy(self.thing(seen), truth[..., 0].flatten())
        return thing + F.cross_entropy(self.colour(seen), truth[..., 1].flatten())


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE on pairs (2i, 2i + 1), as GGUF's llama has them; ``x`` [batch, m, heads, head_dim]."""
    a, b = x[..., 0::2], x[..., 1::2]
    c, s = cos[:, None], sin[:, None]
    return torch.stack([a * c - b * s, a * s + b * c], dim=-1).flatten(-2)
