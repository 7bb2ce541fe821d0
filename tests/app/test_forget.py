from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from edgevid.app.cli import main
from edgevid.app.quantities import parse_age_s, parse_bytes, parse_instant
from edgevid.core.errors import UsageError
from edgevid.core.nouns import Observation, TimeSpan
from edgevid.memory.memory import Memory

S = 1_000_000_000


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """Two videos: one of a file, one live from 14:00 local time on, a row a minute."""
    path = tmp_path / "day.edgevid"
    two_pm_ns = int(datetime(2026, 11, 22, 14).timestamp()) * S
    with Memory(path) as memory:
        for wall_ns in (None, two_pm_ns):
            video = memory.add_video("v", width=1, height=1, has_audio=True, channels=["speech"])
            for i in range(10):
                span = TimeSpan(i * 60 * S, (i * 60 + 30) * S)
                wall = None if wall_ns is None else wall_ns + span.start_ns
                memory.add(video, Observation("speech", f"word{i}", span, 0.5, wall_ns=wall))
    return path


def run(*args: object) -> int:
    with pytest.raises(SystemExit) as left:
        main(["forget", *map(str, args)])
    return int(left.value.code or 0)


def labels(path: Path, video: int) -> list[str]:
    with Memory(path) as memory:
        return [row.observation.label for row in memory.rows(video)]


def test_a_dry_run_counts_and_changes_nothing(day: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(day, "--video", 1, "--from", "1:00", "--to", "3:00", "--dry-run", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["rows"], report["videos"], report["dry_run"]) == (2, 0, True)
    assert len(labels(day, 1)) == 10


def test_positions_and_dates(day: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(day, "--video", 1, "--to", "1:30", "--yes") == 0
    assert "forgot 2 rows" in capsys.readouterr().out
    assert labels(day, 1)[0] == "word2"
    assert run(day, "--from", "2026-11-22 14:05", "--yes", "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 5
    assert labels(day, 2) == [f"word{i}" for i in range(5)]
    assert len(labels(day, 1)) == 8


def test_a_whole_video(day: Path) -> None:
    assert run(day, "--video", 2, "--yes") == 0
    with Memory(day) as memory:
        assert [video.id for video in memory.videos()] == [1]


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        ((), 2, "needs a time or a video"),
        (("--from", "1:00"), 2, "--video N"),
        (("--video", "9"), 3, "choose one of 1, 2"),
        (("--video", "1", "--from", "2", "--to", "1"), 2, "after"),
        (("--from", "1:00", "--to", "2026-11-22 14:05"), 2, "two kinds"),
        (("--from", "noon"), 2, "is no time"),
        (("--video", "1"), 2, "--yes or --dry-run"),
    ],
)
def test_what_is_refused_removes_nothing(
    day: Path, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], code: int, says: str
) -> None:
    assert run(day, *args) == code
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 1
    assert (len(labels(day, 1)), len(labels(day, 2))) == (10, 10)


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    assert run(tmp_path / "none", "--video", 1, "--yes") == 3
    assert not (tmp_path / "none").exists()


def test_quantities() -> None:
    assert parse_instant("1:02:03.5").ns == 3723 * S + S // 2
    assert parse_instant("90s").ns == parse_instant("1:30").ns == 90 * S
    assert parse_instant("1970-01-01T01:00+01:00") == parse_instant("1970-01-01T00:00Z")
    assert parse_instant("1970-01-01T00:00Z").on_wall_clock
    assert [parse_age_s(text) for text in ("90s", "30m", "12h", "7d", "2 weeks")] == [
        *(90, 1800, 43_200, 604_800, 1_209_600)
    ]
    assert [parse_bytes(text) for text in ("10", "1kb", "1KiB", "1.5 GB")] == [10, 1000, 1024, 1_500_000_000]
    for parse, text in ((parse_age_s, "7"), (parse_age_s, "0d"), (parse_bytes, "much"), (parse_bytes, "-1")):
        with pytest.raises(UsageError):
            parse(text)


@pytest.mark.parametrize("parse", [parse_instant, parse_age_s, parse_bytes])
@pytest.mark.parametrize("text", ["9" * 20 + "d", "9" * 400, "9" * 5000, "1:" + "9" * 5000, "9" * 15 + "TB"])
def test_quantities_without_measure_are_refused_shortly(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(text)
    assert len(str(refused.value)) < 200


def test_what_decoders_have_seen_goes_whole(day: Path, tmp_path: Path) -> None:
    mine = [tmp_path / "day.edgevid.kv", tmp_path / "day.edgevid.front_door.kv"]
    other = tmp_path / "days.edgevid.kv"
    for path in (*mine, other):
        path.write_bytes(b"x")
    assert run(day, "--video", 1, "--dry-run") == 0
    assert all(path.exists() for path in mine)
    assert run(day, "--video", 1, "--yes") == 0
    assert not any(path.exists() for path in mine)
    assert other.exists()
