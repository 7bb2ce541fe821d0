"""Sentences to vectors whose dot product is their similarity, by the pack minilm-l6-int8."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edgevid.models.session import onnx_session
from edgevid.models.store import ModelStore
from edgevid.models.wordpiece import WordPiece

Vectors: TypeAlias = npt.NDArray[np.float32]

_PACK = "minilm-l6-int8"


class TextEmbedder:
    """all-MiniLM-L6-v2: texts (English, the first 126 word pieces count) to unit vectors. Safe for threads.

    Args:
        store: where the pack minilm-l6-int8 is.
        threads: how many threads a run may use.
        batch: how many texts go through the network at once.
        cache: how many texts' vectors are remembered (1.5 kB each).

    Raises:
        MissingPartError, BadModelError: as `ModelStore.where`.
    """

    dim = 384
    model_id = _PACK

    def __init__(self, store: ModelStore, *, threads: int = 1, batch: int = 32, cache: int = 4096) -> None:
        files = store.where(_PACK)
        self._tokenize = WordPiece.load(files["tokenizer.json"])
        self._session = onnx_session(files["model.onnx"], threads=threads, name=_PACK)
        self._batch = batch
        self._size = cache
        self._cache: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = Lock()

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), 384], each row of length 1."""
        with self._lock:
            known = {text: self._cache[text] for text in texts if text in self._cache}
        fresh = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(fresh, self._embed_all(fresh), strict=True))
        with self._lock:
            for text in texts:
                self._cache[text] = known[text]
                self._cache.move_to_end(text)
            while len(self._cache) > self._size:
                self._cache.popitem(last=False)
        return np.stack([known[text] for text in texts]) if texts else np.empty((0, self.dim), np.float32)

    def _embed_all(self, texts: Sequence[str]) -> list[Vectors]:
        """Rows in the order of `texts`; texts of like length share a batch, so that little is padding."""
        ids = [self._tokenize(text) for text in texts]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        rows: dict[int, Vectors] = {}
        for start in range(0, len(order), self._batch):
            part = order[start : start + self._batch]
            rows.update(zip(part, self._embed([ids[i] for i in part]), strict=True))
        return [rows[i] for i in range(len(ids))]

    def _embed(self, ids: Sequence[Sequence[int]]) -> Vectors:
        """Mean of the token states, then unit length (Reimers and Gurevych 2019)."""
        tokens = np.zeros((len(ids), max(map(len, ids))), np.int64)
        mask = np.zeros_like(tokens)
        for row, (token_row, mask_row) in zip(ids, zip(tokens, mask, strict=True), strict=True):
            token_row[: len(row)] = row
            mask_row[: len(row)] = 1
        feed = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
        (states,) = self._session.run(feed)
        mean = (states * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        vectors: Vectors = (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)
        return vectors
