"""Frames become the pixels that transformers' processors on Pillow make of them: equal to the bit."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest

from edgevid.core.errors import BadModelError
from edgevid.models.vlm.fields import Fields
from edgevid.models.vlm.preprocess import FrameRecipe

SIZES = [(54, 96), (96, 54), (180, 320), (111, 83), (64, 64), (160, 213), (175, 52), (1, 40)]
CASES: dict[str, tuple[str, dict[str, Any], int]] = {
    "smolvlm": (
        "smolvlm.SmolVLM",
        {"size": {"longest_edge": 256}, "max_image_size": {"longest_edge": 64}},
        64,
    ),
    "smolvlm large": (
        "smolvlm.SmolVLM",
        {"size": {"longest_edge": 2048}, "max_image_size": {"longest_edge": 96}},
        96,
    ),
    "idefics3": (
        "idefics3.Idefics3",
        {"size": {"longest_edge": 200}, "max_image_size": {"longest_edge": 56}},
        56,
    ),
    "clip": ("clip.CLIP", {"size": {"shortest_edge": 80}, "crop_size": {"height": 64, "width": 64}}, 64),
    "llava": ("llava.Llava", {"size": {"shortest_edge": 56}, "crop_size": {"height": 56, "width": 56}}, 56),
    "llava, padded": (
        "llava.Llava",
        {"size": {"shortest_edge": 56}, "crop_size": {"height": 56, "width": 56}, "do_pad": True},
        56,
    ),
    "siglip": ("siglip.Siglip", {"size": {"height": 48, "width": 48}}, 48),
    "siglip, bilinear": ("siglip.Siglip", {"size": {"height": 48, "width": 48}, "resample": 2}, 48),
}


@pytest.mark.parametrize("case", CASES)
def test_pixels_are_those_of_transformers(case: str) -> None:
    pytest.importorskip("transformers")
    if int(pytest.importorskip("PIL").__version__.split(".")[0]) < 13:
        pytest.skip("older Pillows resize along rows first, whatever the shape")
    kind, options, side = CASES[case]
    module, name = kind.split(".")
    package = f"transformers.models.{module}.image_processing_pil_{module}"
    processor = getattr(pytest.importorskip(package), f"{name}ImageProcessorPil")(**options)
    recipe = FrameRecipe.of_config(Fields(json.loads(processor.to_json_string()), "x"), side=side)
    whole = {"do_image_splitting": False} if "max_image_size" in options else {}
    rng = np.random.default_rng(0)
    for height, width in SIZES:
        if case.startswith(("clip", "llava")) and min(height, width) == 1:
            continue  # a strip of one row cannot be cropped from; the longest edge would be thousands
        noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        made = processor(noise, return_tensors="np", input_data_format="channels_last", **whole)
        expected = np.asarray(made["pixel_values"]).reshape(1, 3, side, side)
        np.testing.assert_array_equal(recipe(noise), expected)


def test_a_model_trained_on_video_says_how_large_its_frames_were() -> None:
    config = {
        "image_processor_type": "SmolVLMImageProcessor",
        "size": {"longest_edge": 2048},
        "max_image_size": {"longest_edge": 512},
        "video_sampling": {"fps": 1, "max_frames": 64, "video_size": {"longest_edge": 512}},
    }
    assert FrameRecipe.of_config(Fields(config, "x"), side=512).edge == 512
    assert FrameRecipe.of_config(Fields({**config, "video_sampling": None}, "x"), side=512).edge == 2048


@pytest.mark.parametrize("shape", [(1, 4000, 3), (4000, 1, 3), (2, 2000, 3)])
def test_of_a_strip_only_the_middle_is_scaled(shape: tuple[int, int, int]) -> None:
    recipe = FrameRecipe(side=32, filter="bicubic", fit="shortest_then_crop", edge=32)
    strip = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    tracemalloc.start()
    assert recipe(strip).shape == (1, 3, 32, 32)
    assert tracemalloc.get_traced_memory()[1] < 2e6
    tracemalloc.stop()


def test_a_crop_cannot_ask_for_pictures_of_any_size() -> None:
    config = {"size": {"shortest_edge": 1 << 20}, "crop_size": {"height": 32, "width": 32}}
    with pytest.raises(BadModelError, match="shortest_edge is 1048576, more than 4096"):
        FrameRecipe.of_config(Fields(config, "x"), side=32)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size": {"height": 64, "width": 32}}, "size is not the tower's 48 x 48"),
        ({"size": 5}, "size is not an object"),
        ({"image_mean": [1, 2]}, "image_mean is not a list of three numbers"),
        ({"image_std": [1, 2, float("nan")]}, "image_std is nan, not a positive number"),
        ({"do_normalize": False}, "do_normalize must be true"),
        ({"do_resize": "yes"}, "do_resize is not true or false"),
        ({"image_processor_type": "ViTImageProcessor"}, "is ViTImageProcessor; known are"),
    ],
)
def test_what_is_not_understood_is_named(changes: dict[str, Any], said: str) -> None:
    config = {"image_processor_type": "SiglipImageProcessor", "size": {"height": 48, "width": 48}}
    with pytest.raises(BadModelError, match=said):
        FrameRecipe.of_config(Fields({**config, **changes}, "x"), side=48)
