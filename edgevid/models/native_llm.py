"""The default language-model backend: edgevid's own decoder (csrc/decoder), for llama-family GGUF models."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgevid.core.errors import BadModelError, UsageError
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.models.generation import Generating, Spelling
from edgevid.models.llm import Attended, Cancel, Floats, KVStats, LanguageConfig, Logits
from edgevid.models.native import native_errors, native_library, session_errors

_CHUNK = 256  # rows of a prefill step
_FORK_TOKENS = 512  # that forks may add: a question and its answer


class NativeLanguageModel:
    """A GGUF model of the architectures ``llama`` (Llama, SmolLM2, ...) or ``qwen2``.

    Args:
        path: the GGUF file; it stays open, for the token embeddings.
        kv: page size (a multiple of 16), window, dtype and retrieval of every sequence; a session file of
            one.
        kv_tokens: tokens in pages that all sequences keep together, shared pages counted once; 0 allows two
            full windows or, with ``kv.ram_bytes``, what is never away and room for forks.
        threads: CPU threads; 0 takes all usable cores.
        exact: float32 weights, activations and KV instead of the file's and ``kv.dtype``, for comparisons.

    Raises:
        BadModelError: the file is malformed or of a kind that is not supported.
        UsageError: an option contradicts the model.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        kv: KVConfig | None = None,
        kv_tokens: int = 0,
        threads: int = 0,
        exact: bool = False,
    ) -> None:
        native = native_library()
        kv = kv or KVConfig()
        self._kv = kv
        if not Path(path).is_file():
            raise BadModelError(f"{path}: no such model file", fix="check the path")
        self._path = Path(path)
        with native_errors(f"{path}: "):
            self._decoder = native.Decoder(
                str(path),
                threads=threads,
                page_size=kv.page_size,
                window=kv.max_tokens or 0,
                sinks=kv.sinks,
                kv_tokens=kv_tokens or _resident_tokens(kv),
                chunk=kv.step_tokens if kv.ram_bytes else _CHUNK,
                exact=exact,
                kv_type=kv.dtype,
            )
        self._tokenizer = self._decoder.tokenizer
        self._end_tokens = frozenset(self._tokenizer.end_tokens)
        shape = self._decoder.config
        template: bytes | None = shape.pop("chat_template")
        self._config = LanguageConfig(
            **shape, chat_template=None if template is None else template.decode("utf-8", "replace")
        )

    @property
    def config(self) -> LanguageConfig:
        """See ``LanguageModel.config``."""
        return self._config

    @property
    def threads(self) -> int:
        """CPU threads in use."""
        return int(self._decoder.threads)

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that one decoded token reads."""
        return int(self._decoder.weight_bytes)

    @property
    def session_file(self) -> Path | None:
        """Where its sequences go on, as ``kv`` says."""
        return None if self._kv.session_file is None else Path(self._kv.session_file)

    def least_ram_bytes(self) -> int:
        """The smallest ``kv.ram_bytes`` that a sequence accepts, for a model made with a cap.

        Raises:
            UsageError: the model has no retrieval, or its segments do not fit.
        """
        if self._kv.ram_bytes is None or self._kv.retrieval is None:
            raise UsageError("there is no cap on RAM", fix="KVConfig(ram_bytes=...)")
        with native_errors():
            return int(self._decoder.least_ram(asdict(self._kv.retrieval)))

    def tokenize(self, text: str, *, special: bool = False, bos: bool = False) -> list[int]:
        """See ``LanguageModel.tokenize``."""
        return list(self._tokenizer.encode(text, add_special=bos, parse_special=special))

    def piece(self, token: int) -> bytes:
        """See ``LanguageModel.piece``."""
        return bytes(self._tokenizer.decode([token]))

    def detokenize(self, ids: Sequence[int]) -> str:
        """See ``LanguageModel.detokenize``."""
        return codecs.decode(self._tokenizer.decode(list(ids)), "utf-8", "replace")

    def embed(self, ids: Sequence[int]) -> Floats:
        """See ``LanguageModel.embed``."""
        with native_errors():
            return np.asarray(self._decoder.embed(list(ids)))

    def new_sequence(
        self,
        *,
        attend_sinks: int = 0,
        attend_recent: int = 0,
        retrieval: RetrievalConfig | None = None,
        trace: bool = False,
        session_file: str | Path | None = None,
    ) -> NativeSequence:
        """An empty sequence, or what a session file holds.

        Args:
            attend_sinks: with ``attend_recent``, how many of the first tokens are attended.
            attend_recent: attend only so many of the newest tokens kept, and the sinks; 0 = no such limit.
            retrieval: instead of the model's.
            trace: keep the last step's queries for :meth:`NativeSequence.trace`.
            session_file: instead of the model's.

        Raises:
            UsageError: the retrieval does not fit the model's pages or window, or ``ram_bytes`` is too small.
            BadInputError: the session file cannot be used: of another model or other settings, held by
                another sequence, no such folder.
        """
        chosen = retrieval or self._kv.retrieval
        session = session_file or self._kv.session_file
        with session_errors():
            sequence = self._decoder.new_sequence(
                attend_sinks=attend_sinks,
                attend_recent=attend_recent,
                retrieval=None if chosen is None or attend_recent else asdict(chosen),
                trace=trace,
                session_file=str(session) if session else "",
                ram_bytes=(self._kv.ram_bytes or 0) if session else 0,
            )
        return NativeSequence(self, sequence)

    def spelling(self) -> Spelling:
        """Vocabulary as generation needs it."""
        return Spelling(lambda: self._tokenizer, self.piece, self._end_tokens)


class NativeSequence(Generating):
    """See ``LanguageSequence``."""

    def __init__(self, model: NativeLanguageModel, native: Any, last: Floats | None = None) -> None:
        self._model = model
        self._native = native
        self._last = last

    @property
    def length(self) -> int:
        """See ``LanguageSequence.length``."""
        return int(self._native.length)

    def append_tokens(
        self,
        ids: Sequence[int],
        *,
        logits: Logits = "last",
        cancel: Cancel | None = None,
        deadline_s: float | None = None,
    ) -> Floats:
        """See ``LanguageSequence.append_tokens``."""
        self._last = None
        with session_errors():
            out = self._native.append_tokens(list(ids), logits=logits, cancel=cancel, deadline_s=deadline_s)
        return self._remember(out)

    def append_rows(
        self,
        rows: Floats,
        *,
        logits: Logits = "last",
        cancel: Cancel | None = None,
        deadline_s: float | None = None,
    ) -> Floats:
        """See ``LanguageSequence.append_rows``."""
        self._last = None
        with session_errors():
            out = self._native.append_rows(rows, logits=logits, cancel=cancel, deadline_s=deadline_s)
        return self._remember(out)

    def _remember(self, out: Floats) -> Floats:
        if len(out):
            self._last = out[-1:]
        return out

    def _spelling(self) -> Spelling:
        return self._model.spelling()

    def fork(self, *, retrieval: RetrievalConfig | None = None, attended: bool = False) -> NativeSequence:
        """See ``LanguageSequence.fork``; with ``retrieval`` the fork of a dense sequence goes on with it,
        with ``attended`` it counts for :meth:`attended`, and forks of it do not."""
        with native_errors():
            native = self._native.fork(None if retrieval is None else asdict(retrieval), attended)
        return NativeSequence(self._model, native, self._last)

    def repeated(self, times: int) -> NativeSequence:
        """A dense sequence with the past ``times`` times in a row, nothing computed again: a long past
        without its prefill, as benches need it. Keys are rotated on so that every copy is as far from what
        comes next as the past is here.

        Raises:
            UsageError: the sequence retrieves, or something was dropped.
            LimitError: the window or the pages are full.
        """
        if times < 1:
            raise UsageError(f"cannot repeat a past {times} times")
        with native_errors():
            return NativeSequence(self._model, self._native.repeated(times), None)

    def truncate(self, length: int) -> None:
        """See ``LanguageSequence.truncate``."""
        with session_errors():
            self._native.truncate(length)
        self._last = None

    def kv(self) -> KVStats:
        """See ``LanguageSequence.kv``."""
        return KVStats(**self._native.kv())

    def checkpoint(self) -> None:
        """Write the newest tokens to the session file and all of it to the disk: a resume goes on right here.

        Without it, a resume has everything that was sealed.

        Raises:
            UsageError: the sequence has no session file.
            BadInputError: the file cannot be written.
        """
        with session_errors():
            self._native.checkpoint()

    def save(self, path: Path | str) -> None:
        """Write a session file of its own, whole or not at all; one that exists is replaced, and the
        sequence's own brought up to date.

        Raises:
            BadInputError: the file cannot be written.
        """
        with session_errors():
            self._native.save(str(path))

    @property
    def mark(self) -> int:
        """A number of the caller's for the tokens so far, kept in session files; 0 = none was set."""
        return int(self._native.mark)

    @mark.setter
    def mark(self, value: int) -> None:
        self._native.mark = value

    def tiers(self) -> dict[str, int] | None:
        """What counts against ``ram_bytes``; None without it.

        Returns:
            ``pool_bytes``, ``index_bytes``, ``slot_bytes`` (of one slot), ``slots`` allowed, ``slots_used``;
            ``hits`` and ``reads``: layers of pages that steps found in a slot, or read from the file.
        """
        found: dict[str, int] | None = self._native.tiers()
        return found

    @property
    def attention_s(self) -> float:
        """Seconds that steps spent choosing what to attend and attending it."""
        return float(self._native.attention_s)

    def retrieval(self) -> dict[str, Any] | None:
        """What was retrieved since the sequence began or was forked; None without retrieval.

        Returns:
            ``layers``: per layer ``steps`` with sealed tokens, ``dense`` ones among them, ``retrieved`` (sum
            of attended shares of the sealed tokens), ``kv_bytes`` and ``table_bytes`` read, ``bound`` (the
            largest certified share of a row's mass left out); ``prediction_s``; ``sealed``
            tokens, ``clusters`` and ``table_bytes`` of the cache now.
        """
        found: dict[str, Any] | None = self._native.retrieval()
        return found

    def attended(self) -> Attended:
        """Where attention went since the fork.

        Sealed tokens share evenly what their cluster gets by its mean key and spread, attended or not; all
        others are exact.

        Raises:
            UsageError: the sequence is no fork with ``attended``.
        """
        with native_errors():
            return Attended(*self._native.attended())

    def clusters(self, layer: int) -> list[tuple[list[int], list[int]]]:
        """Per sealed segment, the tokens (counted from its first) in the order of their slots, and the first
        slot of each cluster with the end."""
        with native_errors():
            return list(self._native.clusters(layer))

    def trace(self, layer: int) -> tuple[Floats, Floats, Floats]:
        """``(queries, keys, values)`` of one layer: the last step's rotated queries [rows, heads, head_dim],
        and the kept keys and values as stored [tokens, kv_heads, head_dim]."""
        shape = self._model.config
        with native_errors():
            q, k, v = self._native.trace(layer)
        return (
            q.reshape(-1, shape.heads, shape.head_dim),
            k.reshape(-1, shape.kv_heads, shape.head_dim),
            v.reshape(-1, shape.kv_heads, shape.head_dim),
        )

    def close(self) -> None:
        """See ``LanguageSequence.close``."""
        self._native.close()


def embedding_rows(path: Path | str, ids: Sequence[int]) -> Floats:
    """Embedding rows float32 [n, hidden] of a GGUF file's tokens, without loading the model."""
    with native_errors(f"{path}: "):
        return np.asarray(native_library().embedding_rows(str(path), list(ids)))


def _resident_tokens(kv: KVConfig) -> int:
    """Tokens in pages when sealed ones are away: sinks as written and as shifted, what is not sealed, a
    segment and its sealed copy, a step, forks; 0 = the decoder's default."""
    if kv.ram_bytes is None or kv.retrieval is None:
        return 0
    sinks = -(-kv.sinks // kv.page_size) * kv.page_size
    unsealed = kv.retrieval.recent + 2 * kv.retrieval.segment + kv.step_tokens
    return 2 * sinks + unsealed + 2 * kv.page_size + _FORK_TOKENS
