"""JSON schemas as grammars: exactly the right texts go through, and random answers are valid."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from edgevid.core.errors import UsageError
from edgevid.models.json_schema import quote_literal, schema_to_grammar
from tests.decoder.vocab_gguf import byte_level_vocabulary, frequent_merges

native = pytest.importorskip("edgevid._native")

EVENT: dict[str, Any] = {
    "title": "Event",
    "type": "object",
    "properties": {
        "kind": {"enum": ["object", "text", 'a "quote" \\ é', None, 3]},
        "start_s": {"type": "number", "description": "seconds"},
        "note": {"type": ["string", "null"], "maxLength": 5},
        "boxes": {
            "type": "array",
            "items": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
        },
        "sure": {"type": "boolean"},
    },
    "required": ["kind", "boxes"],
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("vocab") / "v.gguf"
    return native.Tokenizer(str(byte_level_vocabulary(path, frequent_merges(seed=8, count=400))))


def accepts(tokenizer: Any, schema: dict[str, Any], text: str) -> bool:
    """Whether the text, byte by byte, and then the end go through (ids below 256 are the bytes)."""
    constraint = native.Constraint.grammar(tokenizer, schema_to_grammar(schema))
    try:
        for token in (*text.encode(), tokenizer.eos):
            constraint.accept(token)
    except ValueError:
        return False
    return True


def random_answer(tokenizer: Any, schema: dict[str, Any], rng: random.Random) -> str:
    constraint = native.Constraint.grammar(tokenizer, schema_to_grammar(schema))
    ids: list[int] = []
    while len(ids) < 3000:
        allowed = constraint.allowed()
        ids.append(tokenizer.eos if tokenizer.eos in allowed else rng.choice(allowed))
        constraint.accept(ids[-1])
        if constraint.done:
            return str(tokenizer.decode(ids).decode())
    return reject()  # the walk found no end


def valid(schema: dict[str, Any], value: Any) -> bool:
    """A second opinion, for the keywords that are supported."""
    if "const" in schema or "enum" in schema:
        return value in schema.get("enum", [schema.get("const")])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    python = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None)}
    for kind in kinds:
        if kind == "object" and isinstance(value, dict):
            known = schema.get("properties", {})
            return set(schema.get("required", [])) <= set(value) <= set(known) and all(
                valid(known[name], member) for name, member in value.items()
            )
        if kind == "array" and isinstance(value, list):
            right_size = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
            return right_size and all(valid(schema["items"], item) for item in value)
        if kind == "string" and isinstance(value, str):
            return bool(schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)))
        if (
            kind in python
            and isinstance(value, python[kind])
            and (kind == "boolean" or not isinstance(value, bool))
        ):
            return True
    return False


@pytest.mark.parametrize(
    "text",
    [
        '{"kind":"text","boxes":[]}',
        '{"kind": null, "start_s": -1.5e-3, "boxes": [[1,2], [-3,40]], "sure": true}',
        '{"kind":"a \\"quote\\" \\\\ é","note":"\\n\\u00e9😀","boxes":[]}',
        '{"kind":3,"note":null,"boxes":[]}',
    ],
)
def test_right_texts_go_through(tokenizer: Any, text: str) -> None:
    assert valid(EVENT, json.loads(text))
    assert accepts(tokenizer, EVENT, text)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"kind":"text"}',
        '{"boxes":[],"kind":"text"}',
        '{"kind":"video","boxes":[]}',
        '{"kind":"text","boxes":[[1]]}',
        '{"kind":"text","boxes":[[1,2,3]]}',
        '{"kind":"text","boxes":[[1,2.5]]}',
        '{"kind":"text","boxes":[],}',
        '{"kind":"text","boxes":[],"more":1}',
        '{"kind":"text","note":"longer","boxes":[]}',
        '{"kind":"text","start_s":01,"boxes":[]}',
        '{"kind":"text","start_s":1.,"boxes":[]}',
        '{"kind":"text","note":"a\nb","boxes":[]}',
        '{"kind":"text","note":"\\ud800","boxes":[]}',
        '{"kind":"text","boxes":[]} ',
    ],
)
def test_wrong_texts_do_not(tokenizer: Any, text: str) -> None:
    assert not accepts(tokenizer, EVENT, text)


def test_every_choice_of_optional_members(tokenizer: Any) -> None:
    names = ("a", "b", "c", "d")
    for required in ([], ["a"], ["b"], ["d"], ["b", "c"], list(names)):
        schema = {"type": "object", "properties": {n: {"type": "null"} for n in names}, "required": required}
        for bits in range(16):
            present = [n for i, n in enumerate(names) if bits >> i & 1]
            text = json.dumps(dict.fromkeys(present), separators=(",", ":"))
            assert accepts(tokenizer, schema, text) == (set(required) <= set(present)), (required, text)


leaves = st.sampled_from(
    [
        {"type": "integer"},
        {"type": "number"},
        {"type": "boolean"},
        {"type": "null"},
        {"type": "string", "maxLength": 3},
        {"type": ["null", "integer"]},
        {"enum": [1, "é", [2, {"k": None}]]},
        {"const": "x"},
    ]
)


def arrays(items: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda item, low, more: {"type": "array", "items": item, "minItems": low, "maxItems": low + more},
        items, st.integers(0, 2), st.integers(0, 2),
    )  # fmt: skip


def objects(members: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.text(max_size=3), members, max_size=3).flatmap(
        lambda p: (
            st.sets(st.sampled_from(sorted(p))).map(
                lambda r: {
                    "type": "object",
                    "properties": p,
                    "required": sorted(r),
                    "additionalProperties": False,
                }
            )
            if p
            else st.just({"type": "object"})
        )
    )


schemas = st.recursive(leaves, lambda inner: arrays(inner) | objects(inner), max_leaves=6)


@settings(max_examples=60, deadline=None)
@given(schema=schemas, seed=st.integers(0, 2**32))
def test_random_answers_are_valid(tokenizer: Any, schema: dict[str, Any], seed: int) -> None:
    answer = random_answer(tokenizer, schema, random.Random(seed))
    assert valid(schema, json.loads(answer)), answer


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "date"}, "# has the type 'date'"),
        ({}, "# has the type 'None'"),
        ({"type": []}, "empty list of types"),
        ({"type": "integer", "minimum": 3}, "the keyword 'minimum'"),
        ({"type": "null", "$ref": "#/x"}, "the keyword '\\$ref'"),
        (
            {"type": "object", "properties": {"a": {"type": "array"}}},
            "#/properties/a is an array without items",
        ),
        ({"type": "object", "required": ["x"]}, "requires 'x'"),
        ({"type": "object", "required": "x"}, "a list of required names"),
        ({"type": "object", "additionalProperties": True}, "additionalProperties"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "maxLength below its minLength"),
        ({"type": "string", "maxLength": -1}, "not a whole number"),
        ({"enum": []}, "a list of enum values"),
        ({"const": float("nan")}, "not JSON"),
        ({"const": "\ud800"}, "not JSON"),
        ({"type": "array", "items": 3}, "#/items is not an object"),
    ],
)
def test_what_is_not_understood_is_refused(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        schema_to_grammar(schema)


def test_deep_schemas_are_refused() -> None:
    schema: dict[str, Any] = {"type": "null"}
    for _ in range(100):
        schema = {"type": "array", "items": schema}
    with pytest.raises(UsageError, match="nested deeper"):
        schema_to_grammar(schema)


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_quoted_literals_mean_themselves(tokenizer: Any, text: str) -> None:
    constraint = native.Constraint.grammar(tokenizer, f"root ::= {quote_literal(text)}")
    for byte in text.encode():
        constraint.accept(byte)
    assert constraint.done
