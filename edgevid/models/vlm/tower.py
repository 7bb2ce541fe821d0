"""What a vision tower and its connector look like, whichever file describes them.

One tower is a patch embedding with learned positions, pre-norm transformer blocks, and a connector:
Idefics3's pixel shuffle (side by side patches become one longer row, then a linear map) or LLaVA's two-layer
MLP.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from edgevid.models.vlm.checkpoint import Checkpoint
from edgevid.models.vlm.fields import Fields

Floats = npt.NDArray[np.float32]
Activation = Literal["gelu", "gelu_tanh", "quick_gelu"]

_ACTIVATIONS: dict[str, Activation] = {
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "quick_gelu": "quick_gelu",
}
MAX_SIDE, MAX_LAYERS, MAX_WIDTH = 4096, 128, 1 << 16


@dataclass(frozen=True, slots=True)
class Tower:
    """Shape of tower and connector.

    Attributes:
        side, patch: pixels of the square input and of a patch. heads, eps, activation: of the blocks.
        class_token: a learned row stands before the patches (CLIP). pre_norm, post_norm: normalisation before
        the first and behind the last block. taken: hidden states that are laid side by side for the
        connector: 0 = the embeddings, i = block i's output. drop_class: leave the class row out. shuffle:
        side of the square of patches that becomes one row, 0 = an MLP connector. mlp_activation: between the
        layers of the MLP.
    """

    side: int
    patch: int
    heads: int
    eps: float
    activation: Activation
    class_token: bool
    pre_norm: bool
    post_norm: bool
    taken: tuple[int, ...]
    drop_class: bool
    shuffle: int
    mlp_activation: Activation

    @property
    def patches(self) -> int:
        """Patches along one side."""
        return self.side // self.patch

    @property
    def rows(self) -> int:
        """Rows that a picture becomes."""
        if self.shuffle:
            return (self.patches // self.shuffle) ** 2
        return self.patches**2 + (1 if self.class_token and not self.drop_class else 0)

    @property
    def square(self) -> int:
        """Side of the grid that the last ``square ** 2`` rows form."""
        return self.patches // (self.shuffle or 1)


class TowerWeights(Protocol):
    """Tensors by the names of ``HF_NAMES``'s keys."""

    def __contains__(self, name: str) -> bool: ...

    def floats(self, name: str) -> Floats:
        """The tensor as float32, laid out as torch has it; BadModelError when there is none."""


class CheckpointTower:
    """``TowerWeights`` of a Hugging Face folder."""

    def __init__(self, checkpoint: Checkpoint, tower: Tower, *, bucketed: bool) -> None:
        self._checkpoint = checkpoint
        self._tower = tower
        self._bucketed = bucketed

    def __contains__(self, name: str) -> bool:
        return _hf_name(name) in self._checkpoint

    def floats(self, name: str) -> Floats:
        """See ``TowerWeights.floats``."""
        value = self._checkpoint.floats(_hf_name(name))
        if name == "position" and self._bucketed and len(value) == self._tower.patches**2:
            return value[bucketed_positions(self._tower.patches)]
        return value


def tower_of(checkpoint: Checkpoint) -> tuple[Tower, CheckpointTower]:
    """Tower and weights of a checkpoint.

    Raises:
        BadModelError: another tower or connector than these, or fields that contradict each other.
    """
    config = checkpoint.config
    vision = config.table("vision_config")
    is_idefics3 = checkpoint.family == "idefics3"
    kind = vision.text("model_type", "idefics3_vision" if is_idefics3 else "clip_vision_model")
    if kind not in _DEFAULTS:
        raise vision.bad("model_type", f"is {kind[:40]}; known are {', '.join(sorted(_DEFAULTS))}")
    default = _DEFAULTS[kind]
    is_clip = kind == "clip_vision_model"
    layers = vision.count("num_hidden_layers", 12, most=MAX_LAYERS)
    strategy = config.text("vision_feature_select_strategy", "default")
    if strategy not in ("default", "full"):
        raise config.bad("vision_feature_select_strategy", f"is {strategy[:40]}, not default or full")
    tower = Tower(
        side=vision.count("image_size", default.side, most=MAX_SIDE),
        patch=vision.count("patch_size", default.patch, most=MAX_SIDE),
        heads=vision.count("num_attention_heads", default.heads, most=MAX_WIDTH),
        eps=vision.number("layer_norm_eps", 1e-5 if is_clip else 1e-6),
        activation=_activation(vision, "hidden_act", "quick_gelu" if is_clip else "gelu_pytorch_tanh"),
        class_token=is_clip,
        pre_norm=is_clip,
        post_norm=is_idefics3,
        taken=(layers,) if is_idefics3 else _taken(config, layers),
        drop_class=not is_idefics3 and strategy == "default",
        shuffle=config.count("scale_factor", 2, most=64) if is_idefics3 else 0,
        mlp_activation=_activation(config, "projector_hidden_act", "gelu"),
    )
    check_tower(tower, config)
    strangers = [name for name in checkpoint.names("vision.") if not _KNOWN.match(name)]
    if strangers:
        raise vision.bad(strangers[0], "is in the weights, but has no place in this tower")
    return tower, CheckpointTower(checkpoint, tower, bucketed=is_idefics3)


def check_tower(tower: Tower, fields: Fields) -> None:
    """BadModelError when the numbers contradict each other."""
    if tower.patches < 1 or tower.side % tower.patch:
        raise fields.bad("image_size", f"{tower.side} is not a multiple of the patch size {tower.patch}")
    if tower.shuffle and tower.patches % tower.shuffle:
        raise fields.bad(
            "scale_factor", f"{tower.shuffle} does not divide the {tower.patches} patches of a side"
        )
    if tower.drop_class and not tower.class_token:
        raise fields.bad("vision_feature_select_strategy", "must be full for a tower without a class token")


def bucketed_positions(patches: int) -> npt.NDArray[np.int64]:
    """Index of the position embedding of each patch, row by row, as Idefics3 computes it: by the bucket of
    its fractional coordinate, in float32 (whose rounding can put a patch into its neighbour's bucket)."""
    step = 1.0 / patches
    edges = (step + np.arange(max(int(np.ceil((1.0 - step) / step)), 0)) * step).astype(np.float32)
    at = np.arange(patches, dtype=np.float32) * np.float32(step)
    bucket = np.searchsorted(edges, np.minimum(at, np.float32(1.0 - 1e-6)), side="right")
    grid: npt.NDArray[np.int64] = bucket[:, None] * patches + bucket[None, :]
    return grid.reshape(-1)


@dataclass(frozen=True, slots=True)
class _Defaults:
    """What transformers takes for fields that a vision_config leaves out."""

    side: int
    patch: int
    heads: int


_DEFAULTS = {
    "clip_vision_model": _Defaults(224, 32, 12),
    "siglip_vision_model": _Defaults(224, 16, 12),
    "idefics3_vision": _Defaults(224, 32, 16),
    "idefics3": _Defaults(224, 32, 16),
    "smolvlm_vision": _Defaults(224, 32, 16),
}

_HF_BLOCK = {
    "ln1": "layer_norm1",
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.out_proj",
    "ln2": "layer_norm2",
    "up": "mlp.fc1",
    "down": "mlp.fc2",
}
HF_NAMES = {
    "patch.weight": "vision.embeddings.patch_embedding.weight",
    "patch.bias": "vision.embeddings.patch_embedding.bias",
    "class": "vision.embeddings.class_embedding",
    "position": "vision.embeddings.position_embedding.weight",
    "pre.weight": "vision.pre_layrnorm.weight",
    "pre.bias": "vision.pre_layrnorm.bias",
    "post.weight": "vision.post_layernorm.weight",
    "post.bias": "vision.post_layernorm.bias",
    "shuffle.weight": "connector.modality_projection.proj.weight",
    "shuffle.bias": "connector.modality_projection.proj.bias",
    "mlp.0.weight": "connector.linear_1.weight",
    "mlp.0.bias": "connector.linear_1.bias",
    "mlp.2.weight": "connector.linear_2.weight",
    "mlp.2.bias": "connector.linear_2.bias",
}
"""Names of a tower's tensors -> those of ``Checkpoint``; blocks are ``block.I.PART.weight`` and ``.bias``."""
# Beside those above: SigLIP's pooling head and indices, which no connector reads.
_KNOWN = re.compile(
    r"vision\.(?:embeddings\.(?:patch_embedding|class_embedding|position_embedding|position_ids)|head\.|pre_layrnorm"
    r"|post_layernorm|encoder\.layers\.\d+\.(?:layer_norm[12]|self_attn\.(?:[qkv]|out)_proj|mlp\.fc[12])\.)"
)


def _hf_name(name: str) -> str:
    if not name.startswith("block."):
        return HF_NAMES[name]
    _, index, part, kind = name.split(".")
    return f"vision.encoder.layers.{index}.{_HF_BLOCK[part]}.{kind}"


def _activation(fields: Fields, key: str, default: str) -> Activation:
    name = fields.text(key, default)
    if name not in _ACTIVATIONS:
        raise fields.bad(key, f"is {name[:40]}, not {', '.join(get_args(Activation))}")
    return _ACTIVATIONS[name]


def _taken(config: Fields, layers: int) -> tuple[int, ...]:
    """Hidden states by ``vision_feature_layer``, which counts from the end when negative."""
    value = config.get("vision_feature_layer", -2)
    wanted = value if isinstance(value, list) else [value]
    if not 1 <= len(wanted) <= 16 or not all(type(i) is int and -layers - 1 <= i <= layers for i in wanted):
        raise config.bad("vision_feature_layer", f"is {str(value)[:40]} in a tower of {layers} layers")
    return tuple(i if i >= 0 else layers + 1 + i for i in wanted)
