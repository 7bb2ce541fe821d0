"""A Hugging Face model on edgevid's attention and cache, against its own eager attention."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from edgevid.core.errors import LimitError, UsageError

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'edgevid[dev]'")
pytest.importorskip("transformers", reason="transformers is not installed: pip install 'edgevid[dev]'")
from transformers import Qwen2Config, Qwen2ForCausalLM  # noqa: E402

from edgevid.integrations.transformers import RetrievalCache  # noqa: E402
from tests.integrations.tiny import fresh, ids, llama_config, pair, small_kv, streamed  # noqa: E402

FRAMES = [200] + [10] * 15 + [1] * 20
"""A prompt, frames, decoded tokens."""


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


def test_guessed_tokens_that_were_wrong_leave_no_trace() -> None:
    eager, ours = pair(llama_config())
    prompt = ids(30).repeat(1, 3)  # what came before is guessed to come again
    options = {"max_new_tokens": 20, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    cache = RetrievalCache(ours.config, small_kv(mass=1.0), f32=True)
    cropped = []
    crop, cache.crop = cache.crop, lambda tokens: (cropped.append(tokens), crop(tokens))  # type: ignore[method-assign]
    got = ours.generate(prompt, past_key_values=cache, prompt_lookup_num_tokens=4, **options)
    assert min(cropped) < 0
    assert torch.equal(got, eager.generate(prompt, **options))


def test_a_short_stream_is_taken_back_whole() -> None:
    _, ours = pair(llama_config())
    cache = fresh(ours)
    streamed(ours, ids(10), cache, [10])
    cache.crop(-4)
    streamed(ours, ids(30)[:, 6:], cache, [24])
    cache.crop(-28)
    assert cache.get_seq_length() == 2
    got = streamed(ours, ids(40)[:, 2:], cache, [38])
    assert torch.allclose(got, streamed(ours, ids(40), fresh(ours), [2, 38])[2:], atol=1e-4)


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


def test_a_long_stream_stays_in_bounds() -> None:
    _, ours = pair(llama_config(max_position_embeddings=4096))
    cache = RetrievalCache(ours.config, small_kv(max_tokens=120))
    assert streamed(ours, ids(2000), cache, [20] * 100).isfinite().all()
    assert cache.get_seq_length() == 2000
    with torch.inference_mode(), pytest.raises(LimitError, match="do not fit a cache of 120 tokens"):
        ours(ids(100), past_key_values=cache)


def test_edgevid_alone_loads_neither_torch_nor_transformers() -> None:
    loaded = "any(name in sys.modules for name in ('torch', 'transformers'))"
    code = f"import edgevid, edgevid.integrations, sys; sys.exit({loaded})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_transformers_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['transformers'] = None; import edgevid.integrations.transformers"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "MissingPartError: transformers is not installed (fix: pip install" in done.stderr
