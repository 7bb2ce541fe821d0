"""A clip made here: two scenes, a tone, known cut; and ways to run the command line as a user does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevid.media.encode import VideoWriter

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 s at 12 frames/s, 320x240: noise-free gradients, another scene from 2 s on; a 440 Hz tone."""
    path = tmp_path_factory.mktemp("clip") / "two scenes.mp4"
    y, x = np.mgrid[0:240, 0:320]
    scenes = [
        np.stack([x % 256, y, 255 - y], axis=2).astype(np.uint8),
        np.stack([255 - (x // 40 % 2) * 255, (y // 30 % 2) * 255, x % 128], axis=2).astype(np.uint8),
    ]
    tone = (0.2 * np.sin(2 * np.pi * 440 * np.arange(4 * 16_000) / 16_000)).astype(np.float32)
    with VideoWriter(path, width=320, height=240, fps=12, sample_rate=16_000) as writer:
        for index in range(48):
            writer.write(np.roll(scenes[index // 24], index % 24, axis=1))
        writer.write_audio(tone)
    return path


@pytest.fixture
def edgevid() -> Run:
    """Run ``edgevid ARGS`` in a process of its own; returns exit code, stdout and stderr."""

    def run(*args: str | Path, timeout_s: float = 120, **env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "edgevid", *map(str, args)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False, env={**os.environ, **env}
        )

    return run


def json_lines(text: str) -> list[dict[str, Any]]:
    """Every line of ``text`` as a JSON object; fails when one is not."""
    return [json.loads(line) for line in text.splitlines()]
