"""One CPU budget: how many threads each network or pool is opened with, and who may run when.

::

    hard        runs at once, always; what runs beside it gives way to it in the kernel (priority.py)
    soft        runs when hard and soft work leave its threads free
    background  runs when everything else leaves its threads free, and no soft work waits: it gets the rest
"""

from __future__ import annotations

import bisect
import itertools
import threading
from typing import Literal

from edgevid.runtime.device import usable_cores

Workload = Literal["hard", "soft", "background"]
"""``hard``: a deadline per message (lips in sync); ``soft``: soon (watching); ``background``: whenever
(indexing)."""

WORKLOADS: tuple[Workload, ...] = ("hard", "soft", "background")

_Turn = tuple[int, int, int]  # class, deadline, ticket: the smallest is served first


class CpuBudget:
    """The cores of one process, shared by all its pipelines. Thread-safe.

    Args:
        cores: to share out; None = what affinity and the container's quota allow.
        hard_cores: kept free of soft work for the hard class.
    """

    def __init__(self, *, cores: int | None = None, hard_cores: int = 0) -> None:
        self.cores = usable_cores() if cores is None else cores
        if self.cores < 1:
            raise ValueError(f"cores is {self.cores}, must be at least 1")
        if not 0 <= hard_cores <= self.cores:
            raise ValueError(f"hard_cores is {hard_cores}, must be between 0 and {self.cores}")
        self.hard_cores = hard_cores
        self._changed = threading.Condition(threading.Lock())
        self._running = dict.fromkeys(WORKLOADS, 0)
        self._queue: list[_Turn] = []
        self._tickets = itertools.count()

    def threads(self, workload: Workload, wanted: int = 0) -> int:
        """Threads to open a network or native pool with, so that one run of it fits what its class may use.

        ``wanted`` 0 takes all of that.
        """
        most = self.hard_cores or self.cores
        if workload != "hard":
            most = max(1, self.cores - self.hard_cores)
        return min(wanted, most) if wanted else most

    def take(self, workload: Workload, threads: int = 1, *, deadline_ns: int = 0) -> int:
        """Wait for this class's turn and occupy ``threads`` cores; returns how many to give ``back``.

        Within a class the earliest deadline goes first, then who asked first.
        """
        threads = min(threads, self.threads(workload))
        with self._changed:
            if workload != "hard" and (self._queue or not self._fits(workload, threads)):
                turn = (WORKLOADS.index(workload), deadline_ns, next(self._tickets))
                bisect.insort(self._queue, turn)
                self._changed.wait_for(lambda: self._queue[0] == turn and self._fits(workload, threads))
                del self._queue[0]
                self._changed.notify_all()  # the next in the queue may fit beside this one
            self._running[workload] += threads
        return threads

    def give_back(self, workload: Workload, threads: int) -> None:
        """End what ``take`` began."""
        with self._changed:
            self._running[workload] -= threads
            if self._queue:
                self._changed.notify_all()

    @property
    def running(self) -> dict[Workload, int]:
        """Cores that each class occupies now."""
        with self._changed:
            return dict(self._running)

    def _fits(self, workload: Workload, threads: int) -> bool:
        hard, soft, background = (self._running[name] for name in WORKLOADS)
        if workload == "soft":
            return soft + max(hard, self.hard_cores) + threads <= self.cores or hard + soft == 0
        return hard + soft + background + threads <= self.cores
