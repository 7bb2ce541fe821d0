"""``edgevid watch`` from the outside: what it prints, what it leaves behind, and how it fails."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgevid.memory.memory import Memory
from edgevid.models.store import ModelStore
from tests.e2e.conftest import Run, json_lines


def test_json_lines_hold_events_answers_and_stats(edgevid: Run, clip: Path) -> None:
    done = edgevid("watch", clip, "--channels", "cut", "--ask", "How many scenes are there?", "--json")
    assert done.returncode == 0, done.stderr
    lines = json_lines(done.stdout)
    (cut,) = [line for line in lines if line["type"] == "event"]
    assert cut["kind"] == "cut"
    assert cut["t_s"] == pytest.approx(2.0, abs=0.15)
    (answer,) = [line for line in lines if line["type"] == "answer"]
    assert answer["text"].startswith("2 scenes")
    assert [e["rows"] for e in answer["evidence"]] == [[cut["row"]]]
    stats = lines[-1]
    assert stats["type"] == "stats"
    assert 8 <= stats["frames"] <= 9  # two a second, and one at once after the cut
    assert stats["media_s"] == pytest.approx(4.0, abs=0.1)
    assert stats["stages"]["cut"]["runs"] >= 30


def test_a_saved_session_is_private_exports_and_resumes(edgevid: Run, clip: Path, tmp_path: Path) -> None:
    saved = tmp_path / "s.edgevid"
    assert edgevid("watch", clip, "--channels", "cut", "--save", saved).returncode == 0
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    exported = edgevid("export-events", saved, "--format", "csv")
    assert exported.stdout.splitlines()[1].split(",")[2:4] == ["cut", "cut"]
    from edgevid.stream.session import StreamSession

    with StreamSession.resume(saved, channels=("cut",)) as session:
        assert session.ask("How many cuts?").text.startswith("1 cut")


def test_a_contact_sheet_is_a_png(edgevid: Run, clip: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    assert edgevid("watch", clip, "--channels", "cut", "--sheet", sheet).returncode == 0
    assert sheet.read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize(
    ("make", "code", "says"),
    [
        (lambda path: None, 3, "no"),
        (lambda path: path.write_bytes(b""), 3, "empty"),
        (lambda path: path.write_text("just some words\n" * 50), 3, ""),
        (lambda path: path.mkdir(), 3, ""),
    ],
    ids=["missing", "empty", "text", "empty folder"],
)
def test_bad_input_is_one_line_with_exit_code_3(edgevid: Run, tmp_path: Path, make, code, says) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "input.mp4"
    make(path)
    done = edgevid("watch", path, "--channels", "cut")
    assert done.returncode == code
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    as_json = edgevid("watch", path, "--channels", "cut", "--json")
    assert json.loads(as_json.stdout)["error"]["code"] == "bad_input"


def test_a_truncated_file_is_watched_as_far_as_it_goes(edgevid: Run, clip: Path, tmp_path: Path) -> None:
    import av

    whole = tmp_path / "whole.mkv"
    with av.open(str(clip)) as source, av.open(str(whole), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    cut = tmp_path / "cut.mkv"
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) * 2 // 3])
    done = edgevid("watch", cut, "--channels", "cut", "--json")
    assert done.returncode == 0, done.stderr
    stats = json_lines(done.stdout)[-1]
    assert 1 <= stats["frames"] < 8
    assert stats["warnings"]


def test_usage_errors_exit_with_2(edgevid: Run, clip: Path) -> None:
    for args in (
        ["--channels", "smell"],
        ["--fps", "0"],
        ["--start", "3", "--end", "2"],
        ["--threads", "-1"],
    ):
        done = edgevid("watch", clip, *args)
        assert done.returncode == 2, (args, done.stderr)
        assert done.stderr.startswith("error: ")


def test_a_missing_pack_names_the_command_that_pulls_it(edgevid: Run, clip: Path, tmp_path: Path) -> None:
    done = edgevid("watch", clip, "--channels", "object", EDGEVID_CACHE=str(tmp_path))
    assert done.returncode == 4
    assert "edgevid models pull centernet-coco" in done.stderr


def test_output_into_a_missing_folder_is_refused_before_watching(
    edgevid: Run, clip: Path, tmp_path: Path
) -> None:
    done = edgevid("watch", clip, "--channels", "cut", "--save", tmp_path / "none" / "s.edgevid")
    assert done.returncode == 3
    assert "mkdir -p" in done.stderr


def test_a_bad_model_file_is_refused(edgevid: Run, clip: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF" + b"\xff" * 200)
    done = edgevid("watch", clip, "--channels", "cut", "--llm", model)
    assert done.returncode == 3, done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_ctrl_c_exits_with_130_and_keeps_what_was_seen(tmp_path: Path) -> None:
    long = tmp_path / "long.y4m"
    picture = b"FRAME\n" + bytes(range(256)) * 12  # 64 x 48
    with long.open("wb") as file:
        file.write(b"YUV4MPEG2 W64 H48 F8:1 Ip A1:1 Cmono\n")
        for _ in range(30_000):
            file.write(picture)
    saved = tmp_path / "s.edgevid"
    args = [sys.executable, "-m", "edgevid", "watch", str(long), "--channels", "cut", "--save", str(saved)]
    process = subprocess.Popen([*args, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _wait_for_a_video(saved)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert json.loads(out.splitlines()[-1])["error"]["code"] == "interrupted"
    from edgevid.memory.memory import Memory

    with Memory(saved) as memory:
        (video,) = memory.videos()
        assert 0 <= (video.duration_ns or 0) < 3750 * 1_000_000_000


def _wait_for_a_video(saved: Path) -> None:
    """Until the watching process has begun."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(sqlite3.Error), sqlite3.connect(f"file:{saved}?mode=ro", uri=True) as db:
            if db.execute("SELECT count(*) FROM video").fetchone()[0]:
                return
        time.sleep(0.02)
    raise AssertionError("watching did not begin")


@pytest.mark.packs
def test_all_channels_and_the_demo_decoder_on_the_sample(edgevid: Run, store: ModelStore) -> None:
    from edgevid.app.sample import sample_video

    done = edgevid(
        *("watch", sample_video(store), "--llm", "demo", "--json"),
        *("--ask", "What is on the road?", "--ask", "What does the speaker say?"),
        timeout_s=600,
    )
    assert done.returncode == 0, done.stderr
    lines = json_lines(done.stdout)
    seen = {(line["kind"], line["label"]) for line in lines if line["type"] == "event"}
    assert {("object", "car"), ("object", "person"), ("sound", "Speech")} <= seen
    road, speech = [line for line in lines if line["type"] == "answer"]
    assert "car" in road["text"].lower()
    assert "best of times" in speech["text"]
    assert all("demo" in call for call in road["calls"][1:])
    decoder = lines[-1]["decoder"]
    assert decoder["decoded_tokens"] > 0
    assert lines[-1]["kv_tokens"] > 16 * 10


def test_a_file_may_be_named_by_any_bytes(edgevid: Run, clip: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    try:
        (tmp_path / name).write_bytes(clip.read_bytes())
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    saved = tmp_path / "s.edgevid"
    args = ("--channels", "cut", "--ask", os.fsdecode(b"How many cuts? \xff"))
    strict = {"PYTHONIOENCODING": "utf-8:strict"}
    done = edgevid("watch", tmp_path / name, clip, *args, "--save", saved, "--json", **strict)
    assert done.returncode == 0, done.stderr
    assert {line["source"] for line in json_lines(done.stdout)} == {name, clip.name}
    with Memory(saved) as memory:
        assert {video.label for video in memory.videos()} == {"caf\\udce9.mp4", clip.name}
    done = edgevid("watch", tmp_path / name, *args, **strict)
    assert done.returncode == 0, done.stderr
    assert "caf\\udce9.mp4" in done.stdout
