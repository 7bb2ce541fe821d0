"""Counts crashes, notices hangs, and says when it is enough."""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Sequence

from edgevid.runtime.errors import StageFailedError, StageHungError
from edgevid.runtime.life import Doing
from edgevid.runtime.message import now_ns
from edgevid.runtime.trace import Trace
from edgevid.runtime.worker import Worker

_log = logging.getLogger(__name__)

MAX_RESTARTS = 5
WINDOW_S = 60.0
_CHECKS_PER_HANG = 4  # a hang is noticed at most a quarter later than it could be


class Supervisor:
    """Watches the workers of one pipeline.

    Args:
        failed: is told the error that must end the pipeline.
        trace: where restarts are marked; they are also logged.
    """

    def __init__(self, *, failed: Callable[[BaseException], None], trace: Trace) -> None:
        self._failed = failed
        self._trace = trace
        self._lock = threading.Lock()
        self._crashes: dict[str, deque[int]] = {}
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def crashed(self, stage: str, error: BaseException) -> None:
        """Count a crash that a restart will follow.

        Raises:
            StageFailedError: it was one too many.
        """
        with self._lock:
            times = self._crashes.setdefault(stage, deque(maxlen=MAX_RESTARTS + 1))
            times.append(now_ns())
            too_many = len(times) > MAX_RESTARTS and times[-1] - times[0] <= WINDOW_S * 1e9
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        if too_many:
            raise StageFailedError(
                f"stage '{stage}' failed {MAX_RESTARTS + 1} times within {WINDOW_S:.0f} s; the last: {reason}"
            ) from error
        _log.warning("stage '%s' restarts after %s", stage, reason)
        self._trace.mark("restart", stage=stage, reason=reason)

    def watch(self, workers: Sequence[Worker], shortest_hang_s: float) -> None:
        """Look for hangs in a thread of its own until ``close``."""
        every_s = shortest_hang_s / _CHECKS_PER_HANG
        if every_s < math.inf:
            self._thread = threading.Thread(
                target=self._watch, args=(workers, every_s), name="edgevid-supervisor", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, workers: Sequence[Worker], every_s: float) -> None:
        while not self._over.wait(every_s):
            for worker in workers:
                doing = worker.doing
                if doing is None or now_ns() - doing.since_ns <= doing.limit_ns:
                    continue
                if worker.abandon(doing):
                    self._replace(worker, doing)

    def _replace(self, worker: Worker, doing: Doing) -> None:
        doing.run.hung()
        try:
            self.crashed(doing.run.name, StageHungError(f"no result within {doing.limit_ns / 1e9:g} s"))
        except StageFailedError as error:
            self._failed(error)
            worker.give_up()
        else:
            worker.start()
