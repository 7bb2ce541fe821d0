"""Whole models on edgevid's attention: SmolLM2's real weights, a VLM, the example of the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevid.models.store import ModelStore

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'edgevid[dev]'")
pytest.importorskip("transformers", reason="transformers is not installed: pip install 'edgevid[dev]'")
from transformers import DynamicCache  # noqa: E402

from edgevid.integrations.transformers import RetrievalCache  # noqa: E402
from tests.integrations.tiny import small_kv  # noqa: E402

DOCS = Path(__file__).parent.parent.parent / "docs"
FIXTURES = Path(__file__).parent.parent / "fixtures"
IMAGE_ROWS = 16


@pytest.mark.packs
def test_smollm2_equals_its_eager_attention(store: ModelStore) -> None:
    """Of real text. Measured 5.7e-5 on logits of up to 36; sdpa strays from eager by 9.8e-5."""
    from tests.integrations.smollm2 import load_smollm2

    model = load_smollm2(store.where("smollm2-135m-instruct")["model.gguf"])
    recorded = np.load(FIXTURES / "llama_cpp_smollm2.npz")["ids"][:250]
    parts = torch.split(torch.from_numpy(recorded.astype(np.int64))[None], [180, 64, 3, 1, 1, 1], dim=1)
    ours = RetrievalCache(model.config, small_kv(mass=1.0), f32=True)
    want, got = (logits(model, name, parts, c) for name, c in (("eager", DynamicCache()), ("edgevid", ours)))
    assert want.abs().max() > 10
    assert (got - want).abs().max() <= 1e-4
    assert all(s.steps == s.retrieved == 5 and s.dense == 0 for s in ours.stats())


def logits(model: Any, attention: str, parts: Any, cache: Any) -> Any:
    model.set_attn_implementation(attention)
    with torch.inference_mode():
        return torch.cat([model(part, past_key_values=cache).logits[0] for part in parts])


def test_a_vlm_watches_frames(tmp_path: Path) -> None:
    """The text model retrieves, the tower keeps its own attention."""
    pytest.importorskip("tokenizers", reason="tokenizers is not installed: pip install 'edgevid[dev]'")
    from tests.models.vlm.random_checkpoints import write_smolvlm

    eager = write_smolvlm(tmp_path / "smolvlm").eval()
    eager.set_attn_implementation("eager")
    ours = type(eager).from_pretrained(
        tmp_path / "smolvlm", attn_implementation={"text_config": "edgevid", "vision_config": "eager"}
    )
    draw = torch.Generator().manual_seed(2)
    frames = torch.rand(6, 1, 1, 3, 64, 64, generator=draw)
    words = torch.randint(0, 200, (6, 1, 9), generator=draw)
    image = torch.full((1, IMAGE_ROWS), eager.config.image_token_id)
    steps = [torch.cat([w, image], dim=1) for w in words]
    cache = RetrievalCache(ours.config, small_kv(mass=1.0), f32=True)
    with torch.inference_mode():
        want = eager(torch.cat(steps, dim=1), pixel_values=frames.transpose(0, 2)[0]).logits[0]
        got = torch.cat(
            [ours(s, pixel_values=f, past_key_values=cache).logits[0] for s, f in zip(steps, frames)]
        )
    assert (got - want).abs().max() <= 1e-4
    assert cache.stats()[0].steps > 0


def test_the_example_of_the_documentation_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (DOCS / "TRANSFORMERS.md").read_text()
    example = text.split("```python\n")[1].split("```")[0]
    exec(compile(example, "docs/TRANSFORMERS.md", "exec"), {"__name__": "example"})
    assert "of the past attended" in capsys.readouterr().out
