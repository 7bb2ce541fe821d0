"""Random checkpoints, made once per run, and frames to look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Made = Callable[..., tuple[Path, Any]]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """``checkpoint("smolvlm" | "llava", **options)``: the folder of a random one and its torch model."""
    pytest.importorskip("transformers")
    pytest.importorskip("tokenizers")
    from tests.models.vlm import random_checkpoints as random

    writers = {"smolvlm": random.write_smolvlm, "llava": random.write_llava}
    made: dict[str, tuple[Path, Any]] = {}

    def make(kind: str, **options: Any) -> tuple[Path, Any]:
        key = f"{kind}{sorted(options.items())}"
        if key not in made:
            folder = tmp_path_factory.mktemp("checkpoint") / kind
            made[key] = folder, writers[kind](folder, **options)
        return made[key]

    return make


@pytest.fixture
def picture() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A smooth picture with an edge and some noise, 70 x 100."""
    y, x = np.mgrid[0:70, 0:100]
    colours = np.stack([x * 2.5, y * 3.6, 255 * (x + y > 90)], axis=-1)
    noise = np.random.default_rng(1).normal(0, 12, colours.shape)
    return np.clip(colours + noise, 0, 255).astype(np.uint8)
