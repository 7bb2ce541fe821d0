"""``Service``: what all routes share; made once, before the server listens."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from edgevid.app.server.decoder_chat import DecoderChat
from edgevid.app.server.errors import HttpError, not_found
from edgevid.app.server.metrics import Metrics
from edgevid.app.server.pictures import PictureDesk
from edgevid.app.server.session import Plan
from edgevid.app.server.sessions import Sessions
from edgevid.app.server.settings import Settings
from edgevid.app.server.sources import SAMPLE, Allowed, Sources
from edgevid.app.server.work import Lane
from edgevid.core.errors import EdgevidError
from edgevid.core.nouns import Answer
from edgevid.media.uri import is_live, printable, redact
from edgevid.memory.memory import Memory, VideoRow

_log = logging.getLogger("edgevid.serve")
_RETRY_S = 5.0


class Service:
    """Memory, sessions, answerers and their threads.

    Raises:
        BadInputError, BadModelError, MissingPartError: memory file, model or a pack cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        from edgevid.models.store import ModelStore
        from edgevid.runtime import CpuBudget
        from edgevid.stream.answer.answerer import Answerer

        self.settings = settings
        self.limits = settings.limits
        self.store = ModelStore()
        self.sources = Sources(settings.roots, allow_live=settings.allow_live, trusted=settings.sources)
        self.budget = CpuBudget(cores=settings.threads or None)
        threads = self.budget.threads("soft")
        self.memory = Memory(settings.memory)
        self.lanes = {
            "open": Lane("open", workers=2, waiting=8),
            "ask": Lane("ask", workers=2, waiting=16),
            "chat": Lane("chat", workers=1, waiting=8),
            "picture": Lane("picture", workers=1, waiting=4),
            "look": Lane("look", workers=2, waiting=32),
        }
        self.sessions = Sessions(
            memory=self.memory,
            store=self.store,
            budget=self.budget,
            limits=self.limits,
            lane=self.lanes["open"],
        )
        self._answerer = Answerer(self.memory, store=self.store)
        self.pictures = PictureDesk(self.store, threads=threads)
        self.decoder = (
            DecoderChat.load(settings.llm, store=self.store, threads=threads, lane=self.lanes["chat"])
            if settings.llm is not None
            else None
        )
        self.metrics = Metrics(self)
        self.streams = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.closing = threading.Event()

    async def run(self, lane: str, work: Callable[[], Any]) -> Any:
        """``work`` in a thread of the lane."""
        return await self.lanes[lane].run(work)

    async def watch_own(self) -> None:
        """Begin to watch what was named on the command line; a live source that is away is tried again.

        Raises:
            EdgevidError: a file cannot be opened.
        """
        for name in self.settings.sources:
            live = is_live(name)
            plan = Plan(Allowed(name, printable(redact(name)), live), fps=self.settings.fps, live=live)
            if live:
                self._keep(asyncio.create_task(self._watch_live(plan)))
            else:
                await self.sessions.start(plan)

    async def _watch_live(self, plan: Plan) -> None:
        while not self.closing.is_set():
            try:
                await self.sessions.start(plan)
                return
            except (EdgevidError, HttpError) as error:
                _log.warning("%s: %s", plan.source.shown, error)
                await asyncio.sleep(_RETRY_S)

    def _keep(self, task: asyncio.Task[None]) -> None:
        """Hold on to a task until it ends: the loop itself does not."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def allowed(self, name: str) -> Allowed:
        """The source a client named; ``sample`` is the composed sample, made when it is first wanted."""
        if name != SAMPLE:
            return self.sources.allow(name)
        from edgevid.app.sample import sample_video

        path = await self.run("open", partial(sample_video, self.store))
        self.sources.trust(path)
        return Allowed(str(path), SAMPLE, live=False)

    def video(self, video_id: int) -> VideoRow:
        """HttpError 404 when there is none."""
        try:
            return self.memory.video(video_id)
        except (KeyError, OverflowError):
            raise not_found("video") from None

    async def ask(self, video_id: int, question: str) -> Answer:
        """The structured answer, from the rows so far."""
        began = time.perf_counter()
        with self.metrics.asking("timeline"):
            self.video(video_id)
            answer: Answer = await self.run("ask", partial(self._answerer.answer, video_id, question))
        return replace(answer, latency_ms=(time.perf_counter() - began) * 1e3)

    async def ready(self) -> None:
        """HttpError 503 unless questions can be answered now."""
        if self.closing.is_set():
            raise HttpError(503, "closing", "the server is shutting down")
        await self.run("look", partial(self.memory.row, 0))

    def stop(self) -> None:
        """Ask everything that runs to end: sessions, their event streams, replies being written."""
        self.closing.set()
        if self.decoder is not None:
            self.decoder.stop()
        for session in self.sessions.listed():
            session.stop()

    def close(self, timeout_s: float) -> bool:
        """Wait for threads and close the memory; whether all ended in time."""
        self.stop()
        ended = self.sessions.close(timeout_s)
        for lane in self.lanes.values():
            lane.close()
        if ended:  # else a thread may still write, and closing under it would lose its rows
            self.memory.close()
        self.pictures.close()
        return ended
