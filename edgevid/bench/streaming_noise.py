"""E5: streams that retrieval cannot help with must not make it slow.

Noise has no clusters and every cut makes a new one, so choosing costs and saves little; the cache then goes
over to attending everything. Both ways append the same frames in turn, and what they took in all is compared.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

import numpy as np

from edgevid.bench.report import Row
from edgevid.bench.streaming_nll import retrieved_share
from edgevid.bench.streaming_traces import ROWS, Floats, noise_rows
from edgevid.core.kv_config import RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel, NativeSequence

GOAL = 1.15


def cut_often(rows: Floats, *, seed: int = 0) -> Floats:
    """The frames of a stream in random order: a cut between any two."""
    frames = rows.reshape(-1, ROWS, rows.shape[1])
    return frames[np.random.default_rng(seed).permutation(len(frames))].reshape(rows.shape)


def random_rows(model: NativeLanguageModel, *, frames: int, seed: int = 0) -> Floats:
    """Rows that no picture gives: random, each as long as a word's embedding is."""
    words = model.embed(range(256))
    rng = np.random.default_rng(seed)
    return rng.standard_normal((frames * ROWS, words.shape[1]), np.float32) * np.float32(words.std())


def hard_streams(model: NativeLanguageModel, video: Floats) -> dict[str, Floats]:
    """What E5 is measured on, as long as ``video``, the rows of real frames."""
    frames = len(video) // ROWS
    return {
        "cuts between all frames": cut_often(video),
        "pictures of noise": noise_rows(model, frames=frames),
        "random rows": random_rows(model, frames=frames),
    }


def rows(
    model: NativeLanguageModel, streams: Mapping[str, Floats], config: RetrievalConfig, *, steps: int
) -> Iterator[Row]:
    """A row per stream: its last ``steps`` frames, after all the others."""
    for what, stream in streams.items():
        depth = len(stream) - steps * ROWS
        with closing(model.new_sequence()) as dense:
            dense.append_rows(stream[:depth], logits="none")
            with closing(dense.fork(retrieval=config)) as ours:
                whole, chosen = _in_turn((dense, ours), stream[depth:])
                share = retrieved_share(ours.retrieval())
        method = (
            f"{steps} frames of {ROWS} rows at depth {depth}, in turn: {1e3 * chosen / steps:.1f} ms a frame "
            f"with retrieval, {1e3 * whole / steps:.1f} ms dense; {share:.0%} of sealed tokens attended"
        )
        ratio = chosen / whole
        yield Row(f"E5 {what}, over dense", round(ratio, 3), "x", GOAL, ratio <= GOAL, method)


def _in_turn(sequences: Sequence[NativeSequence], stream: Floats) -> list[float]:
    """Seconds that each sequence took for all frames; the first frame warms up."""
    took = [0.0] * len(sequences)
    for begin in range(0, len(stream), ROWS):
        for i, sequence in enumerate(sequences):
            began = time.perf_counter()
            sequence.append_rows(stream[begin : begin + ROWS], logits="none")
            if begin:
                took[i] += time.perf_counter() - began
    return took
