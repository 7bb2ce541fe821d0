"""A small part of JSON Schema as a grammar, so that a model can only answer with JSON of that shape.

Understood: ``type`` (one name or a list of names), ``properties`` and ``required``, ``items``, ``minItems``,
``maxItems``, ``minLength``, ``maxLength``, ``enum``, ``const``. Annotations such as ``title`` are passed
over; any other keyword is refused, for an answer must not look checked where it is not.

Properties come in the order of the schema and no others are allowed. The text is on one line, with at most
one space after ``:`` and ``,``. Numbers have at most 16 digits before the point, 16 after it and two in the
exponent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from edgevid.core.errors import UsageError

ANNOTATIONS = frozenset({"$comment", "$id", "$schema", "default", "description", "examples", "title"})
MAX_DEPTH = 32
# Rules that every grammar carries; unused ones do no harm. Escapes of half a surrogate pair are left out.
SHARED_RULES = r"""
space ::= " "?
char ::= [^"\\\x00-\x1f\x7f] | "\\" (["\\/bfnrt] | "u" ([0-9a-cefA-CEF] hex{3} | [dD] [0-7] hex{2}))
hex ::= [0-9a-fA-F]
integer ::= "-"? ("0" | [1-9] [0-9]{0,15})
number ::= integer ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,2})?
boolean ::= "true" | "false"
null ::= "null"
""".strip()

Schema = Mapping[str, object]


def schema_to_grammar(schema: Schema) -> str:
    """The grammar (GBNF, see csrc/decoder/grammar.h) whose texts are the JSON values of ``schema``.

    Raises:
        UsageError: a keyword or type that is not understood, a bound that cannot be met; names the place.
    """
    return _Compiler().compile(schema)


def quote_literal(text: str) -> str:
    """``text`` as a literal of a grammar."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(escapes.get(c, c if c >= " " else f"\\x{ord(c):02x}") for c in text) + '"'


class _Compiler:
    """Turns each object and array into a rule of its own; other values are written where they stand."""

    def __init__(self) -> None:
        self._rules: list[str] = []

    def compile(self, schema: Schema) -> str:
        root = self._value(schema, "#", 0)
        return "\n".join([f"root ::= {root}", *self._rules, SHARED_RULES]) + "\n"

    def _rule(self, body: str) -> str:
        name = f"r{len(self._rules)}"
        self._rules.append(f"{name} ::= {body}")
        return name

    def _value(self, schema: object, where: str, depth: int) -> str:
        if not isinstance(schema, Mapping):
            raise _error(where, "is not an object")
        if depth > MAX_DEPTH:
            raise _error(where, f"is nested deeper than {MAX_DEPTH}")
        if "enum" in schema or "const" in schema:
            return self._constants(schema, where)
        kinds = schema.get("type")
        names = [str(kind) for kind in (kinds if isinstance(kinds, list) else [kinds])]
        if not names:
            raise _error(where, "has an empty list of types")
        for name in names:
            if name not in _KEYWORDS:
                raise _error(where, f"has the type {name!r}; known are {', '.join(_KEYWORDS)}")
        makers: dict[str, Callable[[Schema, str, int], str]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
        }
        _check_keywords(schema, where, {"type", *(keyword for name in names for keyword in _KEYWORDS[name])})
        bodies = [makers[name](schema, where, depth) if name in makers else name for name in names]
        return bodies[0] if len(bodies) == 1 else f"({' | '.join(bodies)})"

    def _constants(self, schema: Schema, where: str) -> str:
        _check_keywords(schema, where, {"type", "enum", "const"})
        values = [schema["const"]] if "const" in schema else schema["enum"]
        if not isinstance(values, list) or not values or ("const" in schema and "enum" in schema):
            raise _error(where, "needs either one const or a list of enum values")
        return f"({' | '.join(_json_literal(value, where) for value in values)})"

    def _object(self, schema: Schema, where: str, depth: int) -> str:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        if not isinstance(properties, Mapping) or not isinstance(required, list):
            raise _error(where, "needs an object of properties and a list of required names")
        unknown = [name for name in required if name not in properties]
        if unknown:
            raise _error(where, f"requires {unknown[0]!r}, which is not among its properties")
        members = []
        for name, value in properties.items():
            at = f"{where}/properties/{name}"
            key = _json_literal(name, at)
            members.append((f'{key} ":" space {self._value(value, at, depth + 1)}', name in required))
        return self._rule(f'"{{" {self._members(members)} "}}"')

    def _members(self, members: list[tuple[str, bool]]) -> str:
        """Members in their order, optional ones left out at will, with commas between those there are."""
        rest = '""'  # what may follow the members so far, comma first
        starts: list[str] = []  # ways to begin, by the first member that is there
        skippable = True
        for i in range(len(members) - 1, -1, -1):
            member, needed = members[i]
            starts.append(f"{member} {rest}")
            if needed:
                starts = starts[-1:]
                skippable = False
            rest = self._rule(f'"," space {member} {rest}' + ("" if needed else f" | {rest}"))
        if skippable:
            starts.append('""')
        return f"({' | '.join(reversed(starts))})"

    def _array(self, schema: Schema, where: str, depth: int) -> str:
        if "items" not in schema:
            raise _error(where, "is an array without items")
        low, high = _bounds(schema, where, "minItems", "maxItems")
        if high == 0:
            return '"[]"'
        item = self._value(schema["items"], f"{where}/items", depth + 1)
        more = _repeat(f'("," space {item})', max(low - 1, 0), None if high is None else high - 1)
        some = f"{item} {more}"
        return self._rule(f'"[" {some if low > 0 else f"({some})?"} "]"')

    def _string(self, schema: Schema, where: str, depth: int) -> str:
        low, high = _bounds(schema, where, "minLength", "maxLength")
        return rf'"\"" {_repeat("char", low, high)} "\""'


_KEYWORDS: dict[str, tuple[str, ...]] = {
    "object": ("properties", "required", "additionalProperties"),
    "array": ("items", "minItems", "maxItems"),
    "string": ("minLength", "maxLength"),
    "integer": (),
    "number": (),
    "boolean": (),
    "null": (),
}


def _json_literal(value: object, where: str) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError) as error:
        raise _error(where, f"has a value that is not JSON: {error}") from error
    return quote_literal(text)


def _repeat(item: str, low: int, high: int | None) -> str:
    return f"{item}{{{low},{'' if high is None else high}}}"


def _bounds(schema: Schema, where: str, low_name: str, high_name: str) -> tuple[int, int | None]:
    low, high = schema.get(low_name, 0), schema.get(high_name)
    for name, bound in ((low_name, low), (high_name, high)):
        if bound is not None and (type(bound) is not int or bound < 0):
            raise _error(where, f"has a {name} that is not a whole number")
    assert isinstance(low, int) and (high is None or isinstance(high, int))
    if high is not None and high < low:
        raise _error(where, f"has a {high_name} below its {low_name}")
    return low, high


def _check_keywords(schema: Schema, where: str, allowed: set[str]) -> None:
    for keyword in schema:
        if keyword not in allowed and keyword not in ANNOTATIONS:
            raise _error(where, f"has the keyword {keyword!r}, which is not supported here")
    if schema.get("additionalProperties", False) is not False:
        raise _error(where, "allows additionalProperties; only false is supported")


def _error(where: str, what: str) -> UsageError:
    return UsageError(f"JSON schema: {where} {what}")
