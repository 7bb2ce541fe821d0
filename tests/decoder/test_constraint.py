"""Constraints over a real vocabulary: what they allow, and that they cost little beside a decoder step."""

from __future__ import annotations

import json
import random
import statistics
import time
from typing import Any

import pytest

from edgevid.models.json_schema import schema_to_grammar
from edgevid.models.store import ModelStore

native = pytest.importorskip("edgevid._native")
pytestmark = pytest.mark.packs

SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"type": "string", "maxLength": 40},
        "times": {"type": "array", "items": {"type": "number"}, "maxItems": 6},
        "kind": {"enum": ["object", "text", "speech", "sound", "cut"]},
    },
    "required": ["label", "times", "kind"],
}


@pytest.fixture(scope="module")
def tokenizer(store: ModelStore) -> Any:
    return native.Tokenizer(str(store.where("smollm2-135m-instruct")["model.gguf"]))


def walk(tokenizer: Any, constraint: Any, rng: random.Random) -> tuple[str, list[float]]:
    """A random text under the constraint, and the seconds that each step took."""
    ids: list[int] = []
    seconds: list[float] = []
    while not constraint.done:
        began = time.perf_counter()
        allowed = constraint.allowed()
        seconds.append(time.perf_counter() - began)
        assert allowed, tokenizer.decode(ids)
        ids.append(rng.choice(allowed))
        constraint.accept(ids[-1])
    return tokenizer.decode(ids).decode(), seconds


def test_random_json_is_valid_and_steps_are_cheap(tokenizer: Any) -> None:
    grammar = schema_to_grammar(SCHEMA)
    seconds: list[float] = []
    for seed in range(20):
        text, spent = walk(tokenizer, native.Constraint.grammar(tokenizer, grammar), random.Random(seed))
        value = json.loads(text)
        assert set(value) == {"label", "times", "kind"}
        assert len(value["label"]) <= 40
        seconds += spent
    assert statistics.median(seconds) < 0.005


def test_choices_are_exact(tokenizer: Any) -> None:
    choices = ["yes", "no", "yes, twice", "cannot tell", "\N{CJK UNIFIED IDEOGRAPH-6F22}字"]
    seen = {
        walk(tokenizer, native.Constraint.choices(tokenizer, choices), random.Random(i))[0]
        for i in range(200)
    }
    assert seen == set(choices)


def test_bytes_the_vocabulary_lacks_are_refused_as_choices(tokenizer: Any) -> None:
    with pytest.raises(ValueError, match="cannot spell the choice"):
        native.Constraint.choices(tokenizer, ["yes", "\x04"])
