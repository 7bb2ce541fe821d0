"""A video that cuts every two seconds: each cut is a row, so that a killed watch can be held to account."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

_WIDTH, _HEIGHT, _FPS = 64, 48, 8
_SCENE = 16  # frames


def write(path: Path, *, frames: int) -> Path:
    """Two pictures in turn, raw, so that decoding costs nothing."""
    y, x = np.mgrid[0:_HEIGHT, 0:_WIDTH]
    scenes = [(x * 4).astype(np.uint8).tobytes(), (255 * (y // 8 % 2)).astype(np.uint8).tobytes()]
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{_WIDTH} H{_HEIGHT} F{_FPS}:1 Ip A1:1 Cmono\n".encode())
        for i in range(frames):
            file.write(b"FRAME\n" + scenes[i // _SCENE % 2])
    return path


def start(video: Path, saved: Path, *more: str) -> subprocess.Popen[str]:
    """``edgevid watch VIDEO --save SAVED --json`` for cuts, in a process of its own."""
    args = ["watch", str(video), "--channels", "cut", "--save", str(saved), "--json", *more]
    return subprocess.Popen(
        [sys.executable, "-m", "edgevid", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def rows_told(out: str) -> list[int]:
    """Row ids of the events in whole lines of ``out``."""
    lines = [json.loads(line) for line in out.split("\n")[:-1]]
    return [line["row"] for line in lines if line.get("type") == "event"]
