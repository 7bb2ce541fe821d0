"""Session files and the cap on RAM: the same text as without them, whatever ends the process."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgevid.core.errors import BadInputError, UsageError
from edgevid.core.kv_config import KVConfig, KvDtype, RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel
from tests.models.tiny_gguf import TinyModel, write_tiny

IDS = [int(t) for t in np.random.default_rng(3).integers(0, 257, 600)]
RETRIEVAL = RetrievalConfig(segment=32, recent=16, clusters=8, min_sealed=0, mass=0.9)
KV = KVConfig(page_size=16, sinks=16, retrieval=RETRIEVAL)
IN_INT8 = replace(KV, dtype="int8")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf", TinyModel(context=1024))


def feed(model: NativeLanguageModel, ids: list[int], step: int = 10) -> np.ndarray:
    sequence = model.new_sequence()
    rows = [sequence.append_tokens(ids[at : at + step], logits="all") for at in range(0, len(ids), step)]
    sequence.close()
    return np.concatenate(rows)


@pytest.mark.parametrize("kept", [KV, IN_INT8], ids=["f16", "int8"])
def test_a_cap_on_ram_changes_no_logit(tiny: Path, tmp_path: Path, kept: KVConfig) -> None:
    plain = feed(NativeLanguageModel(tiny, kv=kept), IDS)
    for ram in (1_400_000, 4_000_000):
        kv = replace(kept, session_file=tmp_path / f"{ram}.kv", ram_bytes=ram)
        model = NativeLanguageModel(tiny, kv=kv, kv_tokens=320)
        assert np.array_equal(feed(model, IDS), plain)


@pytest.mark.parametrize("kept", [KV, IN_INT8], ids=["f16", "int8"])
def test_a_resumed_sequence_says_what_it_would_have_said(tiny: Path, tmp_path: Path, kept: KVConfig) -> None:
    plain = feed(NativeLanguageModel(tiny, kv=kept), IDS)
    kv = replace(kept, session_file=tmp_path / "session.kv")
    sequence = NativeLanguageModel(tiny, kv=kv).new_sequence()
    for at in range(0, 330, 10):
        sequence.append_tokens(IDS[at : at + 10])
    sequence.mark = 77
    sequence.checkpoint()
    sequence.close()
    for resumed_kv in (kv, replace(kv, ram_bytes=4_000_000)):
        sequence = NativeLanguageModel(tiny, kv=resumed_kv).new_sequence()
        assert sequence.length == 330
        assert sequence.mark == 77
        with pytest.raises(BadInputError, match="in use"):
            NativeLanguageModel(tiny, kv=kv).new_sequence()
        got = sequence.append_tokens(IDS[330:340], logits="all")
        assert np.array_equal(got, plain[330:340])
        sequence.close()
    assert stat.S_IMODE((tmp_path / "session.kv").stat().st_mode) == 0o600


def test_any_sequence_can_be_saved(tiny: Path, tmp_path: Path) -> None:
    for retrieval in (None, RETRIEVAL):
        model = NativeLanguageModel(tiny, kv=replace(KV, retrieval=retrieval, max_tokens=200), kv_tokens=900)
        sequence = model.new_sequence()
        for at in range(0, 300, 10):
            sequence.append_tokens(IDS[at : at + 10])
        path = tmp_path / "saved.kv"
        sequence.save(path)
        sequence.save(path)
        resumed = model.new_sequence(session_file=path)
        assert resumed.length == 300
        assert resumed.kv().tokens == sequence.kv().tokens
        want = sequence.append_tokens(IDS[300:310], logits="all")
        assert np.array_equal(resumed.append_tokens(IDS[300:310], logits="all"), want)
        resumed.close()
        assert [p.name for p in tmp_path.iterdir()] == ["saved.kv"]
        path.unlink()


def test_other_files_and_settings_are_refused(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "session.kv"
    model = NativeLanguageModel(tiny, kv=KV)
    model.new_sequence(session_file=path).close()
    other = write_tiny(tmp_path / "other.gguf", TinyModel(context=1024, seed=5))
    with pytest.raises(BadInputError, match="another model"):
        NativeLanguageModel(other, kv=KV).new_sequence(session_file=path)
    coarse = replace(KV, retrieval=replace(RETRIEVAL, clusters=4))
    with pytest.raises(BadInputError, match="other KV settings"):
        NativeLanguageModel(tiny, kv=coarse).new_sequence(session_file=path)
    with pytest.raises(BadInputError, match="it keeps f16 keys and values, this model was opened with int8"):
        NativeLanguageModel(tiny, kv=IN_INT8).new_sequence(session_file=path)
    path.write_text("a letter")
    with pytest.raises(BadInputError, match="not a session file"):
        model.new_sequence(session_file=path)
    assert path.read_text() == "a letter"
    with pytest.raises(BadInputError, match="No such file"):
        model.new_sequence(session_file=tmp_path / "no" / "session.kv")
    with pytest.raises(UsageError, match="must be at least"):
        kv = replace(KV, session_file=tmp_path / "new.kv", ram_bytes=100_000)
        NativeLanguageModel(tiny, kv=kv).new_sequence()
    with pytest.raises(UsageError, match="no session file"):
        model.new_sequence().checkpoint()


def test_impossible_configs_are_refused() -> None:
    for wrong in (
        {"ram_bytes": 1},
        {"ram_bytes": 0, "session_file": "x"},
        {"ram_bytes": 1, "session_file": "x"},
    ):
        with pytest.raises(ValueError, match="ram_bytes"):
            KVConfig(**wrong)
    with pytest.raises(ValueError, match="must be f16 or int8"):
        KVConfig(dtype="int4")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="step_tokens"):
        KVConfig(step_tokens=0)
    for clusters in (-16, 8):
        with pytest.raises(ValueError, match="multiple of 16"):
            RetrievalConfig(mean_clusters=clusters)
    with pytest.raises(ValueError, match="max_pages"):
        RetrievalConfig(max_pages=-1)


def test_bounds_on_tables_pages_and_steps_lower_the_least_cap(tiny: Path, tmp_path: Path) -> None:
    def least(kv: KVConfig) -> int:
        return NativeLanguageModel(tiny, kv=kv).least_ram_bytes()

    retrieval = RetrievalConfig(segment=64, recent=64, clusters=64)
    wide = KVConfig(page_size=16, retrieval=retrieval, session_file=tmp_path / "none.kv", ram_bytes=1)
    for narrow in (
        replace(wide, retrieval=replace(retrieval, mean_clusters=16)),
        replace(wide, retrieval=replace(retrieval, max_tokens=8)),
        replace(wide, retrieval=replace(retrieval, max_pages=8)),
        replace(wide, step_tokens=4),
    ):
        assert least(narrow) < least(wide)


STREAM = """
import sys
from tests.kv.test_sessions import stream
stream(*sys.argv[1:])
"""


def stream(model: str, session: str, dtype: KvDtype) -> None:
    """Feed tokens for ever; tell what is sealed after each step."""
    kv = replace(KV, session_file=session, ram_bytes=4_000_000, max_tokens=400, dtype=dtype)
    sequence = NativeLanguageModel(model, kv=kv, threads=1).new_sequence()
    while True:
        sequence.append_tokens(IDS[:10], logits="none")
        found = sequence.retrieval()
        assert found is not None
        dropped = sequence.kv().seen - sequence.kv().tokens
        print(dropped + KV.sinks + found["sealed"] if found["sealed"] else 0, flush=True)


@pytest.mark.parametrize("dtype", ["f16", "int8"])
def test_a_killed_process_loses_nothing_sealed(tiny: Path, tmp_path: Path, dtype: KvDtype) -> None:
    session = tmp_path / "session.kv"
    for kill_after in (30, 75):
        args = [sys.executable, "-c", STREAM, str(tiny), str(session), dtype]
        with subprocess.Popen(args, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for _ in range(kill_after):
                sealed = int(child.stdout.readline())
            os.kill(child.pid, signal.SIGKILL)
            sealed = max([sealed, *map(int, child.stdout.read().split())])
        kv = replace(KV, session_file=session, max_tokens=400, dtype=dtype)
        sequence = NativeLanguageModel(tiny, kv=kv).new_sequence()
        assert sequence.length >= sealed > 0
        sequence.close()


GROWTH = """
import sys
from tests.kv.test_sessions import growth
growth(*sys.argv[1:])
"""


def growth(model: str, session: str, cap: str, tokens: str) -> None:
    """Print the growth of resident memory after the first step, and the tokens that were kept."""
    retrieval = RetrievalConfig(segment=256, recent=128, clusters=4, mass=0.5, max_tokens=512)
    kv = KVConfig(page_size=64, sinks=64, retrieval=retrieval, session_file=session, ram_bytes=int(cap))
    sequence = NativeLanguageModel(model, kv=kv, kv_tokens=900, threads=1).new_sequence()
    rows = np.random.default_rng(1).standard_normal((32, 256), dtype=np.float32)
    sequence.append_rows(rows, logits="none")
    before = resident()
    while sequence.length < int(tokens):
        sequence.append_rows(rows, logits="none")
    print(resident() - before, sequence.kv().tokens)


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("cap", "tokens", "times"),
    [(9_000_000, 6144, 3), pytest.param(20_000_000, 24576, 6, marks=pytest.mark.soak)],
)
def test_resident_memory_keeps_to_the_cap(tmp_path: Path, cap: int, tokens: int, times: int) -> None:
    shape = TinyModel(layers=20, context=tokens, ff=64)
    model = write_tiny(tmp_path / "long.gguf", shape)
    args = [sys.executable, "-c", GROWTH, str(model), str(tmp_path / "session.kv"), str(cap), str(tokens)]
    done = subprocess.run(args, capture_output=True, text=True, check=True)
    grown, kept = map(int, done.stdout.split())
    kv_bytes = kept * shape.layers * 2 * shape.kv_heads * shape.head_dim * 2
    assert kv_bytes > times * cap
    assert grown <= 1.05 * cap
