"""A Hugging Face model on edgevid's attention and cache, against its own eager attention."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from edgevid.core.errors import EdgevidError, LimitError, UsageError
from edgevid.core.kv_config import KVConfig, RetrievalConfig

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'edgevid[dev]'")
pytest.importorskip("transformers", reason="transformers is not installed: pip install 'edgevid[dev]'")
from transformers import MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM  # noqa: E402

from edgevid.integrations.transformers import RetrievalCache  # noqa: E402
from tests.integrations.tiny import ids, llama_config, pair, small_kv  # noqa: E402

FRAMES = [200] + [10] * 15 + [1] * 20
"""A prompt, frames, decoded tokens."""


def streamed(model: Any, tokens: Any, cache: Any, steps: list[int]) -> Any:
    """Logits [n, vocab] of the tokens, fed in steps."""
    parts = torch.split(tokens[:, : sum(steps)], steps, dim=1)
    with torch.inference_mode():
        return torch.cat([model(part, past_key_values=cache).logits[0] for part in parts])


def eager_logits(model: Any, tokens: Any) -> Any:
    with torch.inference_mode():
        return model(tokens).logits[0]


@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize("everything", [{"everything": True}, {"mass": 1.0}])
def test_everything_attended_equals_eager(everything: dict[str, Any], backend: Any) -> None:
    eager, ours = pair(llama_config())
    tokens = ids(sum(FRAMES))
    cache = RetrievalCache(ours.config, small_kv(**everything), f32=True, backend=backend)
    got, want = streamed(ours, tokens, cache, FRAMES), eager_logits(eager, tokens)
    assert want.abs().max() > 1
    assert (got - want).abs().max() <= 1e-4
    assert cache.get_seq_length() == len(tokens[0])
    assert all(s.steps > 30 and s.retrieved == s.steps for s in cache.stats())


@pytest.mark.parametrize(
    "changes",
    [
        {"num_key_value_heads": 6},
        {"num_key_value_heads": 1, "attention_bias": True},
        {"head_dim": 64, "tie_word_embeddings": True, "rope_theta": 1e6},
    ],
)
def test_other_shapes_of_heads(changes: dict[str, Any]) -> None:
    eager, ours = pair(llama_config(**changes))
    cache = RetrievalCache(ours.config, small_kv(mass=1.0), f32=True)
    got = streamed(ours, ids(150), cache, [90, 10, 50])
    assert (got - eager_logits(eager, ids(150))).abs().max() <= 1e-4


def test_another_family() -> None:
    config = Qwen2Config(**llama_config().to_dict() | {"model_type": "qwen2", "use_sliding_window": False})
    eager, ours = pair(config, Qwen2ForCausalLM)
    cache = RetrievalCache(ours.config, small_kv(mass=1.0), f32=True)
    got = streamed(ours, ids(150), cache, [90, 10, 50])
    assert (got - eager_logits(eager, ids(150))).abs().max() <= 1e-4


def test_half_precision_costs_little() -> None:
    eager, ours = pair(llama_config())
    tokens = ids(300)
    want = eager_logits(eager, tokens)
    got = streamed(ours, tokens, RetrievalCache(ours.config, small_kv(mass=1.0)), [280, 20])
    assert 0 < (got - want).abs().max() <= 0.02 * want.abs().max()
    narrow = RetrievalCache(ours.config, replace(small_kv(mass=1.0), dtype="int8"))
    in_int8 = streamed(ours, tokens, narrow, [280, 20])
    assert (got - want).abs().mean() < (in_int8 - want).abs().mean() <= 0.02 * want.abs().max()
    bfloat = ours.to(torch.bfloat16)
    cache = RetrievalCache(bfloat.config, small_kv(mass=1.0))
    assert streamed(bfloat, tokens, cache, [280, 20]).dtype == torch.bfloat16


def test_less_mass_attends_fewer_tokens_and_strays_further() -> None:
    eager, ours = pair(llama_config())
    tokens = ids(400)
    want = eager_logits(eager, tokens)
    shares, errors = [], []
    for mass in (0.3, 0.7, 0.99):
        cache = RetrievalCache(ours.config, small_kv(mass=mass, estimate=False), f32=True)
        errors.append(float((streamed(ours, tokens, cache, [100] + [10] * 30) - want).abs().mean()))
        shares.append(sum(s.retrieved / s.steps for s in cache.stats()) / len(cache))
    assert shares == sorted(shares) and shares[0] < shares[-1] - 0.1
    assert errors == sorted(errors, reverse=True) and errors[-1] > 0


def test_generation_is_eagers_and_a_stream_goes_on() -> None:
    eager, ours = pair(llama_config())
    prompt, more = ids(120), ids(40, seed=2)
    cache = RetrievalCache(ours.config, small_kv(mass=1.0), f32=True)
    options = {"max_new_tokens": 12, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    got = ours.generate(prompt, past_key_values=cache, **options)
    assert torch.equal(got, eager.generate(prompt, **options))
    longer = torch.cat([got, more], dim=1)
    assert torch.equal(
        ours.generate(longer, past_key_values=cache, **options), eager.generate(longer, **options)
    )


def test_a_question_is_taken_back() -> None:
    _, ours = pair(llama_config())
    caches = [RetrievalCache(ours.config, small_kv(mass=0.9), f32=True) for _ in range(2)]
    for cache in caches:
        streamed(ours, ids(150), cache, [150])
    streamed(ours, ids(9, seed=3), caches[0], [4, 5])
    caches[0].crop(-9)
    assert caches[0].get_seq_length() == 150
    after = [streamed(ours, ids(60, seed=4), cache, [20, 40]) for cache in caches]
    assert torch.equal(*after)
    with pytest.raises(UsageError, match="cannot be taken back"):
        caches[0].crop(-200)
    caches[0].reset()
    assert caches[0].get_seq_length() == 0
    assert torch.equal(*[streamed(ours, ids(50), c, [50]) for c in (caches[0], fresh(ours))])


def fresh(model: Any) -> RetrievalCache:
    return RetrievalCache(model.config, small_kv(mass=0.9), f32=True)


def test_a_long_stream_stays_in_bounds() -> None:
    _, ours = pair(llama_config(max_position_embeddings=4096))
    cache = RetrievalCache(ours.config, small_kv(max_tokens=120))
    assert streamed(ours, ids(2000), cache, [20] * 100).isfinite().all()
    assert cache.get_seq_length() == 2000
    with torch.inference_mode(), pytest.raises(LimitError, match="do not fit a cache of 120 tokens"):
        ours(ids(100), past_key_values=cache)


@pytest.mark.parametrize(
    ("message", "kv"),
    [
        ("bounds and a retrieval", KVConfig(max_tokens=1000)),
        ("bounds and a retrieval", KVConfig(retrieval=RetrievalConfig(rotated=True))),
        ("rotated keys", KVConfig(max_tokens=1000, retrieval=RetrievalConfig())),
        ("no bound", small_kv(certify=True)),
        ("not bounded", small_kv(max_pages=4)),
        ("must exceed sinks", small_kv(max_tokens=64)),
    ],
)
def test_settings_the_door_cannot_follow_are_refused(message: str, kv: KVConfig) -> None:
    with pytest.raises(UsageError, match=message):
        RetrievalCache(llama_config(), kv)


def test_calls_it_cannot_answer_are_refused() -> None:
    _, ours = pair(llama_config())
    batch = ids(20).expand(2, -1)
    mask = torch.ones(1, 20, dtype=torch.int64)
    mask[0, :3] = 0
    calls: list[tuple[str, dict[str, Any]]] = [
        ("its own cache", {"input_ids": ids(20), "use_cache": False}),
        ("its own cache", {"input_ids": ids(20)}),
        ("not a batch", {"input_ids": batch, "past_key_values": fresh(ours)}),
        ("no padding", {"input_ids": ids(20), "attention_mask": mask, "past_key_values": fresh(ours)}),
        (
            "mask of the caller",
            {
                "input_ids": ids(20),
                "attention_mask": torch.zeros(1, 1, 20, 20),
                "past_key_values": fresh(ours),
            },
        ),
    ]
    for message, call in calls:
        with torch.inference_mode(), pytest.raises(EdgevidError, match=message):
            ours(**call)
    with pytest.raises(UsageError, match="no gradient"):
        ours(ids(20), past_key_values=fresh(ours))


def test_a_step_that_was_broken_off_is_noticed() -> None:
    _, ours = pair(llama_config())
    cache = fresh(ours)
    streamed(ours, ids(20), cache, [20])

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    hook = ours.model.layers[1].register_forward_pre_hook(stop)
    with pytest.raises(KeyboardInterrupt):
        streamed(ours, ids(5), cache, [5])
    hook.remove()
    with pytest.raises(UsageError, match=r"broken off.*cache.reset"):
        streamed(ours, ids(5), cache, [5])
    cache.reset()
    assert torch.equal(*[streamed(ours, ids(5), c, [5]) for c in (cache, fresh(ours))])


def test_another_kind_of_attention_is_refused() -> None:
    config = MistralConfig(**llama_config().to_dict() | {"model_type": "mistral", "sliding_window": 8})
    _, ours = pair(config, MistralForCausalLM)
    with torch.inference_mode(), pytest.raises(UsageError, match="causal and plain"):
        ours(ids(20), past_key_values=RetrievalCache(ours.config, small_kv()))


def test_edgevid_alone_loads_neither_torch_nor_transformers() -> None:
    loaded = "any(name in sys.modules for name in ('torch', 'transformers'))"
    code = f"import edgevid, edgevid.integrations, sys; sys.exit({loaded})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_transformers_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['transformers'] = None; import edgevid.integrations.transformers"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "MissingPartError: transformers is not installed (fix: pip install" in done.stderr
