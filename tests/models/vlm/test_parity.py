"""Rows and logits of random checkpoints of the real architectures, against transformers.

Measured: at most 3.4e-6 in rows of size 5.9 and 7.6e-6 in logits of size 4.3 (float32 on both sides).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevid.core.errors import BadModelError
from edgevid.models.vlm.model import VlmModel
from edgevid.models.vlm.tower import bucketed_positions

ROWS_WITHIN, LOGITS_WITHIN = 3e-5, 5e-5
TEXT = "The door opens at 12:45"
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "smolvlm": ("smolvlm", {}),
    "smolvlm, llama 3 rope": ("smolvlm", {"rope_parameters": LLAMA3_ROPE}),
    "smolvlm, linear rope": (
        "smolvlm",
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}},
    ),
    "clip and llama": ("llava", {}),
    "clip and qwen2": ("llava", {"text": "qwen2"}),
    "siglip and llama": ("llava", {"tower": "siglip"}),
    "siglip and qwen2": ("llava", {"tower": "siglip", "text": "qwen2"}),
    "two feature layers": ("llava", {"layer": [-2, 1]}),
}


@pytest.mark.parametrize("case", CASES)
def test_rows_and_logits_are_those_of_transformers(
    case: str, checkpoint: Any, picture: Any, tmp_path: Path
) -> None:
    kind, options = CASES[case]
    folder, reference = checkpoint(kind, **options)
    model = VlmModel.open(folder, cache=tmp_path, threads=1, exact=True)
    rows = model.vision(picture)
    before = model.tokenize(TEXT, bos=True)
    expected_rows, expected = transformers_says(reference, model.vision.recipe(picture), before, len(rows))
    assert np.abs(rows - expected_rows).max() < ROWS_WITHIN
    fed = np.concatenate([model.embed(before), rows, model.embed(before)])
    logits = model.new_sequence().append_rows(fed, logits="all")
    assert np.abs(logits - expected).max() < LOGITS_WITHIN
    assert np.abs(expected_rows).max() > 1 and np.abs(expected).max() > 1  # there is something to compare


def transformers_says(
    reference: Any, pixels: Any, ids: list[int], rows: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Rows of the picture, and teacher-forced logits of text, picture, text."""
    import torch

    config = reference.config
    values = torch.from_numpy(pixels)
    values = values[None] if config.model_type == "smolvlm" else values
    layers: dict[str, Any] = {}
    if config.model_type == "llava":
        layers = {
            name: getattr(config, name) for name in ("vision_feature_layer", "vision_feature_select_strategy")
        }
    with torch.inference_mode():
        features = torch.cat(list(reference.get_image_features(pixel_values=values, **layers).pooler_output))
        sequence = torch.tensor([[*ids, *[config.image_token_id] * rows, *ids]])
        logits = reference(input_ids=sequence, pixel_values=values).logits[0]
    return features.numpy(), logits.numpy()


@pytest.mark.parametrize("patches", [2, 8, 14, 16, 24, 26, 27, 32, 37, 64])
def test_positions_are_bucketed_as_idefics3_does(patches: int) -> None:
    torch = pytest.importorskip("torch")
    step = 1 / patches
    edges = torch.arange(step, 1.0, step)
    counts = torch.full((1,), patches)
    at = torch.clamp(torch.arange(patches, dtype=torch.float32) * (1.0 / counts), max=1.0 - 1e-6)
    bucket = torch.bucketize(at, edges, right=True)
    expected = (bucket[:, None] * patches + bucket[None, :]).reshape(-1)
    np.testing.assert_array_equal(bucketed_positions(patches), expected.numpy())


def test_a_tensor_that_would_be_ignored_is_refused(checkpoint: Any, tmp_path: Path) -> None:
    folder, _ = checkpoint(
        "smolvlm", attention_bias=True
    )  # transformers gives the output projection one, too
    with pytest.raises(BadModelError, match=r"o_proj\.bias is in the weights, but has no place"):
        VlmModel.open(folder, cache=tmp_path, threads=1)


def test_tied_heads_follow_the_outer_configuration(checkpoint: Any, picture: Any, tmp_path: Path) -> None:
    folder, reference = checkpoint(
        "smolvlm", tie_word_embeddings=True
    )  # in text_config, where it is not looked at
    model = VlmModel.open(folder, cache=tmp_path, threads=1, exact=True)
    ids = model.tokenize(TEXT)
    rows = model.vision(picture)
    _, expected = transformers_says(reference, model.vision.recipe(picture), ids, len(rows))
    fed = np.concatenate([model.embed(ids), rows, model.embed(ids)])
    assert np.abs(model.new_sequence().append_rows(fed, logits="all") - expected).max() < LOGITS_WITHIN
