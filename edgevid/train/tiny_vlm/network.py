"""The torch model: a Llama (RMSNorm, interleaved RoPE, GQA, SwiGLU, tied head) over rows and tokens."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgevid.train.tiny_vlm.text import WORDS
from edgevid.train.tiny_vlm.vision import CODE, PIXELS, ROWS, Vision, second_codes
from edgevid.train.tiny_vlm.world import COLOURS, GLANCED, STAR

_COPY = 3.0
_TIME = 4.0  # length of a second's vector; what is in a cell grows to about 6
_LONG = 800  # rows up to which torch is faster on CPUs with all scores in memory


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
    rope_base: float = 1e16  # three quarters of a key hardly turn in 8,000 rows: content
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
        self._begin()

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _begin(self) -> None:
        """One query head of each group begins by matching like with like, all by copying what they find."""
        heads = (self.shape.kv_heads, -1, self.shape.head_dim, self.shape.hidden)
        self.wk.weight.copy_(self.wq.weight.view(heads)[:, 0].flatten(0, 1))
        groups = self.shape.heads // self.shape.kv_heads
        values = self.wv.weight.view(heads)[:, 0].repeat_interleave(groups, dim=0)
        self.wo.weight.copy_(_COPY * values.flatten(0, 1).T)

    def forward(self, x: Tensor, turn: Tensor, asking: int = 0) -> tuple[Tensor, Tensor]:
        """``x`` [batch, m, hidden], ``turn`` complex [m, 1, head_dim / 2]; what comes out, and the scores of
        the last ``asking`` rows for all rows in the first head of each group [batch, kv_heads, asking, m]."""
        batch, m, _ = x.shape
        h = self.attn_norm(x)
        q, k, v = (w(h).view(batch, m, -1, self.shape.head_dim) for w in (self.wq, self.wk, self.wv))
        q, k = _turn(torch.cat([q, k], dim=2), turn).split([q.shape[2], k.shape[2]], dim=2)
        groups = self.shape.heads // self.shape.kv_heads
        asked = q[:, m - asking :, ::groups].transpose(1, 2) @ k.permute(0, 2, 3, 1)
        k, v = (t.repeat_interleave(groups, dim=2) for t in (k, v))
        mixed = _attend(*(t.transpose(1, 2).to(v.dtype) for t in (q, k, v)))
        x = x + self.wo(mixed.transpose(1, 2).reshape(batch, m, -1))
        h = self.ffn_norm(x)
        out: Tensor = x + self.down(F.silu(self.gate(h)) * self.up(h))
        return out, asked * self.shape.head_dim**-0.5


class TinyVLM(nn.Module):  # type: ignore[misc]
    """Frames, then text. The token of a second has one vector in questions and in the head (see text.py)."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = shape or Shape()
        hidden = self.shape.hidden
        self.embed = nn.Embedding(WORDS, hidden)
        self.see_in = nn.Linear(PIXELS, 2 * hidden)
        self.see_out = nn.Linear(2 * hidden, hidden, bias=False)
        self.place = nn.Parameter(torch.randn(ROWS, hidden) * 0.05)
        self.time = nn.Linear(CODE, hidden, bias=False)
        self.register_buffer("code", torch.from_numpy(second_codes()), persistent=False)
        self.blocks = nn.ModuleList(Block(self.shape) for _ in range(self.shape.layers))
        self.norm = nn.RMSNorm(hidden, eps=self.shape.eps)
        freq = self.shape.rope_base ** (-torch.arange(0, self.shape.head_dim, 2) / self.shape.head_dim)
        self.register_buffer("freq", freq, persistent=False)
        nn.init.normal_(self.embed.weight, std=0.05)
        nn.init.orthogonal_(self.time.weight, gain=_TIME)

    def cells(self, pixels: Tensor) -> Tensor:
        """[batch, F, CELLS, hidden] of ``pixels`` [batch, F, CELLS, PIXELS]: what is there, nothing else."""
        out: Tensor = self.see_out(F.gelu(self.see_in(pixels), approximate="tanh"))
        return out

    def rows(self, cells: Tensor, seconds: Tensor) -> Tensor:
        """[batch, F * ROWS, hidden] of ``cells`` and ``seconds`` [batch, F]."""
        rows = torch.cat([cells, cells.mean(dim=2, keepdim=True)], dim=2) + self.place
        return (rows + self.seconds()[seconds][:, :, None]).flatten(1, 2)

    def seconds(self) -> Tensor:
        """[SECONDS, hidden]: a vector for each second."""
        out: Tensor = self.time(self.code)
        return out

    def vocabulary(self) -> Tensor:
        """[WORDS + SECONDS, hidden]: learnt ones, then of seconds; embedding and head."""
        return torch.cat([self.embed.weight, self.seconds()])

    def forward(
        self, start: Tensor, pixels: Tensor, seconds: Tensor, text: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits [batch, n, vocab] of ``text`` [batch, n] after the start token and the frames; the whole
        frames' rows [batch, F, hidden] half way up, for ``Glance``; the cells, for ``CellGlance``; the
        text's scores for all rows one layer on, for ``pointing``."""
        vocabulary = self.vocabulary()
        cells = self.cells(pixels)
        rows = torch.cat([vocabulary[start], self.rows(cells, seconds), vocabulary[text]], dim=1)
        angles = torch.arange(rows.shape[1])[:, None] * self.freq
        turn = torch.polar(torch.ones_like(angles), angles)[:, None]
        half = len(self.blocks) // 2
        half_way = pointed = rows
        for i, block in enumerate(self.blocks):
            asking = text.shape[1] if i == half else 0
            rows, scores = block(rows, turn, asking)
            if asking:
                pointed = scores
            if i == half - 1:
                half_way = rows[:, ROWS : ROWS * (pixels.shape[1] + 1) : ROWS]
        return F.linear(self.norm(rows[:, -text.shape[1] :]), vocabulary), half_way, cells, pointed

    def vision(self) -> Vision:
        """The encoder's weights for numpy."""
        arrays = [self.see_in.weight, self.see_in.bias, self.see_out.weight, self.place, self.seconds()]
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


def pointing(scores: Tensor, rows: Tensor) -> Tensor:
    """Training only: the rows that hold the answers must win the attention of the words that ask for them.

    Without it finding and reading must be discovered together, and training stays for long where neither is.

    Args:
        scores: [batch, kv_heads, n, m].
        rows: [batch, n], among the m; negative where nothing is asked.

    Returns:
        Mean cross entropy.
    """
    n, m = scores.shape[2:]
    future = torch.ones(n, m, dtype=torch.bool).triu(m - n + 1)
    asking = rows >= 0
    chosen = scores.masked_fill(future, -torch.inf).transpose(1, 2)[asking]
    return F.cross_entropy(chosen.flatten(0, 1), rows[asking].repeat_interleave(scores.shape[1]))


def _turn(x: Tensor, turn: Tensor) -> Tensor:
    """RoPE on pairs (2i, 2i + 1), as GGUF's llama has them; ``x`` [batch, m, heads, head_dim]."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turn).flatten(-2)


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention, [batch, heads, m, head_dim] each."""
    m = q.shape[2]
    if m > _LONG:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    scores = (q * q.shape[3] ** -0.5) @ k.transpose(2, 3)
    future = torch.ones(m, m, dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -torch.inf).softmax(-1).to(v.dtype) @ v
