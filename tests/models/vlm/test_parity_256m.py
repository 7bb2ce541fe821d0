"""SmolVLM-256M at its true size, with random weights, against transformers."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevid.models.vlm.model import VlmModel
from tests.models.vlm.test_parity import TEXT, transformers_says

# The shape that SmolVLM-256M-Instruct publishes: SigLIP-B/16 at 512 pixels, shuffle by 4, SmolLM2-135M.
VISION = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
WORDS = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9}
MORE = {"num_key_value_heads": 3, "max_position_embeddings": 8192, "vocab_size": 49280, "rms_norm_eps": 1e-5}


@pytest.mark.soak
@pytest.mark.parametrize("exact", [True, False])
def test_rows_and_logits_at_true_size(exact: bool, tmp_path: Path, picture: Any) -> None:
    """Measured: see docs/VLM.md. Weights are stored in bfloat16, as the checkpoint's are."""
    pytest.importorskip("transformers")
    import torch
    from transformers import SmolVLMConfig, SmolVLMForConditionalGeneration

    from tests.models.vlm.random_checkpoints import SMOLVLM_TEMPLATE, smolvlm_pictures, write_bpe

    tokenizer = write_bpe(tmp_path, "smollm")
    config = SmolVLMConfig(
        vision_config={**VISION, "image_size": 512, "patch_size": 16},
        text_config={"model_type": "llama", "rope_theta": 100000.0, **WORDS, **MORE},
        scale_factor=4,
        image_token_id=tokenizer.token_to_id("<image>"),
    )
    torch.manual_seed(0)
    reference = SmolVLMForConditionalGeneration(config).eval()
    with torch.no_grad():  # parameter by parameter: the rotary frequencies, a buffer, must stay float32
        for parameter in reference.parameters():
            parameter.copy_(parameter.bfloat16())
    copy.deepcopy(reference).bfloat16().save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(smolvlm_pictures(512)))
    (tmp_path / "chat_template.jinja").write_text(SMOLVLM_TEMPLATE)
    model = VlmModel.open(tmp_path, cache=tmp_path, exact=exact)
    rows = model.vision(picture)
    assert rows.shape == (64, 576)
    ids = model.tokenize(TEXT)
    expected_rows, expected = transformers_says(reference, model.vision.recipe(picture), ids, len(rows))
    fed = np.concatenate([model.embed(ids), rows, model.embed(ids)])
    logits = model.new_sequence().append_rows(fed, logits="all")
    apart = np.abs(rows - expected_rows).max(), np.abs(logits - expected).max()
    print(f"rows within {apart[0]:.2g} of {np.abs(expected_rows).max():.2g}", end=", ")
    print(f"logits within {apart[1]:.2g} of {np.abs(expected).max():.2g}")
    assert apart[0] < 1e-4 * np.abs(expected_rows).max()
    assert apart[1] < (1e-4 if exact else 2e-2) * np.abs(expected).max()
