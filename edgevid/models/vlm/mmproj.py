"""Tower and connector from an mmproj GGUF, the file that llama.cpp keeps beside a text model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgevid.core.errors import BadModelError, MissingPartError
from edgevid.models.native import native_errors, native_library
from edgevid.models.vlm.fields import Fields
from edgevid.models.vlm.preprocess import FrameRecipe
from edgevid.models.vlm.prompt import Family
from edgevid.models.vlm.tower import (
    MAX_LAYERS,
    MAX_SIDE,
    MAX_WIDTH,
    Activation,
    Floats,
    Tower,
    check_tower,
)

if TYPE_CHECKING:
    from gguf import ReaderTensor

_FAMILIES: dict[str, Family] = {"idefics3": "idefics3", "mlp": "llava"}
_NAMES = {
    "patch.weight": "v.patch_embd.weight",
    "patch.bias": "v.patch_embd.bias",
    "class": "v.class_embd",
    "position": "v.position_embd.weight",
    "pre.weight": "v.pre_ln.weight",
    "pre.bias": "v.pre_ln.bias",
    "post.weight": "v.post_ln.weight",
    "post.bias": "v.post_ln.bias",
    "shuffle.weight": "mm.model.fc.weight",
    "shuffle.bias": "mm.model.fc.bias",
    "mlp.0.weight": "mm.0.weight",
    "mlp.0.bias": "mm.0.bias",
    "mlp.2.weight": "mm.2.weight",
    "mlp.2.bias": "mm.2.bias",
}
_BLOCK = {
    "ln1": "ln1",
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "o": "attn_out",
    "ln2": "ln2",
    "up": "ffn_up",
    "down": "ffn_down",
}


class MmprojFile:
    """``TowerWeights`` of one file, with ``family``, ``tower`` and ``recipe``.

    Raises:
        BadModelError: malformed, or of a kind that is not known; the message names it.
        MissingPartError: the gguf package is not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            from gguf import GGUFReader
        except ImportError:
            raise MissingPartError(
                "reading an mmproj file needs the gguf package", fix="pip install 'edgevid[hf]'"
            ) from None
        with native_errors(f"{path}: "):  # the checked reader goes first; the package's trusts the file
            native_library().gguf_info(str(path))
        try:
            reader = GGUFReader(path)
            values = {name: field.contents() for name, field in reader.fields.items()}
        except ValueError as error:  # names and texts that are no UTF-8
            raise BadModelError(f"{path}: {error}", fix="get the file again") from None
        self._path = path
        self._tensors: dict[str, ReaderTensor] = {tensor.name: tensor for tensor in reader.tensors}
        self.family, self.tower = self._read(Fields(values, str(path)))
        self.recipe = self._recipe(Fields(values, str(path)))

    def __contains__(self, name: str) -> bool:
        return self._name(name) in self._tensors

    def floats(self, name: str) -> Floats:
        """See ``TowerWeights.floats``."""
        from gguf.quants import dequantize

        stored = self._tensors.get(self._name(name))
        if stored is None:
            raise BadModelError(f"{self._path}: it holds no {self._name(name)}")
        shape = tuple(int(size) for size in reversed(stored.shape))
        value = np.asarray(dequantize(stored.data, stored.tensor_type), np.float32).reshape(shape)
        return value.reshape(-1) if name == "class" else value

    def _name(self, name: str) -> str:
        """The file's name of a tensor; older files have the two layers of the MLP in each other's place."""
        if not name.startswith("block."):
            return _NAMES[name]
        _, index, part, kind = name.split(".")
        stored = {"up": "down", "down": "up"}[part] if part in ("up", "down") and self._swapped() else part
        return f"v.blk.{index}.{_BLOCK[stored]}.{kind}"

    def _swapped(self) -> bool:
        up = self._tensors.get("v.blk.0.ffn_up.bias")
        norm = self._tensors.get("v.blk.0.ln2.weight")
        return up is not None and norm is not None and list(up.shape) == list(norm.shape)

    def _read(self, fields: Fields) -> tuple[Family, Tower]:
        if fields.text("general.architecture") != "clip":
            raise fields.bad("general.architecture", "is not clip; an mmproj file is wanted here")
        kind = fields.text("clip.projector_type", "mlp")
        if kind not in _FAMILIES:
            raise fields.bad("clip.projector_type", f"is {kind[:40]}; known are {', '.join(_FAMILIES)}")
        family = _FAMILIES[kind]
        layers = fields.count("clip.vision.block_count", most=MAX_LAYERS)
        is_clip = "class" in self
        tower = Tower(
            side=fields.count("clip.vision.image_size", most=MAX_SIDE),
            patch=fields.count("clip.vision.patch_size", most=MAX_SIDE),
            heads=fields.count("clip.vision.attention.head_count", most=MAX_WIDTH),
            eps=fields.number("clip.vision.attention.layer_norm_epsilon"),
            activation=_activation(fields),
            class_token=is_clip,
            pre_norm="pre.weight" in self,
            post_norm="post.weight" in self,
            taken=(layers,) if family == "idefics3" else _taken(fields, layers),
            drop_class=is_clip,
            shuffle=fields.count("clip.vision.projector.scale_factor", most=64)
            if family == "idefics3"
            else 0,
            mlp_activation="gelu",
        )
        check_tower(tower, fields)
        return family, tower

    def _recipe(self, fields: Fields) -> FrameRecipe:
        """As llama.cpp prepares a picture that is not cut into tiles."""
        side = self.tower.side
        looks: dict[str, Any] = {
            "mean": fields.triple("clip.vision.image_mean", (0.5, 0.5, 0.5)),
            "std": fields.triple("clip.vision.image_std", (0.5, 0.5, 0.5)),
        }
        if self.family == "llava":
            return FrameRecipe(side=side, filter="bicubic", fit="stretch", pad=True, **looks)
        edge = fields.count("clip.vision.preproc_image_size", side, most=MAX_SIDE)
        return FrameRecipe(side=side, filter="lanczos", fit="longest_then_stretch", edge=edge, **looks)


def _activation(fields: Fields) -> Activation:
    if fields.flag("clip.use_silu", False):
        raise fields.bad("clip.use_silu", "is not supported")
    return "gelu_tanh" if fields.flag("clip.use_gelu", False) else "quick_gelu"


def _taken(fields: Fields, layers: int) -> tuple[int, ...]:
    """By default all blocks but the last, as llama.cpp takes it for LLaVA."""
    value = fields.get("clip.vision.feature_layer", [max(layers - 1, 0)])
    if (
        not isinstance(value, list)
        or not value
        or not all(type(i) is int and 0 <= i <= layers for i in value)
    ):
        raise fields.bad("clip.vision.feature_layer", f"is {str(value)[:40]} in a tower of {layers} blocks")
    return tuple(value)
