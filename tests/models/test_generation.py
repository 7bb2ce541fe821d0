"""Generation from known next tokens: stops, choices, grammars, ends, characters cut in two."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Q

from edgevid.core.errors import CancelledError, UsageError
from edgevid.models.generation import Generating, Spelling, StopStream
from edgevid.models.llm import Cancel, Floats, Logits
from edgevid.models.native_llm import NativeLanguageModel, NativeSequence
from tests.models.tiny_gguf import TinyModel, write_tiny

END = 0


class Script(Generating):
    """Says the bytes of ``text``, then the end token; token n + 1 is the byte n."""

    def __init__(self, text: str) -> None:
        self._rest = [*(b + 1 for b in text.encode()), END]
        self.appended: list[int] = []
        self._last = self._logits()

    def _spelling(self) -> Spelling:
        return Spelling(lambda: None, lambda token: bytes([token - 1]), frozenset([END]))

    def _logits(self) -> Floats:
        row = np.zeros((1, 257), np.float32)
        row[0, self._rest.pop(0)] = 9.0
        return row

    def append_tokens(
        self,
        ids: Sequence[int],
        *,
        logits: Logits = "last",
        cancel: Cancel | None = None,
        deadline_s: float | None = None,
    ) -> Floats:
        if cancel is not None and cancel.is_set():
            raise CancelledError("cancelled")
        self.appended += ids
        return self._logits()


def said(text: str, **options: object) -> list[str]:
    return [piece.text for piece in Script(text).generate(**options)]  # type: ignore[arg-type]


def test_an_end_token_ends_the_text() -> None:
    assert said("abc") == ["a", "b", "c"]


def test_max_tokens_ends_the_text() -> None:
    assert said("abcdef", max_tokens=2) == ["a", "b"]
    with pytest.raises(UsageError, match="max_tokens"):
        Script("a").generate(max_tokens=0)


def test_characters_are_never_cut() -> None:
    assert said("aé☂🎬") == ["a", "", "é", "", "", "☂", "", "", "", "🎬"]
    assert said("é", max_tokens=1) == ["\ufffd"]


@pytest.mark.parametrize("stop", [["\n"], ["zzz", "\nQ"], ["\n", "\nQ"]])
def test_nothing_from_a_stop_string_on_is_said(stop: list[str]) -> None:
    assert "".join(said("yes.\nQ: more", stop=stop)) == "yes."


def test_text_that_only_begins_like_a_stop_string_is_said() -> None:
    assert "".join(said("a<|b<|im c<|i", stop=["<|im_end|>"])) == "a<|b<|im c<|i"
    stream = StopStream(["ab"])
    assert [stream.push(c.encode()) for c in "xaab"] == ["x", "", "a", ""]
    assert stream.stopped
    assert stream.flush() == ""
    with pytest.raises(UsageError, match="empty"):
        StopStream([""])


def test_the_last_token_is_yielded_but_not_appended() -> None:
    script = Script("abc")
    pieces = list(script.generate(max_tokens=2))
    assert [p.token for p in pieces] == [ord("a") + 1, ord("b") + 1]
    assert script.appended == [ord("a") + 1]


def test_cancelling_between_tokens() -> None:
    cancel = threading.Event()
    pieces = Script("abc").generate(cancel=cancel)
    assert next(pieces).text == "a"
    cancel.set()
    with pytest.raises(CancelledError):
        next(pieces)


@pytest.fixture(scope="module")
def sequence(tmp_path_factory: pytest.TempPathFactory) -> NativeSequence:
    path = write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf", TinyModel(weight_type=Q.Q8_0))
    model = NativeLanguageModel(path)
    sequence = model.new_sequence()
    sequence.append_tokens(model.tokenize("A red car passes."))
    return sequence


def text(sequence: NativeSequence, **options: object) -> str:
    return "".join(p.text for p in sequence.fork().generate(**options))  # type: ignore[arg-type]


def test_choices_allow_exactly_one_of_them(sequence: NativeSequence) -> None:
    choices = ["yes", "no", "not sure", "ответ ☂"]
    drawn = {text(sequence, choices=choices, temperature=5.0, seed=n) for n in range(40)}
    assert drawn <= set(choices)
    assert len(drawn) > 1
    assert text(sequence, choices=choices) == text(sequence, choices=choices)


def test_a_grammar_is_followed(sequence: NativeSequence) -> None:
    grammar = 'root ::= "{" [a-z]{3,6} "}"'
    for seed in range(10):
        out = text(sequence, grammar=grammar, temperature=2.0, seed=seed)
        assert out[0] == "{"
        assert out[-1] == "}"
        assert out[1:-1].isalpha()
    with pytest.raises(UsageError, match="not both"):
        text(sequence, grammar=grammar, choices=["a"])
    with pytest.raises(UsageError, match="line 1"):
        text(sequence, grammar="root ::= (")


def test_a_seed_decides_a_draw(sequence: NativeSequence) -> None:
    def draw(seed: int) -> str:
        return text(sequence, max_tokens=12, temperature=1.5, top_p=0.95, seed=seed)

    assert draw(3) == draw(3)
    assert len({draw(n) for n in range(6)}) > 1


def test_continuing_needs_logits(sequence: NativeSequence) -> None:
    fork = sequence.fork()
    fork.append_tokens([1], logits="none")
    with pytest.raises(UsageError, match="nothing to continue"):
        fork.generate()


def test_a_deadline_ends_generation(sequence: NativeSequence) -> None:
    endless = "root ::= [a-z]{50000}"
    with pytest.raises(CancelledError, match="deadline"):
        text(sequence, grammar=endless, max_tokens=100_000, deadline_s=0.2)
