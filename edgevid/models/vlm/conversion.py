"""What a user's checkpoint becomes, kept in the cache under the hash of the files it was made from.

::

    <cache>/vlm/NAME-DIGEST/  text.gguf (not for a GGUF pair), vision.onnx, vision.data, vision.json
    <cache>/vlm/.lock         held by the one process that converts
    <cache>/vlm/.stamps.json  digests by stat, so that gigabytes are not read again at every start

A folder gets its name when everything in it is written and synced: it is whole or not there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from edgevid.core.errors import BadModelError, EdgevidError
from edgevid.models.hashing import Stamps
from edgevid.models.locking import exclusive
from edgevid.models.vlm.checkpoint import Checkpoint
from edgevid.models.vlm.mmproj import MmprojFile
from edgevid.models.vlm.preprocess import FrameRecipe
from edgevid.models.vlm.prompt import Family
from edgevid.models.vlm.text_gguf import write_text_gguf
from edgevid.models.vlm.tower import Tower, TowerWeights, tower_of
from edgevid.models.vlm.vision_graph import write_vision

_FORMAT = 1  # raised whenever the same files would be converted to something else
_PART = ".part-"


@dataclass(frozen=True, slots=True)
class VlmFiles:
    """Files of one model, ready to load. ``rows`` and ``square`` as in ``VisionPart``."""

    text: Path
    vision: Path
    family: Family
    recipe: FrameRecipe
    rows: int
    square: int
    hidden: int


def convert_checkpoint(folder: Path, cache: Path) -> VlmFiles:
    """Convert a Hugging Face folder, or find what it was converted to before.

    Raises:
        BadModelError: the folder is incomplete, malformed, or of a family that is not known.
        EdgevidError: the cache cannot be written.
    """
    checkpoint = Checkpoint(folder)

    def build(target: Path) -> None:
        tower, weights = tower_of(checkpoint)
        recipe = FrameRecipe.of_config(checkpoint.preprocessor, side=tower.side)
        write_text_gguf(target / "text.gguf", checkpoint)
        _write_vision_part(target, checkpoint.family, tower, weights, recipe)

    made = _kept(cache, folder.resolve().name, checkpoint.files, build)
    return _files(made, made / "text.gguf")


def convert_mmproj(text: Path, mmproj: Path, cache: Path) -> VlmFiles:
    """Convert the vision half of a GGUF pair; the text half is used as it is. Errors as above."""

    def build(target: Path) -> None:
        file = MmprojFile(mmproj)
        _write_vision_part(target, file.family, file.tower, file, file.recipe)

    if not mmproj.is_file():
        raise BadModelError(f"{mmproj}: no such mmproj file", fix="check the path")
    return _files(_kept(cache, mmproj.stem, [mmproj], build), text)


def _write_vision_part(
    target: Path, family: Family, tower: Tower, weights: TowerWeights, recipe: FrameRecipe
) -> None:
    hidden = write_vision(target, tower, weights)
    facts = {"family": family, "rows": tower.rows, "square": tower.square, "hidden": hidden}
    (target / "vision.json").write_text(json.dumps({**facts, "recipe": asdict(recipe)}), encoding="utf-8")


def _files(made: Path, text: Path) -> VlmFiles:
    table = json.loads((made / "vision.json").read_text(encoding="utf-8"))
    recipe = FrameRecipe.of_json(table.pop("recipe"))
    return VlmFiles(text=text, vision=made / "vision.onnx", recipe=recipe, **table)


def _kept(cache: Path, name: str, sources: Sequence[Path], build: Callable[[Path], None]) -> Path:
    """The folder that ``build`` filled for these sources, now or before."""
    root = cache / "vlm"
    try:
        root.mkdir(parents=True, exist_ok=True)
        stamps = Stamps(root / ".stamps.json")
        facts = "\n".join(f"{source.name} {stamps.digest(source)}" for source in sources)
        digest = hashlib.sha256(f"{_FORMAT}\n{facts}".encode()).hexdigest()[:16]
        target = root / f"{re.sub(r'[^A-Za-z0-9._-]', '_', name)[:60]}-{digest}"
        if not target.is_dir():
            with exclusive(root / ".lock"):
                if not target.is_dir():
                    _build_whole(root, target, build)
    except OSError as error:
        raise EdgevidError(
            f"cannot convert {name} in {root}: {error.strerror or error}",
            fix="free some space, or set EDGEVID_CACHE to a folder with some",
        ) from None
    return target


def _build_whole(root: Path, target: Path, build: Callable[[Path], None]) -> None:
    for left in root.glob(f"{_PART}*"):  # of a killed process: the lock is ours
        shutil.rmtree(left)
    part = Path(tempfile.mkdtemp(prefix=_PART, dir=root))
    try:
        build(part)
        for file in part.iterdir():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
