"""A long rendered stream watched under a cap on RAM, killed half way, resumed, then asked of the KV alone.

The model of E3 watches a frame a second; there is no timeline. A head attends at most 512 sealed rows. The
long form fills the model's context of 8,192 rows: 13 minutes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevid.bench.streaming_needles import WEIGHTS, Film, Watcher
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel, NativeSequence
from edgevid.train.tiny_vlm.questions import Question
from edgevid.train.tiny_vlm.vision import ROWS

RETRIEVAL = RetrievalConfig(min_sealed=0, max_tokens=512)
QUESTIONS = 50
UNSEALED = RETRIEVAL.recent + RETRIEVAL.segment // 2  # rows that are attended without retrieval, on average
SHORT_S, LONG_S = 120, 790

CHILD = """
import sys
from tests.reliability.test_longrun import child
child(*sys.argv[1:])
"""


def child(folder: str, session: str, seconds: str) -> None:
    """Watch from where the session file ends; a line per frame, then one of JSON with what was answered.

    Waits for a line of input after each frame, until the input ends.
    """
    watcher = Watcher(Path(folder), threads=1)
    film = watcher.film(np.random.default_rng(7), seconds=int(seconds), questions=QUESTIONS)
    model, cap = capped(Path(folder), Path(session))
    before = resident()
    with closing(model.new_sequence()) as sequence:
        resumed = sequence.length
        if resumed == 0:
            sequence.append_tokens(model.tokenize("<s>", special=True), logits="none")
        while sequence.length <= len(film.rows):
            seen = sequence.length - 1
            sequence.append_rows(film.rows[seen : seen + ROWS], logits="none")
            print(sequence.length, flush=True)
            sys.stdin.readline()
        grown = resident() - before
        shape, tokens = model.config, sequence.kv().tokens
        found = {
            "resumed": resumed,
            "grown": grown,
            "cap": cap,
            "kv_bytes": tokens * shape.layers * 2 * shape.kv_heads * shape.head_dim * 2,
            "answers": [answer(model, sequence, q) for q in film.questions],
        }
    print(json.dumps(found), flush=True)


def capped(folder: Path, session: Path) -> tuple[NativeLanguageModel, int]:
    """The model under the least RAM that will do, and that in bytes."""
    path = folder / "tiny_vlm.gguf"
    kv = KVConfig(retrieval=RETRIEVAL, session_file=session, ram_bytes=1)
    least = NativeLanguageModel(path, kv=kv, threads=1).least_ram_bytes()
    return NativeLanguageModel(path, kv=replace(kv, ram_bytes=least), threads=1), least


def answer(model: NativeLanguageModel, sequence: NativeSequence, question: Question) -> str:
    """What the model says, as many tokens as the right answer has."""
    length = len(model.tokenize(question.answer))
    with closing(sequence.fork()) as fork:
        fork.append_tokens(model.tokenize(question.prompt))
        return "".join(piece.text for piece in fork.generate(max_tokens=length))


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def watch_twice(folder: Path, session: Path, seconds: int) -> dict[str, Any]:
    """Killed at half of the stream, then resumed to its end."""
    arguments = [sys.executable, "-c", CHILD, str(folder), str(session), str(seconds)]
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdin=pipe, stdout=pipe, text=True, bufsize=1) as first:
        assert first.stdin is not None
        assert first.stdout is not None
        for _ in range(seconds // 2):
            first.stdout.readline()
            first.stdin.write("\n")
        first.send_signal(signal.SIGKILL)
        first.stdout.read()
    done = subprocess.run(arguments, input="", capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def answers_of(watcher: Watcher, film: Film, *, recent: int = 0) -> list[str]:
    with closing(watcher.watch(film, recent=recent)) as sequence:
        return [answer(watcher.model, sequence, question) for question in film.questions]


def longrun(folder: Path, session: Path, seconds: int) -> None:
    """Answers under the cap are as right as with everything kept; without retrieval they are not."""
    found = watch_twice(folder, session, seconds)
    assert (
        seconds * ROWS // 8 < found["resumed"] <= 1 + (seconds // 2 + 1) * ROWS
    )  # it went on, not began again
    watcher = Watcher(folder, threads=1)
    film = watcher.film(np.random.default_rng(7), seconds=seconds, questions=QUESTIONS)
    dense, off = answers_of(watcher, film), answers_of(watcher, film, recent=UNSEALED)
    right = {
        way: float(np.mean([a == q.answer for a, q in zip(answers, film.questions, strict=True)]))
        for way, answers in (("dense", dense), ("resumed", found["answers"]), ("off", off))
    }
    print({**found, "answers": None, **right})
    assert right["resumed"] >= right["dense"] - 0.04  # two questions of fifty
    assert right["off"] < right["dense"] - 0.2
    assert found["grown"] <= 1.05 * found["cap"]


def weights() -> Path:
    if not (WEIGHTS / "tiny_vlm.gguf").is_file():
        pytest.skip(f"the model of E3 is not in {WEIGHTS}: python -m edgevid.train.tiny_vlm.train --help")
    return WEIGHTS


def test_needles_survive_a_kill_under_a_cap(tmp_path: Path) -> None:
    longrun(weights(), tmp_path / "session.kv", SHORT_S)


@pytest.mark.soak
def test_needles_of_the_longest_stream_survive_a_kill_under_a_cap(tmp_path: Path) -> None:
    longrun(weights(), tmp_path / "session.kv", LONG_S)
