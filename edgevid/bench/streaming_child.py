"""The process whose memory ``edgevid bench streaming --only rss`` watches: ``python -m ... FOLDER SETTINGS``.

It appends the frames in FOLDER to a sequence under a cap until its window is full, and prints what it held.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing
from pathlib import Path

import numpy as np

from edgevid.bench.streaming_traces import ROWS
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel


def main(folder: Path, told: dict[str, object]) -> dict[str, int]:
    """Resident bytes after the first frame (``first``) and at most (``peak``); KV bytes kept, and tokens."""
    frames = np.load(folder / "frames.npy")
    kv = KVConfig(
        retrieval=RetrievalConfig(**told["retrieval"]),  # type: ignore[arg-type]
        session_file=folder / "session.kv",
        ram_bytes=int(str(told["cap"])),
        max_tokens=int(str(told["window"])),
    )
    model = NativeLanguageModel(folder / "long.gguf", kv=kv, threads=int(str(told["threads"])))
    shape = model.config
    first = peak = 0
    with closing(model.new_sequence()) as sequence:
        most = at = 0
        while sequence.kv().tokens >= most:  # the first drop of the window ends it
            most = sequence.kv().tokens
            sequence.append_rows(frames[at : at + ROWS], logits="none")
            at = (at + ROWS) % (len(frames) // ROWS * ROWS)
            now = _resident_bytes()
            first, peak = first or now, max(peak, now)
    token_bytes = 4 * shape.layers * shape.kv_heads * shape.head_dim
    return {"first": first, "peak": peak, "kv": most * token_bytes, "tokens": most}


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), json.loads(sys.argv[2]))))
