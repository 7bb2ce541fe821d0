"""Real streams for the retrieval benches: frames of real clips as embedding rows, and real text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import MissingPartError
from edgevid.core.nouns import Frame
from edgevid.models.native_llm import NativeLanguageModel
from edgevid.models.store import ModelStore

Floats = npt.NDArray[np.float32]

FPS = 2.0
ROWS = 10  # per frame
_PATTERNS = ("video/*.mp4", "video/*.webm", "talking/*.mp4", "video/asl/*.mkv", "video/intel_gif/*.gif")


class Trace(NamedTuple):
    """One layer after a stream: a step's queries [rows, heads, head_dim] over keys and values
    [tokens, kv_heads, head_dim], the step's own last."""

    q: Floats
    k: Floats
    v: Floats


def frame_rows(model: NativeLanguageModel, data: Path, *, frames: int) -> Floats:
    """Rows [frames * 10, hidden] of the label connector for the first ``frames`` frames, at 2 frames/s, of
    the clips below ``data``, one after the other and from the start again when they end.

    Raises:
        MissingPartError: the classifier pack or the clips are not there.
    """
    connector = _connector(model)
    found: list[Floats] = []
    for image in _frames(data):
        found.append(connector(image))
        if len(found) == frames:
            break
    if not found:
        raise MissingPartError(f"there are no clips below {data}", fix="set EDGEVID_TEST_DATA")
    return np.concatenate([found[i % len(found)] for i in range(frames)])


def noise_rows(model: NativeLanguageModel, *, frames: int, seed: int = 0) -> Floats:
    """Rows of pictures of noise, each its own."""
    rng = np.random.default_rng(seed)
    connector = _connector(model)
    pictures = (rng.integers(0, 256, (180, 320, 3), np.uint8) for _ in range(frames))
    return np.concatenate([connector(Frame(image, 0, i)) for i, image in enumerate(pictures)])


def real_text(data: Path) -> str:
    """Abstracts of the Cranfield collection, as running text."""
    path = data / "text" / "cranfield_cran.all.1400.xml"
    if not path.is_file():
        raise MissingPartError(f"{path} is missing", fix="set EDGEVID_TEST_DATA")
    bodies = re.findall(r"<text>(.*?)</text>", path.read_text("utf-8", "replace"), re.DOTALL)
    return "\n\n".join(" ".join(body.split()) for body in bodies)


def held_out_text() -> str:
    """Chapters of the Python reference that come with Python itself: no setting was chosen on them."""
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))


def _connector(model: NativeLanguageModel) -> Callable[[Frame], Floats]:
    from edgevid.perception.classes import Classifier
    from edgevid.stream.connector import LabelConnector

    return LabelConnector(Classifier(ModelStore(), threads=model.threads), model)


def _frames(data: Path) -> Iterator[Frame]:
    from edgevid.media.source import open_source

    for pattern in _PATTERNS:
        for path in sorted(data.glob(pattern)):
            with open_source(path) as source:
                yield from source.frames(fps=FPS, max_side=512)
