"""What a language model is to the rest of edgevid: two protocols that every backend implements.

``native_llm`` (the default) and ``llama_cpp_llm`` (any GGUF, an extra) stand behind them, so a workload is
written once. A model is shared; each sequence is one growing text with its own KV cache. A sequence belongs
to one thread at a time; different sequences of one model may run on different threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Logits = Literal["last", "all", "none"]
"""Which rows of logits an append returns: ``last`` [1, vocab], ``all`` [n, vocab], ``none`` [0, vocab]."""


@dataclass(frozen=True, slots=True)
class LanguageConfig:
    """Shape of a model, as its file says.

    Attributes:
        context_length: tokens the model was trained on; beyond it a sequence keeps a window.
        chat_template: the file's Jinja template as text, only looked at to recognise its family; None without
            one.
    """

    architecture: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    context_length: int
    chat_template: str | None = None


@dataclass(frozen=True, slots=True)
class KVStats:
    """What a sequence's KV cache holds.

    Attributes:
        tokens: kept; ``seen - tokens`` were dropped by the window.
        seen: tokens appended in all.
        pages: of the block table, shared ones included (0 where the backend has none).
        bytes: of those pages.
        selection: which kept tokens attention reads, e.g. ``dense``, ``window``.
    """

    tokens: int
    seen: int
    pages: int
    bytes: int
    selection: str


class Piece(NamedTuple):
    """One generated token and the text it completes (empty inside a multi-byte character)."""

    token: int
    text: str


class Cancel(Protocol):
    """Anything with ``is_set``, such as ``threading.Event``: set, it ends a running call within one layer's
    time."""

    def is_set(self) -> bool: ...


class LanguageSequence(Protocol):
    """One text and its KV cache.

    Every ``append`` raises ``CancelledError`` when cancelled or past ``deadline_s`` (seconds from the call),
    and ``LimitError`` when the cache is full; the chunks that were finished before stay, ``length`` tells
    which.
    """

    @property
    def length(self) -> int:
        """Tokens appended: the position of the next one."""

    def append_tokens(
        self,
        ids: Sequence[int],
        *,
        logits: Logits = "last",
        cancel: Cancel | None = None,
        deadline_s: float | None = None,
    ) -> Floats:
        """Run the model over ``ids``; returns float32 logits as ``logits`` says."""

    def append_rows(
        self,
        rows: Floats,
        *,
        logits: Logits = "last",
        cancel: Cancel | None = None,
        deadline_s: float | None = None,
    ) -> Floats:
        """The same for embedding rows float32 [n, hidden]; token rows from ``embed`` give exactly the
        same."""

    def generate(
        self,
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        choices: Sequence[str] = (),
        grammar: str | None = None,
        stop: Sequence[str] = (),
        cancel: Cancel | None = None,
        deadline_s: float | None = None,
    ) -> Iterator[Piece]:
        """Continue the text, token by token, until an end token, ``max_tokens`` or a stop.

        Needs the last row's logits: the append before must not have been ``logits="none"``. Afterwards all
        pieces but the last are appended.

        Args:
            temperature: 0 takes the likeliest token; otherwise a draw, the same for the same ``seed``.
            top_p: draw among the fewest tokens whose probabilities sum to this.
            choices: the text is exactly one of these.
            grammar: GBNF that the text follows; not together with ``choices``.
            stop: the text ends before the first of these.
        """

    def fork(self) -> LanguageSequence:
        """A second sequence with the same past; what either appends, the other does not see."""

    def truncate(self, length: int) -> None:
        """Forget the newest tokens so that ``length`` remain; ``UsageError`` when the window dropped them."""

    def kv(self) -> KVStats:
        """What the cache holds now."""

    def close(self) -> None:
        """Give the memory back; also done when the object is dropped."""


@runtime_checkable
class SavedSequence(Protocol):
    """A sequence that session files can hold; see ``NativeSequence``."""

    mark: int

    def checkpoint(self) -> None:
        """Bring the sequence's own session file up to date, on the disk."""

    def save(self, path: Path | str) -> None:
        """Write a session file of its own."""


class Attended(NamedTuple):
    """Where attention went, for each kept token.

    Attributes:
        positions: int64 [tokens], counted from the beginning of the sequence.
        shares: float32 [tokens], of the attention of all layers, query heads and rows; they sum to 1.
        peaks: float32 [tokens], the most that a single row of a single query head gave; of a sealed token, to
            its cluster as a whole.
    """

    positions: npt.NDArray[np.int64]
    shares: Floats
    peaks: Floats


@runtime_checkable
class CountingSequence(LanguageSequence, Protocol):
    """A sequence that can tell where its attention goes; see ``NativeSequence``."""

    def fork(self, *, attended: bool = False) -> CountingSequence:
        """A second sequence with the same past; with ``attended`` it counts, and forks of it do not."""

    def attended(self) -> Attended:
        """Where attention went since the fork."""


class LanguageModel(Protocol):
    """Weights and vocabulary of one model."""

    @property
    def config(self) -> LanguageConfig:
        """Shape of the model."""

    def tokenize(self, text: str, *, special: bool = False, bos: bool = False) -> list[int]:
        """Ids of ``text``; control tokens in it are plain text unless ``special``; ``bos`` adds what the
        model's file asks for at the start of a text."""

    def detokenize(self, ids: Sequence[int]) -> str:
        """Text of ``ids``, without control tokens; bytes that are no UTF-8 become U+FFFD."""

    def piece(self, token: int) -> bytes:
        """What a generated token adds to the text; empty for control tokens."""

    def embed(self, ids: Sequence[int]) -> Floats:
        """Embedding rows float32 [n, hidden] of tokens."""

    def new_sequence(self) -> LanguageSequence:
        """An empty sequence."""
