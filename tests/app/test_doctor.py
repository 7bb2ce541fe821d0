"""What ``edgevid doctor`` says of the parts of a dub, here and on a machine without them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgevid.app.doctor import Finding, _dubbing, _print, command
from edgevid.lipsync import apertium, espeak


def test_every_part_of_a_dub_is_listed_with_what_installs_it() -> None:
    result = CliRunner().invoke(command, ["--json"], standalone_mode=False)
    found = {finding["part"]: finding for finding in json.loads(result.output)["findings"]}
    for part in (
        "voice: espeak-ng",
        "translation: en-es",
        "faster_whisper",
        "ctranslate2",
        "espeakng_loader",
        "aiortc",
        "uvicorn",
        "gguf",
        "pack silero-vad",
        "pack moonshine-tiny-en",
        "pack whisper-base",
        "pack blazeface",
        "pack face-mesh",
    ):
        assert found[part]["state"] == "ok" or {"install", "pull"} & set(found[part]["fix"].split())


def test_a_machine_without_speech_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(apertium, "MODES", tmp_path)
    monkeypatch.setattr(espeak, "_libraries", lambda: iter([(str(tmp_path / "libnothing.so"), None)]))
    findings = {finding.part: finding for finding in _dubbing()}
    assert {finding.state for finding in findings.values()} == {"optional"}
    assert findings["voice: espeak-ng"].fix == espeak.INSTALL
    assert findings["translation: en-ca"].fix == "apt-get install apertium apertium-eng-cat"


def test_in_a_pipe_a_finding_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    _print(
        [Finding("pack of a long name", "missing", "what it is for " * 4, "edgevid models pull it")],
        show_all=False,
    )
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_extras_keep_their_brackets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    _print([Finding("voice", "missing", "a [part]", "pip install 'edgevid[tts]'")], show_all=False)
    printed = capsys.readouterr().out
    assert "pip install 'edgevid[tts]'" in printed
    assert "a [part]" in printed
