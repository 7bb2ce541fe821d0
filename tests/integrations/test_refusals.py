"""What the door to transformers cannot do is refused by one line, and costs the stream nothing."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from edgevid.core.errors import EdgevidError, LimitError, UsageError
from edgevid.core.kv_config import KVConfig, RetrievalConfig

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'edgevid[dev]'")
pytest.importorskip("transformers", reason="transformers is not installed: pip install 'edgevid[dev]'")
from transformers import DynamicCache, MistralConfig, MistralForCausalLM  # noqa: E402

from edgevid.integrations.transformers import RetrievalCache  # noqa: E402
from tests.integrations.tiny import fresh, ids, llama_config, pair, small_kv, streamed  # noqa: E402


@pytest.mark.parametrize(
    ("message", "kv"),
    [
        ("bounds and a retrieval", KVConfig(max_tokens=1000)),
        ("bounds and a retrieval", KVConfig(retrieval=RetrievalConfig(rotated=True))),
        ("rotated keys", KVConfig(max_tokens=1000, retrieval=RetrievalConfig())),
        ("no bound", small_kv(certify=True)),
        ("must exceed sinks", small_kv(max_tokens=64)),
    ],
)
def test_settings(message: str, kv: KVConfig) -> None:
    with pytest.raises(UsageError, match=message):
        RetrievalCache(llama_config(), kv)


def left_padded() -> Any:
    mask = torch.ones(1, 20, dtype=torch.int64)
    mask[0, :3] = 0
    return mask


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("not a batch", lambda: {"input_ids": ids(20).expand(2, -1)}),
        ("no padding", lambda: {"attention_mask": left_padded()}),
        ("mask of the caller", lambda: {"attention_mask": torch.zeros(1, 1, 20, 170)}),
        ("weights of attention", lambda: {"output_attentions": True}),
        ("do not fit", lambda: {"input_ids": ids(700)}),
    ],
)
def test_a_call_that_is_refused_loses_nothing_of_the_stream(
    message: str, call: Callable[[], dict[str, Any]]
) -> None:
    _, ours = pair(llama_config())
    cache, other = fresh(ours), fresh(ours)
    for held in (cache, other):
        streamed(ours, ids(150), held, [150])
    options = {"input_ids": ids(20), "past_key_values": cache, **call()}
    with torch.inference_mode(), pytest.raises(EdgevidError, match=message):
        ours(**options)
    cache.rollback()
    assert cache.get_seq_length() == 150
    assert torch.equal(*[streamed(ours, ids(60, seed=4), held, [20, 40]) for held in (cache, other)])


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("not a batch", {"num_beams": 2}),
        ("not a batch", {"num_return_sequences": 2, "do_sample": True}),
        ("weights of attention", {"output_attentions": True, "return_dict_in_generate": True}),
    ],
)
def test_generation(message: str, options: dict[str, Any]) -> None:
    _, ours = pair(llama_config())
    with pytest.raises(UsageError, match=message):
        ours.generate(ids(20), past_key_values=fresh(ours), max_new_tokens=4, pad_token_id=0, **options)


def test_what_a_cache_of_one_stream_cannot_do() -> None:
    _, ours = pair(llama_config())
    cache = fresh(ours)
    streamed(ours, ids(20), cache, [20])
    calls: list[tuple[str, Callable[[], object]]] = [
        ("not a batch", lambda: cache.reorder_cache(torch.tensor([0]))),
        ("not a batch", lambda: cache.batch_repeat_interleave(2)),
        ("not a batch", lambda: cache.batch_select_indices(torch.tensor([0]))),
        ("copied or saved", lambda: copy.deepcopy(cache)),
        ("copied or saved", lambda: copy.copy(cache)),
        ("copied or saved", lambda: pickle.dumps(cache)),
        (r"crop\(-10\)", lambda: cache.crop(10)),
    ]
    for message, call in calls:
        with pytest.raises(UsageError, match=message):
            call()
    assert cache.get_seq_length() == 20


def test_gradients() -> None:
    _, ours = pair(llama_config())
    with pytest.raises(UsageError, match="no gradient"):
        ours(ids(20), past_key_values=fresh(ours))


def test_another_cache() -> None:
    _, ours = pair(llama_config())
    for cache in ({"use_cache": False}, {}, {"past_key_values": DynamicCache()}):
        with torch.inference_mode(), pytest.raises(UsageError, match="its own cache"):
            ours(ids(20), **cache)


def test_another_attention_on_our_cache() -> None:
    """It would see its own step only."""
    eager, ours = pair(llama_config())
    cache = fresh(ours)
    with pytest.raises(UsageError, match=r"not attended through edgevid.*attn_implementation"):
        streamed(eager, ids(5), cache, [5])
    cache.rollback()
    assert cache.get_seq_length() == 0


def test_another_models_cache() -> None:
    _, ours = pair(llama_config())
    fewer = RetrievalCache(llama_config(num_hidden_layers=2), small_kv())
    with pytest.raises(UsageError, match="the cache has 2 layers, the model more"):
        streamed(ours, ids(5), fewer, [5])
    more = RetrievalCache(llama_config(num_hidden_layers=4), small_kv())
    with pytest.raises(UsageError, match="fewer layers than the cache"):
        streamed(ours, ids(10), more, [5, 5])
    for heads, dim in ((1, 20), (2, 16)):
        other = RetrievalCache(llama_config(num_key_value_heads=heads, head_dim=dim), small_kv())
        with pytest.raises(EdgevidError, match=r"2 KV heads of 20, the cache has"):
            streamed(ours, ids(5), other, [5])


def test_a_step_that_was_broken_off_is_noticed_and_taken_back() -> None:
    _, ours = pair(llama_config())
    cache, other = fresh(ours), fresh(ours)
    for held in (cache, other):
        streamed(ours, ids(20), held, [20])

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    for broken in (ours.model.layers[1], ours.model.layers[-1].self_attn.o_proj):
        hook = broken.register_forward_pre_hook(stop)
        with pytest.raises(KeyboardInterrupt):
            streamed(ours, ids(5), cache, [5])
        hook.remove()
        if broken is ours.model.layers[1]:
            with pytest.raises(UsageError, match=r"broken off.*cache.rollback"):
                streamed(ours, ids(5), cache, [5])
            cache.rollback()
        else:
            cache.crop(-5)  # all layers had attended
        assert cache.get_seq_length() == 20
    assert torch.equal(*[streamed(ours, ids(5), held, [5]) for held in (cache, other)])
    cache.reset()
    assert torch.equal(*[streamed(ours, ids(5), held, [5]) for held in (cache, fresh(ours))])


def test_another_kind_of_attention() -> None:
    config = MistralConfig(**llama_config().to_dict() | {"model_type": "mistral", "sliding_window": 8})
    _, ours = pair(config, MistralForCausalLM)
    with torch.inference_mode(), pytest.raises(UsageError, match="causal and plain"):
        ours(ids(20), past_key_values=RetrievalCache(ours.config, small_kv()))


def test_a_step_that_is_too_long() -> None:
    _, ours = pair(llama_config())
    with torch.inference_mode(), pytest.raises(LimitError, match="do not fit a cache of 120 tokens"):
        ours(ids(130), past_key_values=fresh(ours, max_tokens=120))
