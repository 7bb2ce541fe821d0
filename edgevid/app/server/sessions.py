"""All sessions of the server: a bounded number watch, a bounded number of ended ones stay listed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgevid.app.server.errors import HttpError, not_found
from edgevid.app.server.session import Plan, ServedSession
from edgevid.app.server.settings import HttpLimits
from edgevid.app.server.work import Lane
from edgevid.core.errors import EdgevidError
from edgevid.memory.memory import Memory

if TYPE_CHECKING:
    from edgevid.models.store import ModelStore
    from edgevid.runtime import CpuBudget


class Sessions:
    """Belongs to the event loop; only the watching itself happens in threads.

    Args:
        memory: shared by all sessions.
        budget: the cores they share.
        lane: where sources are opened.
    """

    def __init__(
        self, *, memory: Memory, store: ModelStore, budget: CpuBudget, limits: HttpLimits, lane: Lane
    ) -> None:
        self._memory = memory
        self._store = store
        self._budget = budget
        self._limits = limits
        self._lane = lane
        self._listed: dict[str, ServedSession] = {}
        self._dropped: list[ServedSession] = []  # no longer listed, but their threads still end
        self._opening = 0

    def listed(self) -> list[ServedSession]:
        """Newest first."""
        return list(reversed(self._listed.values()))

    def get(self, session_id: str) -> ServedSession:
        """The session; HttpError 404 when there is none."""
        try:
            return self._listed[session_id]
        except KeyError:
            raise not_found("session") from None

    async def start(self, plan: Plan) -> ServedSession:
        """Open the source and begin to watch it.

        Raises:
            HttpError: 429 when as many sessions watch as may.
            EdgevidError: the source cannot be opened.
        """
        if self._opening + self._busy() >= self._limits.sessions:
            raise HttpError(
                429,
                "too_many_sessions",
                f"{self._limits.sessions} sessions are being watched",
                fix="DELETE one, or wait for one to end",
                headers={"retry-after": "5"},
            )
        self._opening += 1
        try:
            session = await self._lane.run(lambda: self._open(plan))
        finally:
            self._opening -= 1
        self._listed[session.id] = session
        self._forget_oldest()
        session.start(memory=self._memory, store=self._store, budget=self._budget)
        return session

    def drop(self, session_id: str) -> None:
        """Stop a session and list it no more; its rows stay in memory."""
        session = self.get(session_id)
        del self._listed[session_id]
        session.stop()
        self._dropped.append(session)

    def close(self, timeout_s: float) -> bool:
        """Stop all; whether all their threads ended in time."""
        ends_at = time.monotonic() + timeout_s
        sessions = [*self._listed.values(), *self._dropped]
        for session in sessions:
            session.stop()
        ended = [session.join(max(0.0, ends_at - time.monotonic())) for session in sessions]
        return all(ended)

    def _open(self, plan: Plan) -> ServedSession:
        from edgevid.media.source import open_source

        try:
            opened = open_source(plan.source.target, paced=plan.live and not plan.source.live)
        except EdgevidError as error:
            error.message = error.message.replace(plan.source.target, plan.source.shown)
            raise
        return ServedSession(plan, opened, events=self._limits.events)

    def _busy(self) -> int:
        self._dropped = [session for session in self._dropped if not session.join(0)]
        return len(self._dropped) + sum(session.running for session in self._listed.values())

    def _forget_oldest(self) -> None:
        ended = [session.id for session in self._listed.values() if not session.running]
        for session_id in ended[: max(0, len(ended) - self._limits.finished)]:
            del self._listed[session_id]
