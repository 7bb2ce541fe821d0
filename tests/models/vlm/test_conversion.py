"""Folders are converted once and whole; what is missing in one is said in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from edgevid.core.errors import BadModelError, EdgevidError
from edgevid.models.vlm.conversion import convert_checkpoint
from edgevid.models.vlm.model import VlmModel


def copied(checkpoint: Any, tmp_path: Path, kind: str = "smolvlm", **options: Any) -> Path:
    folder, _ = checkpoint(kind, **options)
    return Path(shutil.copytree(folder, tmp_path / "mine"))


def edited(folder: Path, name: str, **changes: Any) -> None:
    path = folder / name
    table = json.loads(path.read_text())
    for key, value in changes.items():
        *outer, last = key.split("__")
        inner = table
        for step in outer:
            inner = inner[step]
        if value is None:
            inner.pop(last, None)
        else:
            inner[last] = value
    path.write_text(json.dumps(table))


def test_a_folder_is_converted_once_and_again_when_it_changes(checkpoint: Any, tmp_path: Path) -> None:
    folder = copied(checkpoint, tmp_path)
    first = convert_checkpoint(folder, tmp_path)
    made = (first.text.stat().st_mtime_ns, first.vision.stat().st_mtime_ns)
    again = convert_checkpoint(folder, tmp_path)
    assert again == first and made == (again.text.stat().st_mtime_ns, again.vision.stat().st_mtime_ns)
    moved = convert_checkpoint(Path(shutil.move(folder, tmp_path / "elsewhere")), tmp_path)
    assert moved.text.parent.name.split("-")[-1] == first.text.parent.name.split("-")[-1]
    edited(tmp_path / "elsewhere", "preprocessor_config.json", resample=3)
    changed = convert_checkpoint(tmp_path / "elsewhere", tmp_path)
    assert changed.text.parent != first.text.parent and changed.recipe.filter == "bicubic"


def test_what_a_killed_conversion_left_is_cleared(checkpoint: Any, tmp_path: Path) -> None:
    folder = copied(checkpoint, tmp_path)
    left = tmp_path / "vlm" / ".part-killed"
    left.mkdir(parents=True)
    (left / "text.gguf").write_bytes(b"half")
    convert_checkpoint(folder, tmp_path)
    assert not left.exists() and not list((tmp_path / "vlm").glob(".part-*"))


def test_a_cache_that_cannot_be_written_is_named(checkpoint: Any, tmp_path: Path) -> None:
    folder = copied(checkpoint, tmp_path)
    (tmp_path / "full").write_text("a file where the cache should be")
    with pytest.raises(EdgevidError, match=r"cannot convert mine in .*full"):
        convert_checkpoint(folder, tmp_path / "full")


def test_shards_are_read_through_their_index(checkpoint: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = copied(checkpoint, tmp_path)
    whole = convert_checkpoint(folder, tmp_path)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, held in parts.items():
        save_file({name: tensors[name] for name in held}, folder / file)
    weight_map = {name: file for file, held in parts.items() for name in held}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    sharded = convert_checkpoint(folder, tmp_path)
    assert sharded.text.read_bytes() == whole.text.read_bytes()
    (folder / "b.safetensors").unlink()
    with pytest.raises(BadModelError, match=r"b\.safetensors is missing"):
        convert_checkpoint(folder, tmp_path)
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"x": "../b.safetensors"}})
    )
    with pytest.raises(BadModelError, match="weight_map does not name files of this folder"):
        convert_checkpoint(folder, tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("config.json", r"config\.json is missing"),
        ("tokenizer.json", r"tokenizer\.json is missing"),
        ("preprocessor_config.json", r"preprocessor_config\.json is missing"),
        ("model.safetensors", r"model\.safetensors is missing; \.bin files are not read"),
    ],
)
def test_a_missing_file_is_named(name: str, said: str, checkpoint: Any, tmp_path: Path) -> None:
    folder = copied(checkpoint, tmp_path)
    (folder / name).rename(folder / "pytorch_model.bin")
    refused(folder, tmp_path, said)


@pytest.mark.parametrize(
    ("file", "changes", "said"),
    [
        (
            "config.json",
            {"model_type": "qwen2_vl"},
            "model_type is qwen2_vl; known are smolvlm, idefics3, llava",
        ),
        ("config.json", {"text_config": None}, "text_config is missing"),
        ("config.json", {"text_config__model_type": "phi3"}, "model_type is phi3; llama and qwen2 run"),
        ("config.json", {"text_config__hidden_size": "64"}, "hidden_size is 64, not a whole number"),
        (
            "config.json",
            {"text_config__hidden_size": 128},
            r"embed_tokens\.weight is \[403, 64\] in the weights",
        ),
        ("config.json", {"text_config__head_dim": 15}, "head_dim is 15, an odd number"),
        ("config.json", {"text_config__num_hidden_layers": 3}, r"hold no text\.layers\.2\."),
        ("config.json", {"text_config__num_hidden_layers": 1}, r"text\.layers\.1\..* has no place"),
        ("config.json", {"text_config__num_hidden_layers": 10**6}, "more than 1024"),
        ("config.json", {"text_config__rope_parameters": {"rope_type": "yarn"}}, "rope_type is yarn"),
        ("config.json", {"text_config__rope_parameters": {"rope_theta": 1e300}}, "rope_theta is 1e.300, not"),
        ("config.json", {"text_config__rms_norm_eps": 10**400}, "rms_norm_eps is 1000"),
        ("config.json", {"vision_config__model_type": "dinov2"}, "model_type is dinov2; known are"),
        ("config.json", {"vision_config__image_size": 60}, "60 is not a multiple of the patch size 8"),
        ("config.json", {"vision_config__image_size": 128}, "max_image_size is 64, not the tower's 128"),
        ("config.json", {"vision_config__num_hidden_layers": 3}, r"hold no vision\.encoder\.layers\.2\."),
        ("config.json", {"vision_config__num_attention_heads": 5}, "5 heads do not divide its width of 48"),
        ("config.json", {"vision_config__hidden_act": "relu"}, "hidden_act is relu"),
        ("config.json", {"scale_factor": 3}, "3 does not divide the 8 patches"),
        ("config.json", {"scale_factor": 4}, r"shuffle\.weight is \[64, 192\], not \[64, 768\]"),
        (
            "preprocessor_config.json",
            {"image_processor_type": "BlipImageProcessor"},
            "is BlipImageProcessor; known",
        ),
        ("preprocessor_config.json", {"resample": 0}, "resample must be 1"),
        ("preprocessor_config.json", {"image_std": [0.5, 0, 0.5]}, "image_std is 0, not a positive number"),
        ("preprocessor_config.json", {"do_rescale": False}, "do_rescale must be true"),
    ],
)
def test_what_contradicts_itself_is_named(
    file: str, changes: dict[str, Any], said: str, checkpoint: Any, tmp_path: Path
) -> None:
    folder = copied(checkpoint, tmp_path)
    edited(folder, file, **changes)
    refused(folder, tmp_path, said)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "preprocessor_config.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_files_that_are_no_json_objects_are_named(
    name: str, content: bytes, checkpoint: Any, tmp_path: Path
) -> None:
    folder = copied(checkpoint, tmp_path)
    (folder / name).write_bytes(content)
    refused(folder, tmp_path, "not (JSON|a JSON object)")


def test_weights_cut_short_are_named(checkpoint: Any, tmp_path: Path) -> None:
    folder = copied(checkpoint, tmp_path)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    refused(folder, tmp_path, r"model\.safetensors: .* it is cut short")


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("model.vision_model.embeddings.patch_embedding.weight", (), "empty or a single number"),
        (
            "model.vision_model.embeddings.patch_embedding.weight",
            (48, 3, 8),
            r"\[48, 3, 8\], not \[48, 3, 8, 8\]",
        ),
        ("model.vision_model.encoder.layers.1.mlp.fc1.bias", (5,), r"up\.bias is \[5\], not \[96\]"),
        ("model.vision_model.encoder.layers.1.mlp.fc2.weight", (48, 95), "vision tower: "),
        ("model.connector.modality_projection.proj.weight", (0, 192), "empty or a single number"),
        ("model.text_model.norm.weight", (), r"norm\.weight is \[\] in the weights"),
        (
            "model.vision_model.extra.weight",
            (1,),
            r"vision\.extra\.weight is in the weights, but has no place",
        ),
    ],
)
def test_a_tensor_of_another_shape_is_named(
    name: str, shape: tuple[int, ...], said: str, checkpoint: Any, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    folder = copied(checkpoint, tmp_path)
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, name: torch.ones(shape)}, folder / "model.safetensors")
    refused(folder, tmp_path, said)


def test_a_tokenizer_without_the_family_s_marks_is_named(checkpoint: Any, tmp_path: Path) -> None:
    folder = copied(checkpoint, tmp_path)
    text = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(text.replace("<global-img>", "<another>"))
    with pytest.raises(BadModelError, match="no token <global-img>"):
        VlmModel.open(folder, cache=tmp_path)


def refused(folder: Path, cache: Path, said: str) -> None:
    """One line that names what is wrong, and nothing left behind."""
    with pytest.raises(BadModelError, match=said) as caught:
        convert_checkpoint(folder, cache)
    assert "\n" not in str(caught.value)
    assert not list((cache / "vlm").glob("mine-*")) and not list((cache / "vlm").glob(".part-*"))
