"""Tracks that go out; imported only where aiortc is installed."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any

from aiortc import MediaStreamTrack


class OutgoingTrack(MediaStreamTrack):  # type: ignore[misc]
    """One viewer's pictures or sound; of what waits the oldest goes when there is more than ``most``.

    Args:
        kind: ``video`` or ``audio``.
        loop: where aiortc takes frames; ``offer`` may be called from any thread.
    """

    def __init__(self, kind: str, *, loop: asyncio.AbstractEventLoop, most: int) -> None:
        super().__init__()
        self.kind = kind
        self._loop = loop
        self._waiting: deque[Any] = deque(maxlen=most)
        self._came = asyncio.Event()

    def offer(self, frame: Any) -> None:
        """Send an av frame when its turn comes."""
        self._waiting.append(frame)
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._came.set)

    async def recv(self) -> Any:
        """The next frame, as aiortc wants it."""
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
        return self._waiting.popleft()
