"""What ``edgevid bench`` prints of a bench that was cut short."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import pytest

from edgevid.app.bench_cli import _finish, _told
from edgevid.bench.report import Row


def cut_short() -> Iterator[Row]:
    yield Row("speed", 3.0, "x", 4.0, False, "method")
    raise KeyboardInterrupt


def test_ctrl_c_keeps_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert _finish("streaming", _told(cut_short()), as_json=True, strict=False) == 130
    said = capsys.readouterr()
    assert [row["measure"] for row in json.loads(said.out)["rows"]] == ["speed"]
    assert said.err.splitlines() == ["speed: 3.0 x", "interrupted; 1 rows were measured"]


def terminated() -> Iterator[Row]:
    yield Row("speed", 3.0, "x", 4.0, False, "method")
    os.kill(os.getpid(), signal.SIGTERM)
    yield Row("never", 1.0, "x", None, None, "method")


def test_sigterm_keeps_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert _finish("streaming", _told(terminated()), as_json=True, strict=False) == 143
    said = capsys.readouterr()
    assert [row["measure"] for row in json.loads(said.out)["rows"]] == ["speed"]
    assert said.err.splitlines() == ["speed: 3.0 x", "interrupted; 1 rows were measured"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_missed_goal_fails_a_strict_run_alone(capsys: pytest.CaptureFixture[str]) -> None:
    row = next(cut_short())
    assert _finish("streaming", _told(iter([row])), as_json=True, strict=False) == 0
    assert _finish("streaming", _told(iter([row])), as_json=True, strict=True) == 1
    assert "speed" in capsys.readouterr().out
