"""The llama.cpp package: loading it, and its structures in the words of the models room."""

from __future__ import annotations

import ctypes
import os
from types import ModuleType
from typing import Any

from edgevid.core.errors import MissingPartError
from edgevid.models.llm import LanguageConfig

_CHUNK = 512  # rows of one call


def llama_cpp_library() -> ModuleType:
    """The package, silent and ready; ``MissingPartError`` when it is not installed."""
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


def context_params(
    lib: ModuleType, threads: int, context: int, sequences: int, flash_attention: bool, f32_kv: bool
) -> Any:
    """What a context is made with; the arguments are those of ``LlamaCppModel``."""
    params = lib.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = context, _CHUNK, _CHUNK
    params.n_seq_max, params.kv_unified = sequences, True
    params.n_threads = params.n_threads_batch = threads or os.cpu_count() or 1
    params.flash_attn_type = 1 if flash_attention else 0
    if f32_kv:
        params.type_k = params.type_v = 0
    params.no_perf = True
    return params


def model_config(lib: ModuleType, model: Any, vocabulary: Any) -> LanguageConfig:
    """The shape of a loaded model."""

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
        head_dim=int(meta(f"{arch}.attention.key_length") or hidden // max(heads, 1)),
        vocab=int(lib.llama_vocab_n_tokens(vocabulary)),
        context_length=int(lib.llama_model_n_ctx_train(model)),
        chat_template=template.decode(errors="replace") if template else None,
    )
