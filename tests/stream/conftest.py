from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgevid.media.encode import VideoWriter
from edgevid.memory.memory import Memory


@pytest.fixture
def memory() -> Iterator[Memory]:
    """An empty memory in RAM."""
    with Memory() as opened:
        yield opened


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 s, two pictures: one cut at 2 s."""
    path = tmp_path_factory.mktemp("clip") / "cut.mp4"
    y, x = np.mgrid[0:120, 0:160]
    scenes = (
        np.stack([x, y, 255 - y], axis=2),
        np.stack([255 * (x // 20 % 2), 255 * (y // 15 % 2), x], axis=2),
    )
    with VideoWriter(path, width=160, height=120, fps=12) as writer:
        for i in range(48):
            writer.write(scenes[i // 24].astype(np.uint8))
    return path
