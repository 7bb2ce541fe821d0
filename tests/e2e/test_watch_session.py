from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Run


def decoder(edgevid: Run, *args: Any) -> dict[str, Any]:
    done = edgevid("watch", *args, "--channels", "cut", "--llm", "demo", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["decoder"]
    return found


@pytest.mark.packs
def test_a_decoder_goes_on_where_the_session_ended(edgevid: Run, clip: Path, tmp_path: Path) -> None:
    session = tmp_path / "door.edgevid"
    first = decoder(edgevid, clip, "--session", session)
    kv = tmp_path / "door.edgevid.kv"
    assert stat.S_IMODE(kv.stat().st_mode) == 0o600
    second = decoder(edgevid, clip, "--session", session)
    assert first["seen_tokens"] < second["seen_tokens"] == first["seen_tokens"] + second["fed_tokens"]
    kv.write_text("a letter")
    refused = edgevid("watch", clip, "--channels", "cut", "--llm", "demo", "--session", session)
    assert refused.returncode == 3
    assert "not a session file" in refused.stderr
    assert kv.read_text() == "a letter"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--save", "a", "--session", "b"), "two timelines"),
        (("--kv-ram", "1GB"), "without --session"),
        (("--kv-ram", "1GB", "--session", "b"), "without --session and --llm"),
        (("--kv-dtype", "int8"), "--kv-dtype without --llm"),
        (("--kv-dtype", "q4"), "'q4' is not one of 'f16', 'int8'"),
    ],
)
def test_options_that_contradict_are_refused(edgevid: Run, clip: Path, options: Any, says: str) -> None:
    done = edgevid("watch", clip, *options)
    assert done.returncode == 2
    assert says in done.stderr
