from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from edgevid.app.cli import _run
from edgevid.core.nouns import Observation, TimeSpan
from edgevid.memory.memory import Memory

S = 1_000_000_000


@pytest.fixture
def session(tmp_path: Path) -> Path:
    path = tmp_path / "s.edgevid"
    with Memory(path) as memory:
        video = memory.add_video("a.mp4", width=2, height=2, has_audio=True, channels=["object", "speech"])
        memory.add(video, Observation("object", "dog", TimeSpan(0, 2 * S), 0.75, count=2))
        memory.add(
            video, Observation("speech", 'say "hi",\nthen go', TimeSpan(3_661_500_000_000, 3_662 * S), 0.9)
        )
    return path


def test_jsonl_goes_to_stdout(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["export-events", str(session)]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["kind"], first["label"], first["count"], first["t_s"], first["end_s"]) == (
        "object",
        "dog",
        2,
        0,
        2,
    )
    assert second["label"] == 'say "hi",\nthen go'


def test_csv_survives_quotes_commas_and_newlines(session: Path, tmp_path: Path) -> None:
    out = tmp_path / "events.csv"
    assert _run(["export-events", str(session), "-o", str(out)]) == 0
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [(row["label"], row["count"]) for row in rows] == [("dog", "2"), ('say "hi",\nthen go', "1")]


def test_srt_holds_speech_with_times(session: Path, tmp_path: Path) -> None:
    out = tmp_path / "talk.srt"
    assert _run(["export-events", str(session), "-o", str(out)]) == 0
    assert out.read_text() == '1\n01:01:01,500 --> 01:01:02,000\nsay "hi", then go\n'


def test_missing_session_unknown_video_and_unwritable_output(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(["export-events", str(tmp_path / "none")]) == 3
    assert "no session file" in capsys.readouterr().err
    assert _run(["export-events", str(session), "--video", "9"]) == 3
    assert "choose one of 1" in capsys.readouterr().err
    assert _run(["export-events", str(session), "-o", str(tmp_path / "no" / "x.csv")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_a_timeline_is_not_written_over(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = session.read_bytes()
    assert _run(["export-events", str(session), "-o", str(session)]) == 2
    assert "the timeline itself" in capsys.readouterr().err
    assert session.read_bytes() == before


def test_a_bug_is_one_line_after_its_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgevid.app.cli.cli.main", lambda **_: 1 // 0)
    assert _run(["watch", "x", "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["code"] == "internal"
    assert "ZeroDivisionError" in err


def test_errors_are_json_under_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["watch", "--json", "--no-such-option"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "usage"
