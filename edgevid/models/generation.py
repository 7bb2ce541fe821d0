"""The loop that turns logits into text, shared by all language-model backends."""

from __future__ import annotations

import codecs
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from edgevid.core.errors import UsageError
from edgevid.models.llm import Cancel, Floats, Logits, Piece
from edgevid.models.native import native_errors, native_library


class Spelling(NamedTuple):
    """What generation needs to know of a vocabulary.

    Attributes:
        tokenizer: opens the native tokenizer, for constraints; only called when there is one.
        piece: bytes a token adds to the text.
        end_tokens: tokens after which generation stops.
    """

    tokenizer: Callable[[], Any]
    piece: Callable[[int], bytes]
    end_tokens: frozenset[int]


class Generating(ABC):
    """A sequence that remembers its last logits and continues from them."""

    _last: Floats | None = None

    @abstractmethod
    def _spelling(self) -> Spelling: ...

    @abstractmethod
    def append_tokens(
        self,
        ids: Sequence[int],
        *,
        logits: Logits = "last",
        cancel: Cancel | None = None,
        deadline_s: float | None = None,
    ) -> Floats:
        """See ``LanguageSequence.append_tokens``."""

    def generate(
        self,
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        choices: Sequence[str] = (),
        grammar: str | None = None,
        stop: Sequence[str] = (),
        cancel: Cancel | None = None,
        deadline_s: float | None = None,
    ) -> Iterator[Piece]:
        """See ``LanguageSequence.generate``."""
        if self._last is None:
            raise UsageError("nothing to continue: append something with logits first")
        if max_tokens < 1:
            raise UsageError(f"max_tokens is {max_tokens}, must be at least 1")
        spelling = self._spelling()
        with native_errors():
            chooser = native_library().TokenChooser(
                spelling.tokenizer() if choices or grammar is not None else None,
                temperature=temperature,
                top_p=top_p,
                seed=seed,
                choices=list(choices),
                grammar=grammar,
            )
        ends_at = None if deadline_s is None else time.monotonic() + deadline_s

        def step(token: int) -> Floats:
            left_s = None if ends_at is None else max(0.0, ends_at - time.monotonic())
            return self.append_tokens([token], cancel=cancel, deadline_s=left_s)

        return _generate(chooser, self._last, step, spelling, max_tokens, StopStream(stop))


def _generate(
    chooser: Any,
    logits: Floats,
    step: Callable[[int], Floats],
    spelling: Spelling,
    max_tokens: int,
    text: StopStream,
) -> Iterator[Piece]:
    """Choose, yield, append: until an end token, ``max_tokens``, a stop string or the end of the
    constraint."""
    for left in range(max_tokens - 1, -1, -1):
        token = chooser.choose(logits)
        if token in spelling.end_tokens:
            if rest := text.flush():
                yield Piece(token, rest)
            return
        out = text.push(spelling.piece(token))
        last = left == 0 or text.stopped or chooser.done
        yield Piece(token, out + text.flush() if last else out)
        if last:
            return
        logits = step(token)


class StopStream:
    """Bytes in, text out: whole characters only, nothing from the first stop string on.

    Text that may be the beginning of a stop string is held back until it is known not to be.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        if any(not s for s in stop):
            raise UsageError("a stop string is empty")
        self._stop = tuple(stop)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped = False

    def push(self, data: bytes) -> str:
        """Text that is now certain."""
        return self._release(self._decoder.decode(data), final=False)

    def flush(self) -> str:
        """The rest, at the end of the text."""
        return self._release(self._decoder.decode(b"", True), final=True)

    def _release(self, new: str, *, final: bool) -> str:
        text = "" if self.stopped else self._held + new
        self._held = ""
        found = [at for s in self._stop if (at := text.find(s)) >= 0]
        if found:
            self.stopped = True
            return text[: min(found)]
        if final:
            return text
        keep = max((_overlap(text, s) for s in self._stop), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of ``text`` that begins ``stop``."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)
