"""mmproj GGUF files of a random checkpoint's vision half, named as llama.cpp's converter names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter

from edgevid.models.vlm.checkpoint import Checkpoint
from edgevid.models.vlm.mmproj import _BLOCK, _NAMES
from edgevid.models.vlm.tower import CheckpointTower, Tower, tower_of


def write_mmproj(path: Path, folder: Path, *, swapped: bool = False, **changes: Any) -> tuple[Path, Tower]:
    """Write the tower of the checkpoint in ``folder``; ``swapped`` names its MLPs as old files do."""
    checkpoint = Checkpoint(folder)
    tower, weights = tower_of(checkpoint)
    layers = checkpoint.config.table("vision_config").count("num_hidden_layers")
    is_idefics3 = checkpoint.family == "idefics3"
    writer = GGUFWriter(path, "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", changes.pop("projector", "idefics3" if is_idefics3 else "mlp"))
    writer.add_uint32("clip.vision.image_size", tower.side)
    writer.add_uint32("clip.vision.patch_size", tower.patch)
    writer.add_uint32("clip.vision.embedding_length", weights.floats("patch.weight").shape[0])
    writer.add_uint32("clip.vision.feed_forward_length", weights.floats("block.0.up.weight").shape[0])
    writer.add_uint32("clip.vision.block_count", layers)
    writer.add_uint32("clip.vision.attention.head_count", changes.pop("heads", tower.heads))
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", tower.eps)
    writer.add_uint32("clip.vision.projection_dim", 64)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    writer.add_bool("clip.use_gelu", tower.activation != "quick_gelu")
    if is_idefics3:
        writer.add_uint32("clip.vision.projector.scale_factor", tower.shuffle)
    for name, target in _files_names(weights, tower, layers, swapped=swapped).items():
        writer.add_tensor(target, np.ascontiguousarray(weights.floats(name)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path, tower


def _files_names(weights: CheckpointTower, tower: Tower, layers: int, *, swapped: bool) -> dict[str, str]:
    names = dict(_NAMES)
    for index in range(layers):
        for part, stored in _BLOCK.items():
            if swapped and part in ("up", "down"):
                stored = _BLOCK["down" if part == "up" else "up"]
            for kind in ("weight", "bias"):
                names[f"block.{index}.{part}.{kind}"] = f"v.blk.{index}.{stored}.{kind}"
    behind = () if tower.post_norm else ("post.weight", "post.bias")
    return {name: target for name, target in names.items() if name in weights and name not in behind}
