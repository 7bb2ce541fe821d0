"""``edgevid watch`` with several sources, a config file, alerts, a trace, and questions while it watches."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgevid.models.store import ModelStore
from tests.e2e.conftest import Run, json_lines

CUTS = ("--channels", "cut")


def test_several_sources_at_once(edgevid: Run, clip: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(clip.read_bytes())
    done = edgevid(
        "watch", clip, other, *CUTS, "--json", "--ask", "other.mp4: how many cuts?", "--ask", "How many cuts?"
    )
    assert done.returncode == 0, done.stderr
    lines = json_lines(done.stdout)
    names = {"two scenes.mp4", "other.mp4"}
    assert {line["source"] for line in lines if line["type"] == "event"} == names
    answers = [(line["source"], line["text"][:5]) for line in lines if line["type"] == "answer"]
    assert answers[0] == ("other.mp4", "1 cut")
    assert {source for source, _ in answers[1:]} == names
    assert [line["source"] for line in lines[-2:]] == ["two scenes.mp4", "other.mp4"]
    assert all(line["type"] == "stats" and line["channels"]["eye"]["dropped"] == 0 for line in lines[-2:])


def test_a_config_file(edgevid: Run, clip: Path, tmp_path: Path) -> None:
    saved = tmp_path / "day.edgevid"
    config = tmp_path / "cameras.toml"
    config.write_text(
        f"save = {str(saved)!r}\nchannels = ['cut']\n[keep]\nage = '7d'\n"
        f"[[camera]]\nname = 'door'\nsource = {str(clip)!r}\n"
        f"[[camera]]\nname = 'yard'\nsource = {str(clip)!r}\nfps = 1.0\n"
    )
    done = edgevid("watch", "--config", config, "--json")
    assert done.returncode == 0, done.stderr
    assert {line["source"] for line in json_lines(done.stdout)} == {"door", "yard"}
    from edgevid.memory.memory import Memory

    with Memory(saved) as memory:
        assert sorted(video.label or "" for video in memory.videos()) == ["door", "yard"]


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        ((), 2, "name one or more sources"),
        (("{clip}", "--config", "{config}"), 2, "name one or more sources"),
        (("--config", "{config}"), 3, ":2: [[camera]] 1: sauce: is not a key"),
        (("--config", "{config}", "--fps", "3"), 2, "--fps and --config"),
        (("{clip}", "--notify", "a unicorn"), 2, "cannot notify of"),
        (("{clip}", "--notify", "a dog", "--channels", "cut"), 2, "needs the channel"),
        (("{clip}", "--notify-command", "true"), 2, "nothing to tell of"),
        (("{clip}", "--channels", "cut", "--keep-age", "soon"), 2, "is no age"),
        (("{clip}", "{clip}", "--channels", "cut", "--sheet", "s.png"), 2, "one source"),
    ],
)
def test_what_is_refused_is_one_line(edgevid: Run, clip: Path, tmp_path: Path, args, code, says) -> None:  # type: ignore[no-untyped-def]
    config = tmp_path / "c.toml"
    config.write_text(f"[[camera]]\nsauce = {str(clip)!r}\nsource = 'x'\n")
    saved = tmp_path / "s.edgevid"
    save = () if "--config" in args else ("--save", saved)
    done = edgevid("watch", *(arg.format(clip=clip, config=config) for arg in args), *save)
    assert not saved.exists()
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_broken_file_among_several_is_told_before_watching(
    edgevid: Run, clip: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all" * 100)
    done = edgevid("watch", clip, broken, *CUTS, "--json")
    assert done.returncode == 3
    (line,) = json_lines(done.stdout)
    assert line["error"]["code"] == "bad_input"


def test_a_trace_shows_the_stages(edgevid: Run, clip: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    assert edgevid("watch", clip, *CUTS, "--trace", trace).returncode == 0
    names = {event["name"] for event in json.loads(trace.read_text())["traceEvents"]}
    assert {"tick", "eye", "remember"} <= names


def test_questions_from_standard_input_are_answered_while_watching(tmp_path: Path) -> None:
    long = tmp_path / "long.y4m"
    with long.open("wb") as file:
        file.write(b"YUV4MPEG2 W64 H48 F8:1 Ip A1:1 Cmono\n")
        for _ in range(30_000):
            file.write(b"FRAME\n" + bytes(64 * 48))
    args = [sys.executable, "-m", "edgevid", "watch", str(long), *CUTS, "--json", "--interactive"]
    process = subprocess.Popen(
        args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("How many cuts are there?\n")
        process.stdin.flush()
        line = json.loads(process.stdout.readline())
        assert (line["type"], line["question"]) == ("answer", "How many cuts are there?")
        assert process.poll() is None
    finally:
        process.terminate()
        out, err = process.communicate(timeout=30)
    assert process.returncode == 143, err
    assert json.loads(out.splitlines()[-1])["type"] == "stats"


@pytest.mark.packs
def test_an_alert_is_told_once_per_appearance_by_a_command(
    edgevid: Run, store: ModelStore, tmp_path: Path
) -> None:
    from edgevid.app.sample import sample_video

    told = tmp_path / "told"
    tell = tmp_path / "tell.py"
    tell.write_text(f"import os; open({str(told)!r}, 'a').write(os.environ['EDGEVID_LABEL'] + '\\n')")
    done = edgevid(
        *("watch", sample_video(store), "--channels", "object", "--end", "6", "--json"),
        *("--notify", "a car on the road", "--notify-command", f"{sys.executable} {tell}"),
    )
    assert done.returncode == 0, done.stderr
    assert '"on the road" is not checked' in done.stderr
    lines = json_lines(done.stdout)
    (alert,) = [line for line in lines if line["type"] == "alert"]
    assert alert["event"]["label"] == "car"
    assert len([line for line in lines if line["type"] == "event" and line["label"] == "car"]) > 1
    assert told.read_text() == "car\n"
    assert lines[-1]["alerts"]["delivered"] == 1
