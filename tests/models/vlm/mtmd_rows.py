"""What llama.cpp itself makes of a picture: rows of the connector, through llama-cpp-python's mtmd."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from llama_cpp import mtmd_cpp as mtmd

_MARKER = b"<__media__>"
_IMAGE_CHUNK = 1


def mtmd_rows(text: Path, mmproj: Path, image: np.ndarray[Any, np.dtype[np.uint8]], hidden: int) -> list[Any]:
    """float32 [rows, hidden] of each piece that llama.cpp cuts the picture into, the whole last."""
    model = llama_cpp.Llama(str(text), n_ctx=256, verbose=False, n_threads=1)
    params = mtmd.mtmd_context_params_default()
    params.use_gpu, params.warmup, params.n_threads, params.media_marker = False, False, 1, _MARKER
    context = mtmd.mtmd_init_from_file(str(mmproj).encode(), model._model.model, params)
    assert context, "llama.cpp does not load this mmproj file"
    height, width, _ = image.shape
    pixels = np.ascontiguousarray(image)
    pointer = pixels.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
    bitmap = mtmd.mtmd_bitmap_init(width, height, pointer)
    prompt = mtmd.mtmd_input_text()
    prompt.text, prompt.text_len = _MARKER, len(_MARKER)
    prompt.add_special, prompt.parse_special = False, True
    chunks = mtmd.mtmd_input_chunks_init()
    try:
        bitmaps = (mtmd.mtmd_bitmap_p_ctypes * 1)(bitmap)
        assert mtmd.mtmd_tokenize(context, chunks, ctypes.byref(prompt), bitmaps, 1) == 0
        found = []
        for index in range(mtmd.mtmd_input_chunks_size(chunks)):
            chunk = mtmd.mtmd_input_chunks_get(chunks, index)
            if mtmd.mtmd_input_chunk_get_type(chunk) == _IMAGE_CHUNK:
                rows = mtmd.mtmd_input_chunk_get_n_tokens(chunk)
                assert mtmd.mtmd_encode_chunk(context, chunk) == 0
                values = mtmd.mtmd_get_output_embd(context)
                found.append(np.ctypeslib.as_array(values, shape=(rows, hidden)).copy())
        return found
    finally:
        mtmd.mtmd_input_chunks_free(chunks)
        mtmd.mtmd_bitmap_free(bitmap)
        mtmd.mtmd_free(context)
        model.close()
