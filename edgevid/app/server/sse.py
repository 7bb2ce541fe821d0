"""Server-sent events (WHATWG HTML 9.2) of one session."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

from edgevid.app.server.journal import Journal

HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
MEDIA_TYPE = "text/event-stream"
_BEAT_S = 15.0  # a comment this often shows both sides that the other is there


def message(data: str, *, kind: str | None = None, number: int | None = None) -> str:
    """One message; ``data`` is one line."""
    head = f"id: {number}\n" if number is not None else ""
    name = f"event: {kind}\n" if kind is not None else ""
    return f"{head}{name}data: {data}\n\n"


async def follow(journal: Journal, after: int) -> AsyncGenerator[str]:
    """Everything after number ``after``, then what comes, until the journal is closed and read to its end.

    A reader too slow for the ring gets ``gap`` with the number of events it has missed.
    """
    yield "retry: 1000\n\n"
    with journal.listening() as news:
        while True:
            news.clear()
            ended = journal.closed  # before reading, so that nothing written in between is left out
            entries, missed = journal.since(after)
            if missed:
                yield message(json.dumps({"missed": missed}), kind="gap", number=after + missed)
                after += missed
            for entry in entries:
                yield message(_line(entry.data), kind=entry.kind, number=entry.number)
                after = entry.number
            if ended:
                yield message("{}", kind="end")
                return
            if entries:
                continue
            try:
                async with asyncio.timeout(_BEAT_S):
                    await news.wait()
            except TimeoutError:
                yield ": here\n\n"


def _line(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
