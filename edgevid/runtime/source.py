"""Where messages come from: the thread that reads a source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from edgevid.core.errors import EdgevidError
from edgevid.runtime.life import Life, discard
from edgevid.runtime.message import Message, now_ns
from edgevid.runtime.metrics import Samples, StageMetrics, quantile_ms
from edgevid.runtime.run import Outlet, Services, StageRun

_END = object()

Items = Iterable[Any] | Callable[[], Iterable[Any]]
"""What a source reads: an iterable, or a function that opens one; only the latter can be opened again."""


class SourceRun:
    """Gives each item its times and passes it on, until the source ends or is told to.

    A source opened by a function is opened again when it crashes; what another one raises ends the pipeline.

    Args:
        interrupt: makes a read that waits return, from another thread; called once, when the source must end.
    """

    def __init__(
        self, name: str, items: Items, services: Services, *, interrupt: Callable[[], None] | None = None
    ) -> None:
        self.name = name
        self.outlets: list[Outlet] = []
        self._items = items
        self._services = services
        self._interrupt = interrupt
        self._iterator: Iterator[Any] | None = None
        self._ending = False
        self._first_ns: int | None = None
        self._read = self._restarts = 0
        self._busy_ns = 0
        self._times = Samples()

    def open(self, life: Life) -> None:
        """Make the bodies of sync stages that follow."""
        for outlet in self.outlets:
            if isinstance(outlet, StageRun):
                outlet.open(life)

    def read(self, life: Life) -> None:
        """Pass items on until there are no more."""
        while not self._ending and (item := self._next()) is not _END:
            born_ns = now_ns()
            if self._first_ns is None:
                self._first_ns = born_ns
            pts_ns = getattr(item, "pts_ns", born_ns - self._first_ns)
            generation = self._services.generations.of(self.name)
            message = Message(item, pts_ns, self._read, self.name, generation, born_ns)
            self._read += 1
            for outlet in self.outlets:
                outlet.put(message, life)

    def end(self) -> None:
        """Make ``read`` return soon; may be called from any thread, any number of times."""
        if not self._ending:
            self._ending = True
            if self._interrupt is not None:
                with suppress(Exception):
                    self._interrupt()

    def finish(self, life: Life, *, flush: bool) -> None:
        """Close what was opened, and tell the stages after it that nothing more will come."""
        if callable(self._items):
            discard(self._iterator)
        for outlet in self.outlets:
            outlet.finish(life, flush=flush)

    def metrics(self) -> StageMetrics:
        """The counts now; a run is an item, its time that of reading it."""
        times = self._times.newest()
        return StageMetrics(
            self.name,
            "source",
            "thread",
            runs=self._read,
            failed=self._restarts,
            restarts=self._restarts,
            abandoned=0,
            missed=0,
            busy_s=self._busy_ns / 1e9,
            run_p50_ms=quantile_ms(times, 0.5),
            run_p99_ms=quantile_ms(times, 0.99),
            grant_p99_ms=0.0,
        )

    def _next(self) -> Any:
        while True:
            began_ns = now_ns()
            try:
                if self._iterator is None:
                    self._iterator = iter(self._items() if callable(self._items) else self._items)
                item = next(self._iterator, _END)
            except Exception as error:
                if self._ending:  # the interrupted read
                    return _END
                if not callable(self._items) or isinstance(error, EdgevidError):
                    raise
                self._services.crashed(self.name, error)
                self._restarts += 1
                discard(self._iterator)
                self._iterator = None
            else:
                self._busy_ns += now_ns() - began_ns
                self._times.add(now_ns() - began_ns)
                return item
