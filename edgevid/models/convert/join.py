"""Files that packages carry in parts, put together again."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path


def join(inputs: Mapping[str, Path], output: Path) -> None:
    """Write all of ``inputs``, in the order of their names, one after the other."""
    with output.open("wb") as whole:
        for name in sorted(inputs):
            with inputs[name].open("rb") as part:
                shutil.copyfileobj(part, whole)
