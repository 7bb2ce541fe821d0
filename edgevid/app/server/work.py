"""Blocking work off the event loop, in threads and queues of fixed size."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from edgevid.app.server.errors import busy

T = TypeVar("T")


class Lane:
    """A few threads for one kind of work.

    Args:
        name: for messages and metrics.
        workers: threads.
        waiting: calls that may wait for a thread; further ones are refused with 429.
    """

    def __init__(self, name: str, *, workers: int, waiting: int) -> None:
        self.name = name
        self._most = workers + waiting
        self._workers = workers
        self._inside = 0
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=f"edgevid-{name}")

    @property
    def depth(self) -> int:
        """Calls that wait for a thread now."""
        return max(0, self._inside - self._workers)

    @property
    def running(self) -> int:
        """Calls that have a thread now."""
        return min(self._inside, self._workers)

    async def run(self, work: Callable[[], T]) -> T:
        """Call ``work`` in a thread of the lane. When the caller is cancelled it goes on to its end unheard.

        Raises:
            HttpError: 429 when the lane is full; whatever ``work`` raises.
        """
        if self._inside >= self._most:
            raise busy(f"too many requests wait for '{self.name}'")
        future = self._pool.submit(work)
        self._inside += 1
        loop = asyncio.get_running_loop()

        def ended(_: Future[T]) -> None:
            with suppress(RuntimeError):  # the server has ended before, and its loop with it
                loop.call_soon_threadsafe(self._leave)

        future.add_done_callback(ended)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Start no more work."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _leave(self) -> None:
        self._inside -= 1
