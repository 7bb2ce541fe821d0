"""Lanes: threads beside the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from edgevid.app.server.errors import HttpError
from edgevid.app.server.work import Lane


def test_what_does_not_fit_is_refused() -> None:
    lane, hold = Lane("test", workers=1, waiting=1), threading.Event()

    async def ask() -> None:
        held = [asyncio.ensure_future(lane.run(hold.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        assert (lane.running, lane.depth) == (1, 1)
        with pytest.raises(HttpError) as refused:
            await lane.run(hold.wait)
        assert refused.value.status == 429
        hold.set()
        assert await asyncio.gather(*held) == [True, True]
        await asyncio.sleep(0)
        assert (lane.running, lane.depth) == (0, 0)

    asyncio.run(ask())
    lane.close()


def test_work_that_outlives_the_server_ends_quietly(caplog: pytest.LogCaptureFixture) -> None:
    lane, hold = Lane("test", workers=1, waiting=1), threading.Event()

    async def leave() -> None:
        task = asyncio.ensure_future(lane.run(hold.wait))
        await asyncio.sleep(0)
        task.cancel()

    with caplog.at_level(logging.ERROR):
        asyncio.run(leave())
        hold.set()
        lane._pool.shutdown(wait=True)
    assert not caplog.records
