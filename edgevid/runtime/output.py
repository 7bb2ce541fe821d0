"""Where the program that owns a pipeline reads what comes out of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from edgevid.runtime.channel import Channel, Closed
from edgevid.runtime.message import Message
from edgevid.runtime.signals import beats


class Output:
    """Iterate over it for messages, until the pipeline ends; what ended it before its time is raised then.

    Made by ``Pipeline.output``. May also be iterated with ``async for``.
    """

    def __init__(self, channel: Channel[Any], check: Callable[[], None]) -> None:
        self._channel = channel
        self._check = check

    def get(self, timeout_s: float | None = None) -> Message[Any] | None:
        """The next message; None when there is none in time, or the pipeline has ended (see ``ended``)."""
        try:
            for wait_s in beats(timeout_s):
                if (message := self._channel.get(wait_s)) is not None:
                    return message
        except Closed:
            self._check()
        return None

    @property
    def ended(self) -> bool:
        """Whether nothing more will enter."""
        return self._channel.ended

    def close(self) -> None:
        """Want no more: what still comes is dropped, so that it holds nobody up."""
        self._channel.close()

    def __iter__(self) -> Iterator[Message[Any]]:
        while (message := self.get()) is not None:
            yield message

    async def __aiter__(self) -> AsyncIterator[Message[Any]]:
        while (message := await asyncio.to_thread(self.get)) is not None:
            yield message
