"""The second language-model backend: llama.cpp through its Python package, for GGUF models the native decoder
lacks.

An extra (``pip install 'edgevid[vlm]'``). All sequences of a model share one llama.cpp context, so their
appends run one after another. Past the context's length it refuses; only the native backend keeps a window.
"""

from __future__ import annotations

import codecs
import ctypes
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from edgevid.core.errors import BadModelError, CancelledError, LimitError, MissingPartError, UsageError
from edgevid.models.generation import Generating, Spelling
from edgevid.models.llm import Cancel, Floats, KVStats, LanguageConfig, Logits

_CHUNK = 512


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
        self._lib = lib = _library()
        self._path = Path(path)
        if not self._path.is_file():
            raise BadModelError(f"{path}: no such model file")
        params = lib.llama_model_default_params()
        params.use_extra_bufts = repack
        self._model = lib.llama_model_load_from_file(str(path).encode(), params)
        if not self._model:
            raise BadModelError(f"{path}: llama.cpp cannot load this file")
        self._context = lib.llama_init_from_model(
            self._model, _context_params(lib, threads, context, sequences, flash_attention, f32_kv)
        )
        if not self._context:
            lib.llama_model_free(self._model)
            raise BadModelError(f"{path}: llama.cpp cannot make a context of {context} tokens")
        self.vocabulary = lib.llama_model_get_vocab(self._model)
        self.memory = lib.llama_get_memory(self._context)
        self.capacity = int(lib.llama_n_ctx(self._context))
        self.chunk = int(lib.llama_n_batch(self._context))  # more rows in one call abort the process
        self.config = _config(lib, self._model, self.vocabulary)
        self.end_tokens = frozenset(
            t for t in range(self.config.vocab) if lib.llama_vocab_is_eog(self.vocabulary, t)
        )
        self._free_ids = list(range(sequences - 1, -1, -1))
        self.lock = threading.Lock()

    def close(self) -> None:
        """Free the context and the weights; sequences must not be used afterwards."""
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
            if not self._free_ids:
                raise LimitError(
                    "all sequences of this model are in use", fix="close one or raise sequences="
                )
            return LlamaCppSequence(self, self._free_ids.pop())

    def release(self, sequence: int) -> None:
        """Forget a sequence's tokens and let its number be used again."""
        with self.lock:
            if self._model:
                self._lib.llama_memory_seq_rm(self.memory, sequence, -1, -1)
            self._free_ids.append(sequence)

    def copy(self, source: int, target: int) -> None:
        """Give ``target`` the past of ``source``."""
        with self.lock:
            self._lib.llama_memory_seq_cp(self.memory, source, target, -1, -1)

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
        parts = []
        step = self._model.chunk
        for start in range(0, len(inputs), step):
            chunk = inputs[start : start + step]
            last = start + step >= len(inputs)
            wanted: Logits = "none" if logits == "last" and not last else logits
            parts.append(self._model.decode(self._number, self.length, chunk, wanted, stop))
            self.length += len(chunk)
        out = np.concatenate(parts) if parts else np.empty((0, self._model.config.vocab), np.float32)
        self._last = out[-1:] if len(out) else None
        return out

    def _spelling(self) -> Spelling:
        return self._model.spelling()

    def fork(self) -> LlamaCppSequence:
        """See ``LanguageSequence.fork``."""
        other = self._model.new_sequence()
        self._model.copy(self._number, other._number)
        other.length, other._last = self.length, self._last
        return other

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


def _library() -> ModuleType:
    try:
        import llama_cpp
    except ImportError as error:
        raise MissingPartError(
            "the llama.cpp backend is not installed", fix="pip install 'edgevid[vlm]'"
        ) from error
    llama_cpp.llama_log_set(_SILENT, None)
    llama_cpp.llama_backend_init()
    library: ModuleType = llama_cpp
    return library


# llama.cpp logs hundreds of lines per load; failures come back as return codes.
_SILENT = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)


def _context_params(
    lib: ModuleType, threads: int, context: int, sequences: int, flash_attention: bool, f32_kv: bool
) -> Any:
    import os

    params = lib.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = context, _CHUNK, _CHUNK
    params.n_seq_max, params.kv_unified = sequences, True
    params.n_threads = params.n_threads_batch = threads or os.cpu_count() or 1
    params.flash_attn_type = 1 if flash_attention else 0
    if f32_kv:
        params.type_k = params.type_v = 0
    params.no_perf = True
    return params


def _config(lib: ModuleType, model: Any, vocabulary: Any) -> LanguageConfig:
    def meta(key: str) -> str | None:
        buffer = ctypes.create_string_buffer(256)
        n = lib.llama_model_meta_val_str(model, key.encode(), buffer, len(buffer))
        return buffer.value.decode(errors="replace") if n >= 0 else None

    arch = meta("general.architecture") or "unknown"
    hidden, heads = int(lib.llama_model_n_embd(model)), int(lib.llama_model_n_head(model))
    template = lib.llama_model_chat_template(model, None)
    return LanguageConfig(
        architecture=arch,
        layers=int(lib.llama_model_n_layer(model)),
        hidden=hidden,
        heads=heads,
        kv_heads=int(lib.llama_model_n_head_kv(model)),
        head_dim=int(meta(f"{arch}.attention.key_length") or hidden // heads),
        vocab=int(lib.llama_vocab_n_tokens(vocabulary)),
        context_length=int(lib.llama_model_n_ctx_train(model)),
        chat_template=template.decode(errors="replace") if template else None,
    )


def _decode_error(code: int, capacity: int) -> Exception:
    if code == 2:
        return CancelledError("cancelled by the caller or past the deadline")
    if code == 1:
        return LimitError(f"the context of {capacity} tokens is full", fix="truncate or raise context=")
    return BadModelError(f"llama.cpp failed to run the model (code {code})")
