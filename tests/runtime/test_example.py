"""The example of the README runs as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgevid.media.encode import VideoWriter

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_pipeline.py"


def test_the_example_sees_the_light_go_on_and_off(tmp_path: Path) -> None:
    levels = [20] * 10 + [200] * 10 + [30] * 10
    with VideoWriter(tmp_path / "light.mp4", width=64, height=48, fps=5) as writer:
        for n, level in enumerate(levels):
            writer.write(np.full((48, 64, 3), level, np.uint8), pts_ns=n * 200_000_000)
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), str(tmp_path / "light.mp4")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(EXAMPLE.parents[1])},
    )
    assert done.returncode == 0, done.stderr
    times_and_levels = [(line.split()[0], int(line.split()[-1])) for line in done.stdout.splitlines()]
    assert [time for time, _ in times_and_levels] == ["2.0", "4.0"]
    assert [level for _, level in times_and_levels] == pytest.approx([200, 30], abs=8)


def test_without_a_video_it_says_how_to_run_it() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(EXAMPLE.parents[1])},
    )
    assert done.returncode == 1
    assert "python examples/own_pipeline.py VIDEO" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_is_short() -> None:
    code = EXAMPLE.read_text().split('"""', 2)[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
