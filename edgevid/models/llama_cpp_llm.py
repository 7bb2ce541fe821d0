"""The second language-model backend: llama.cpp through its Python package, for GGUF models the native decoder
lacks.

An extra (``pip install 'edgevid[vlm]'``). All sequences of a model share one llama.cpp context, so their
appends run one after another. Past the context's length it refuses; only the native backend keeps a window.
"""

from __future__ import annotations

import codecs
import ctypes
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgevid.core.errors import BadModelError, CancelledError, LimitError, UsageError
from edgevid.models.generation import Generating, Spelling
from edgevid.models.llama_cpp_library import context_params, llama_cpp_library, model_config
from edgevid.models.llm import Cancel, Floats, KVStats, Logits


class LlamaCppModel:
    """A GGUF model run by llama.cpp on the CPU.

    Args:
        path: the GGUF file.
        threads: CPU threads; 0 takes all cores.
        context: tokens that all sequences hold together; 0 takes the model's trained context.
        sequences: how many sequences may exist at a time.
        flash_attention, f32_kv: llama.cpp's settings of these names; F16 keys and values by default.
        repack: let llama.cpp rearrange weights for AMX and the like. Off by default: with AMX its 0.3.36
            release crashes the process on some machines.

    Raises:
        MissingPartError: llama-cpp-python is not installed.
        BadModelError: llama.cpp cannot load the file.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        threads: int = 0,
        context: int = 0,
        sequences: int = 4,
        flash_attention: bool = False,
        f32_kv: bool = False,
        repack: bool = False,
    ) -> None:
        self._lib = lib = llama_cpp_library()
        self._path = Path(path)
        if not self._path.is_file():
            raise BadModelError(f"{path}: no such model file", fix="check the path")
        params = lib.llama_model_default_params()
        params.use_extra_bufts = repack
        self._model = lib.llama_model_load_from_file(os.fsencode(path), params)
        if not self._model:
            raise BadModelError(f"{path}: llama.cpp cannot load this file")
        self._context = lib.llama_init_from_model(
            self._model, context_params(lib, threads, context, sequences, flash_attention, f32_kv)
        )
        if not self._context:
            lib.llama_model_free(self._model)
            raise BadModelError(f"{path}: llama.cpp cannot make a context of {context} tokens")
        self.vocabulary = lib.llama_model_get_vocab(self._model)
        self.memory = lib.llama_get_memory(self._context)
        self.capacity = int(lib.llama_n_ctx(self._context))
        self.chunk = int(lib.llama_n_batch(self._context))  # more rows in one call abort the process
        self.config = model_config(lib, self._model, self.vocabulary)
        self.end_tokens = frozenset(
            t for t in range(self.config.vocab) if lib.llama_vocab_is_eog(self.vocabulary, t)
        )
        self._free_ids = list(range(sequences - 1, -1, -1))
        self._released: deque[int] = deque()
        self.lock = threading.Lock()

    def close(self) -> None:
        """Free the context and the weights; sequences must not be used afterwards."""
        with self.lock:
            if self._model:
                self._lib.llama_free(self._context)
                self._lib.llama_model_free(self._model)
                self._model = None

    def __enter__(self) -> LlamaCppModel:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def tokenize(self, text: str, *, special: bool = False, bos: bool = False) -> list[int]:
        """See ``LanguageModel.tokenize``."""
        data = text.encode()
        room = len(data) + 8
        ids = (self._lib.llama_token * room)()
        n = self._lib.llama_tokenize(self.vocabulary, data, len(data), ids, room, bos, special)
        if n < 0:
            raise UsageError(f"text of {len(data)} bytes does not fit {room} tokens")
        return list(ids[:n])

    def piece(self, token: int) -> bytes:
        """See ``LanguageModel.piece``."""
        buffer = ctypes.create_string_buffer(256)
        n = self._lib.llama_token_to_piece(self.vocabulary, token, buffer, len(buffer), 0, False)
        if n < 0:
            buffer = ctypes.create_string_buffer(-n)
            n = self._lib.llama_token_to_piece(self.vocabulary, token, buffer, len(buffer), 0, False)
        return bytes(buffer.raw[:n])

    def detokenize(self, ids: Sequence[int]) -> str:
        """See ``LanguageModel.detokenize``."""
        return codecs.decode(b"".join(self.piece(t) for t in ids), "utf-8", "replace")

    def embed(self, ids: Sequence[int]) -> Floats:
        """See ``LanguageModel.embed``; llama.cpp offers no access to the table, so the file is read."""
        from edgevid.models.native_llm import embedding_rows

        return embedding_rows(self._path, ids)

    def spelling(self) -> Spelling:
        """Vocabulary as generation needs it; constraints work for vocabularies that the native tokenizer
        reads."""
        from edgevid.models.native import native_library

        return Spelling(lambda: native_library().Tokenizer(str(self._path)), self.piece, self.end_tokens)

    def new_sequence(self) -> LlamaCppSequence:
        """See ``LanguageModel.new_sequence``."""
        with self.lock:
            self._reuse_released()
            if not self._free_ids:
                raise LimitError(
                    "all sequences of this model are in use", fix="close one or raise sequences="
                )
            return LlamaCppSequence(self, self._free_ids.pop())

    def release(self, sequence: int) -> None:
        """Forget a sequence's tokens and let its number be used again, at the latest when room is needed.

        Never waits: it may be called by a destructor in a thread that holds the lock.
        """
        self._released.append(sequence)
        if self.lock.acquire(blocking=False):
            try:
                self._reuse_released()
            finally:
                self.lock.release()

    def _reuse_released(self) -> None:
        while self._released:
            sequence = self._released.popleft()
            if self._model:
                self._lib.llama_memory_seq_rm(self.memory, sequence, -1, -1)
            self._free_ids.append(sequence)

    def copy(self, source: int, target: int) -> None:
        """Give ``target`` the past of ``source``."""
        with self.lock:
            self._lib.llama_memory_seq_cp(self.memory, source, target, -1, -1)

    def repeat(self, sequence: int, spare: int, length: int, times: int) -> None:
        """Copy the past of ``sequence`` behind itself, through ``spare``, which stays empty."""
        lib = self._lib
        with self.lock:
            state = (ctypes.c_uint8 * lib.llama_state_seq_get_size(self._context, sequence))()
            lib.llama_state_seq_get_data(self._context, state, len(state), sequence)
            for i in range(1, times):
                if not lib.llama_state_seq_set_data(self._context, state, len(state), spare):
                    raise _decode_error(1, self.capacity)
                lib.llama_memory_seq_add(self.memory, spare, 0, -1, i * length)
                lib.llama_memory_seq_cp(self.memory, spare, sequence, -1, -1)
                lib.llama_memory_seq_rm(self.memory, spare, -1, -1)

    def truncate(self, sequence: int, length: int) -> None:
        """Keep the first ``length`` tokens of a sequence."""
        with self.lock:
            self._lib.llama_memory_seq_rm(self.memory, sequence, length, -1)

    def decode(self, sequence: int, at: int, chunk: Any, logits: Logits, stop: Any) -> Floats:
        """One llama_decode over ids (a list) or rows (float32 [n, hidden]) at positions from ``at``."""
        n, lib = len(chunk), self._lib
        rows = isinstance(chunk, np.ndarray)
        batch = lib.llama_batch_init(n, self.config.hidden if rows else 0, 1)
        try:
            batch.n_tokens = n
            if rows:
                ctypes.memmove(batch.embd, chunk.ctypes.data, chunk.nbytes)
            for i in range(n):
                if not rows:
                    batch.token[i] = chunk[i]
                batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0] = at + i, 1, sequence
                batch.logits[i] = logits == "all" or (logits == "last" and i == n - 1)
            with self.lock:
                self._reuse_released()
                lib.llama_set_abort_callback(self._context, stop, None)
                code = lib.llama_decode(self._context, batch)
                if code != 0:
                    lib.llama_memory_seq_rm(self.memory, sequence, at, -1)
                    raise _decode_error(code, self.capacity)
                lib.llama_synchronize(self._context)
                return self._logits({"all": n, "last": 1, "none": 0}[logits])
        finally:
            lib.llama_batch_free(batch)

    def _logits(self, rows: int) -> Floats:
        if rows == 0:
            return np.empty((0, self.config.vocab), np.float32)
        pointer = self._lib.llama_get_logits(self._context)
        return np.ctypeslib.as_array(pointer, (rows, self.config.vocab)).copy()

    def abort_callback(self, cancel: Cancel | None, deadline: float | None) -> Any:
        """What llama.cpp asks before each node of its graph; a null callback when there is nothing to ask."""
        kind = self._lib.ggml_abort_callback
        if cancel is None and deadline is None:
            return kind()

        def stop(_: Any) -> bool:
            return (cancel is not None and cancel.is_set()) or (
                deadline is not None and time.monotonic() >= deadline
            )

        return kind(stop)


class LlamaCppSequence(Generating):
    """See ``LanguageSequence``."""

    def __init__(self, model: LlamaCppModel, number: int) -> None:
        self._model = model
        self._number = number
        self._open = True
        self._last: Floats | None = None
        self.length = 0

    def append_tokens(
        self,
        ids: Sequence[int],
        *,
        logits: Logits = "last",
        cancel: Cancel | None = None,
        deadline_s: float | None = None,
    ) -> Floats:
        """See ``LanguageSequence.append_tokens``."""
        vocab = self._model.config.vocab
        if not all(0 <= t < vocab for t in ids):
            raise UsageError(f"a token id is outside 0..{vocab - 1}")
        return self._append(list(ids), logits, cancel, deadline_s)

    def append_rows(
        self,
        rows: Floats,
        *,
        logits: Logits = "last",
        cancel: Cancel | None = None,
        deadline_s: float | None = None,
    ) -> Floats:
        """See ``LanguageSequence.append_rows``."""
        hidden = self._model.config.hidden
        if rows.ndim != 2 or rows.shape[1] != hidden:
            raise UsageError(f"rows have shape {rows.shape}, not [n, {hidden}]")
        return self._append(np.ascontiguousarray(rows, dtype=np.float32), logits, cancel, deadline_s)

    def _append(self, inputs: Any, logits: Logits, cancel: Cancel | None, deadline_s: float | None) -> Floats:
        stop = self._model.abort_callback(
            cancel, None if deadline_s is None else time.monotonic() + deadline_s
        )
        self._last = None
        parts = []
        step = self._model.chunk
        for start in range(0, len(inputs), step):
            chunk = inputs[start : start + step]
            last = start + step >= len(inputs)
            wanted: Logits = "none" if logits == "last" and not last else logits
            parts.append(self._model.decode(self._number, self.length, chunk, wanted, stop))
            self.length += len(chunk)
        out = np.concatenate(parts) if parts else np.empty((0, self._model.config.vocab), np.float32)
        if len(out):
            self._last = out[-1:]
        return out

    def _spelling(self) -> Spelling:
        return self._model.spelling()

    def fork(self) -> LlamaCppSequence:
        """See ``LanguageSequence.fork``."""
        other = self._model.new_sequence()
        self._model.copy(self._number, other._number)
        other.length, other._last = self.length, self._last
        return other

    def repeat(self, times: int) -> None:
        """Have the past ``times`` times in a row, each at the positions that follow: keys are rotated on, and
        nothing is computed again. A long past without its prefill, as benches need it.

        Raises:
            LimitError: the context is too small, or all sequences of the model are in use.
        """
        spare = self._model.new_sequence()
        try:
            self._model.repeat(self._number, spare._number, self.length, times)
        finally:
            spare.close()
        self.length, self._last = self.length * times, None

    def truncate(self, length: int) -> None:
        """See ``LanguageSequence.truncate``."""
        if not 0 <= length <= self.length:
            raise UsageError(f"cannot truncate {self.length} tokens to {length}")
        self._model.truncate(self._number, length)
        self.length, self._last = length, None

    def kv(self) -> KVStats:
        """See ``LanguageSequence.kv``."""
        c = self._model.config
        bytes_per_token = c.layers * c.kv_heads * c.head_dim * 2 * 2
        return KVStats(self.length, self.length, 0, self.length * bytes_per_token, "dense")

    def close(self) -> None:
        """See ``LanguageSequence.close``."""
        if self._open:
            self._open = False
            self._model.release(self._number)

    def __del__(self) -> None:
        self.close()


def _decode_error(code: int, capacity: int) -> Exception:
    if code == 2:
        return CancelledError("cancelled by the caller or past the deadline")
    if code == 1:
        return LimitError(f"the context of {capacity} tokens is full", fix="truncate or raise context=")
    return BadModelError(f"llama.cpp failed to run the model (code {code})")
