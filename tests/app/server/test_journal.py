"""The ring of events: bounded, resumable, honest about what a slow reader has missed."""

from __future__ import annotations

import asyncio
import json
import threading

from edgevid.app.server import sse
from edgevid.app.server.journal import Journal


def read(journal: Journal, after: int) -> list[tuple[str, str | None]]:
    """(kind, id) of all messages of a closed journal."""

    async def collect() -> list[str]:
        return [message async for message in sse.follow(journal, after)]

    found = []
    for message in asyncio.run(collect()):
        fields = dict(line.split(": ", 1) for line in message.strip().splitlines())
        if "event" in fields:
            found.append((fields["event"], fields.get("id")))
    return found


def test_a_ring_keeps_the_newest_and_says_what_is_gone() -> None:
    journal = Journal(3)
    for number in range(1, 11):
        journal.append("event", {"n": number})
    entries, missed = journal.since(0)
    assert [entry.data["n"] for entry in entries] == [8, 9, 10]
    assert missed == 7
    assert journal.since(9) == (entries[2:], 0)
    assert journal.since(10) == ([], 0)
    assert journal.since(99) == ([], 0)
    journal.close()
    assert read(journal, 0) == [("gap", "7"), ("event", "8"), ("event", "9"), ("event", "10"), ("end", None)]
    assert read(journal, 8) == [("event", "9"), ("event", "10"), ("end", None)]


def test_nothing_is_added_after_the_end() -> None:
    journal = Journal(3)
    journal.close()
    journal.append("event", {})
    assert journal.written == 0


def test_readers_get_every_event_of_a_writing_thread_in_order() -> None:
    journal = Journal(5000)

    def write() -> None:
        for number in range(5000):
            journal.append("event", {"n": number})
        journal.close()

    async def numbers() -> list[int]:
        messages = [message async for message in sse.follow(journal, 0)]
        return [json.loads(m.split("data: ")[1])["n"] for m in messages if "event: event" in m]

    async def all_readers() -> list[list[int]]:
        writer = threading.Thread(target=write)
        readers = [asyncio.create_task(numbers()) for _ in range(4)]
        writer.start()
        found = await asyncio.gather(*readers)
        writer.join()
        return found

    assert asyncio.run(all_readers()) == [list(range(5000))] * 4
