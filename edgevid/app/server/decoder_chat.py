"""Chat with a language model on edgevid's own decoder: one reply is written at a time, token by token."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgevid.app.server.errors import HttpError
from edgevid.app.server.work import Lane
from edgevid.models.chat import Message, chat_tokens
from edgevid.models.llm import LanguageModel

if TYPE_CHECKING:
    from edgevid.models.store import ModelStore

DEMO = "demo"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a reply is chosen; see ``LanguageSequence.generate``."""

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """How a reply ended, and what it cost in tokens."""

    reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int


class DecoderChat:
    """A model that replies to chats.

    Args:
        name: how clients call it.
        lane: where replies are written; its one worker is what makes them wait for each other.
    """

    def __init__(self, model: LanguageModel, *, name: str, lane: Lane) -> None:
        self.name = name
        self._model = model
        self._lane = lane
        self._cancels: set[threading.Event] = set()

    @classmethod
    def load(cls, model: str, *, store: ModelStore, threads: int, lane: Lane) -> DecoderChat:
        """Open "demo" or a GGUF file.

        Raises:
            MissingPartError: the demo pack is not installed.
            BadModelError: the file is not a model this runtime reads.
        """
        from edgevid.models.native_llm import NativeLanguageModel

        path = store.where(DEMO)["model.gguf"] if model == DEMO else Path(model)
        name = DEMO if model == DEMO else Path(model).stem
        return cls(NativeLanguageModel(path, threads=threads), name=name, lane=lane)

    @property
    def context_length(self) -> int:
        """Tokens of prompt and reply together."""
        return self._model.config.context_length

    async def reply(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[str | Finished]:
        """Pieces of text as they are written, then ``Finished``. Closing the iterator stops the writing.

        Raises:
            HttpError: 400 when the messages do not fit, 429 when too many replies wait.
        """
        loop = asyncio.get_running_loop()
        written: asyncio.Queue[str | None] = asyncio.Queue()  # bounded by ``max_tokens``
        cancel = threading.Event()

        def put(text: str) -> None:
            loop.call_soon_threadsafe(written.put_nowait, text)

        self._cancels.add(cancel)
        task = asyncio.ensure_future(self._lane.run(lambda: self._write(messages, sampling, put, cancel)))
        task.add_done_callback(lambda _: written.put_nowait(None))
        try:
            while (text := await written.get()) is not None:
                yield text
            yield task.result()
        finally:
            cancel.set()
            self._cancels.discard(cancel)
            task.add_done_callback(_heard)

    def stop(self) -> None:
        """End every reply now."""
        for cancel in list(self._cancels):
            cancel.set()

    def _write(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        put: Callable[[str], None],
        cancel: threading.Event,
    ) -> Finished:
        prompt = chat_tokens(self._model, messages)
        room = self.context_length - len(prompt)
        if room < 1:
            raise HttpError(
                400,
                "context_length_exceeded",
                f"the messages are {len(prompt)} tokens long, the model reads {self.context_length}",
                param="messages",
            )
        most, tokens = min(sampling.max_tokens, room), 0
        sequence = self._model.new_sequence()
        try:
            sequence.append_tokens(prompt, cancel=cancel)
            for piece in sequence.generate(
                max_tokens=most,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                seed=sampling.seed,
                stop=sampling.stop,
                cancel=cancel,
            ):
                tokens += 1
                if piece.text:
                    put(piece.text)
        finally:
            sequence.close()
        return Finished("length" if tokens == most else "stop", len(prompt), tokens)


def _heard(task: asyncio.Future[Finished]) -> None:
    """A reply nobody waits for may have failed; asyncio wants that looked at."""
    if not task.cancelled():
        task.exception()
