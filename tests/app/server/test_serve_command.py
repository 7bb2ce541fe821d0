"""``edgevid serve`` as a command: what it refuses before it listens, and with which words."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from edgevid.app.cli import main


def refused(capsys: pytest.CaptureFixture[str], *args: str | Path) -> tuple[int, str]:
    """Exit code and the one line on stderr."""
    with pytest.raises(SystemExit) as ended:
        main(["serve", *map(str, args)])
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1, err
    return int(str(ended.value.code)), err


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEVID_TOKEN", raising=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "camera.local", ""])
def test_other_addresses_than_loopback_need_a_token(capsys: pytest.CaptureFixture[str], host: str) -> None:
    code, err = refused(capsys, "--host", host)
    assert code == 2
    assert "--token-file" in err


def test_a_token_must_be_long_and_private(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    token = tmp_path / "token"
    assert "openssl rand" in refused(capsys, "--token-file", token)[1]
    token.write_text("0123456789abcdef")
    token.chmod(0o644)
    assert "chmod 600" in refused(capsys, "--token-file", token)[1]
    token.chmod(0o600)
    token.write_text("short")
    assert "at least 16" in refused(capsys, "--token-file", token)[1]
    token.write_bytes(b"\xff" * 20)
    assert "ASCII" in refused(capsys, "--token-file", token)[1]


def test_a_bad_model_or_memory_is_told_before_listening(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF" + b"\xff" * 100)
    assert refused(capsys, "--llm", bad)[0] == 3
    assert refused(capsys, "--memory", bad)[0] == 3


def test_a_port_in_use_is_one_line(capsys: pytest.CaptureFixture[str], served: Any) -> None:
    code, err = refused(capsys, "--port", str(served.port))
    assert code == 1
    assert "cannot listen" in err


def test_a_source_that_does_not_open_ends_the_start(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, err = refused(capsys, "--port", "0", "--source", tmp_path / "none.mp4")
    assert code == 3
    assert "none.mp4" in err


def test_without_the_extra_the_fix_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without_server(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("edgevid.app.server.listen"):
            raise ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_server)
    code, err = refused(capsys)
    assert code == 4
    assert "pip install 'edgevid[server]'" in err
