"""A Hugging Face folder of a video language model: its configuration, its files, its tensors under one set of
names.

::

    config.json, preprocessor_config.json (or processor_config.json), tokenizer.json, [tokenizer_config.json,
    chat_template.json|.jinja], model.safetensors or model.safetensors.index.json + shards

The names of tensors have changed over transformers' versions; here they are ``text.*`` (with
``lm_head.weight``), ``vision.*`` and ``connector.*``. Nothing in the folder is executed or unpickled.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import BadModelError
from edgevid.models.vlm.fields import Fields, read_json
from edgevid.models.vlm.prompt import Family
from edgevid.models.vlm.safetensors import SafetensorsFile, widened

FAMILIES: dict[str, Family] = {"smolvlm": "idefics3", "idefics3": "idefics3", "llava": "llava"}
"""``model_type`` of config.json -> the family whose shape it has."""

_ROOMS = (
    (re.compile(r"^(?:model\.)?(?:language_model\.|text_model\.)?lm_head\."), "lm_head."),
    (re.compile(r"^(?:model\.)?(?:text_model|language_model)\.(?:model\.)?"), "text."),
    (re.compile(r"^(?:model\.)?vision_(?:model|tower)\.(?:vision_model\.)?"), "vision."),
    (re.compile(r"^(?:model\.)?(?:connector|multi_modal_projector)\."), "connector."),
)
_SETTINGS = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.json",
    "chat_template.jinja",
)


class Checkpoint:
    """One folder; opening it reads configuration and headers, no weights.

    Raises:
        BadModelError: something the family needs is missing or malformed; the message names it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not folder.is_dir():
            raise BadModelError(f"{folder}: no such folder", fix="check the path")
        self._require("config.json", "tokenizer.json")
        self.config = Fields(read_json(folder / "config.json"), str(folder / "config.json"))
        kind = self.config.text("model_type")
        if kind not in FAMILIES:
            raise self.config.bad("model_type", f"is {kind[:40]}; known are {', '.join(FAMILIES)}")
        self.family = FAMILIES[kind]
        self._files = [SafetensorsFile(path) for path in self._shards()]
        self._places = {_room_name(name): (file, name) for file in self._files for name in file}

    @property
    def files(self) -> list[Path]:
        """Every file that the model is made of."""
        settings = [self.folder / name for name in _SETTINGS if (self.folder / name).is_file()]
        return settings + self._shards()

    @cached_property
    def preprocessor(self) -> Fields:
        """The settings of the image processor."""
        path = self.folder / "preprocessor_config.json"
        if path.is_file():
            return Fields(read_json(path), str(path))
        nested = self.folder / "processor_config.json"
        if not nested.is_file():
            self._require("preprocessor_config.json")
        return Fields(read_json(nested), str(nested)).table("image_processor")

    @cached_property
    def chat_template(self) -> str | None:
        """The chat template's text, only ever looked at for its marks."""
        jinja = self.folder / "chat_template.jinja"
        if jinja.is_file():
            return jinja.read_text(encoding="utf-8", errors="replace")
        for name in ("chat_template.json", "processor_config.json", "tokenizer_config.json"):
            path = self.folder / name
            if path.is_file() and isinstance(text := read_json(path).get("chat_template"), str):
                return text.encode("utf-8", "replace").decode()  # JSON can spell what is no text
        return None

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def names(self, prefix: str) -> list[str]:
        """Names of the tensors that begin so."""
        return sorted(name for name in self._places if name.startswith(prefix))

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor; BadModelError when there is none of that name."""
        file, stored = self._place(name)
        return file[stored].shape

    def raw(self, name: str) -> npt.NDArray[Any]:
        """A tensor as stored (BF16 as its bits), mapped from the file."""
        file, stored = self._place(name)
        return file.raw(stored)

    def floats(self, name: str) -> npt.NDArray[np.float32]:
        """A tensor as float32."""
        return widened(self.raw(name))

    def _place(self, name: str) -> tuple[SafetensorsFile, str]:
        if name not in self._places:
            raise BadModelError(f"{self.folder}: the weights hold no {name}")
        return self._places[name]

    def _shards(self) -> list[Path]:
        single, index = self.folder / "model.safetensors", self.folder / "model.safetensors.index.json"
        if single.is_file():
            return [single]
        if not index.is_file():
            pickled = any(self.folder.glob("*.bin"))
            why = "; .bin files are not read, they are pickles" if pickled else ""
            raise BadModelError(f"{self.folder}: model.safetensors is missing{why}", fix=_FETCH)
        names = read_json(index).get("weight_map")
        if not isinstance(names, dict) or not names or not all(_is_plain(n) for n in names.values()):
            raise BadModelError(f"{index}: weight_map does not name files of this folder")
        shards = sorted(set(names.values()))
        self._require(*shards)
        return [self.folder / name for name in shards]

    def _require(self, *names: str) -> None:
        missing = [name for name in names if not (self.folder / name).is_file()]
        if missing:
            raise BadModelError(f"{self.folder}: {', '.join(missing)} is missing", fix=_FETCH)


_FETCH = "copy the whole folder of the checkpoint, e.g. with `hf download`"


def _is_plain(name: object) -> bool:
    return isinstance(name, str) and Path(name).name == name and name.endswith(".safetensors")


def _room_name(name: str) -> str:
    for pattern, room in _ROOMS:
        if match := pattern.match(name):
            return room + name[match.end() :]
    return name
