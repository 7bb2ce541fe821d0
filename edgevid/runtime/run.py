"""A stage at work: its body under the budget, its results to the stages after it, its crashes survived."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

from edgevid.core.errors import EdgevidError
from edgevid.runtime.budget import CpuBudget
from edgevid.runtime.channel import Channel
from edgevid.runtime.life import Doing, Life, discard
from edgevid.runtime.message import Generations, Message, Stamp, now_ns
from edgevid.runtime.metrics import Samples, StageMetrics, quantile_ms
from edgevid.runtime.process import ProcessBody
from edgevid.runtime.stage import Body, Stage
from edgevid.runtime.trace import Trace

_NOTHING = object()


class Outlet(Protocol):
    """Where a stage's messages go: the channel of a stage, or a sync stage itself."""

    def put(self, message: Message[Any], life: Life) -> None: ...

    def finish(self, life: Life, *, flush: bool) -> None:
        """Nothing more will come; ``flush`` asks stages for what they still hold."""


class ChannelOutlet:
    """A stage of another thread."""

    def __init__(self, channel: Channel[Any]) -> None:
        self._channel = channel

    def put(self, message: Message[Any], life: Life) -> None:
        self._channel.put(message)

    def finish(self, life: Life, *, flush: bool) -> None:
        self._channel.end()


@dataclass(frozen=True, slots=True)
class Services:
    """What the stages of a pipeline share. ``crashed`` counts a crash, and raises what ends the pipeline."""

    budget: CpuBudget
    generations: Generations
    trace: Trace
    crashed: Callable[[str, BaseException], None]


class StageRun:
    """One stage of a running pipeline; runs in the thread whose life it is given.

    As an ``Outlet`` it is a sync stage, whose channel is filled and emptied in one go.
    """

    def __init__(self, stage: Stage, services: Services, channel: Channel[Any] | None = None) -> None:
        self.stage = stage
        self.outlets: list[Outlet] = []
        self._services = services
        self._channel = channel
        self._newest = Message(None, 0, 0, stage.name, 0, now_ns())
        self._runs = self._failed = self._restarts = self._abandoned = self._missed = 0
        self._busy_ns = 0
        self._times, self._grants = Samples(), Samples()

    @property
    def name(self) -> str:
        return self.stage.name

    def open(self, life: Life) -> None:
        """Make the body in this thread, so that threads it starts inherit the stage's priority."""
        for outlet in self.outlets:
            if isinstance(outlet, StageRun):
                outlet.open(life)
        while self.name not in life.bodies:
            try:
                life.bodies[self.name] = self._step(life, self._newest, self._make, self.stage.make_s)
            except EdgevidError:  # a missing part stays missing
                raise
            except Exception as error:
                self._services.crashed(self.name, error)

    def work(self, message: Message[Any], queued_ns: int, life: Life) -> None:
        """Run the body on one message and pass on what it gives, as it gives it."""
        if self._services.generations.stale(message):  # cancelled between the channel and here
            return
        self._runs += 1
        self._newest = message
        busy_ns, waited_ns = self._busy_ns, self._grants.total_ns
        self._run(life, message, queued_ns, lambda body: body(message.payload))
        busy_ns = self._busy_ns - busy_ns
        self._times.add(busy_ns)
        if self.stage.quality is not None:
            self.stage.quality.observe(self.name, busy_ns + self._grants.total_ns - waited_ns)
        if self.stage.deadline_ns is not None and now_ns() - message.born_ns > self.stage.deadline_ns:
            self._missed += 1

    def put(self, message: Message[Any], life: Life) -> None:
        """See ``Outlet``."""
        assert self._channel is not None
        if self._channel.put(message) and (taken := self._channel.take(0)) is not None:
            self.work(*taken, life)

    def finish(self, life: Life, *, flush: bool) -> None:
        """See ``Outlet``."""
        body: Any = life.bodies.get(self.name)
        if flush and hasattr(body, "flush"):
            self._run(life, self._newest, now_ns(), lambda _: body.flush())
        if self._channel is not None:
            self._channel.end()
        for outlet in self.outlets:
            outlet.finish(life, flush=flush)

    def hung(self) -> None:
        """Count a thread that was given up in this stage's body."""
        self._failed += 1
        self._restarts += 1
        self._abandoned += 1

    def metrics(self) -> StageMetrics:
        """The counts now."""
        times, grants = self._times.newest(), self._grants.newest()
        return StageMetrics(
            self.stage.name,
            self.stage.workload,
            self.stage.executor,
            self._runs,
            self._failed,
            self._restarts,
            self._abandoned,
            self._missed,
            self._busy_ns / 1e9,
            quantile_ms(times, 0.5),
            quantile_ms(times, 0.99),
            quantile_ms(grants, 0.99),
        )

    def _run(self, life: Life, message: Message[Any], queued_ns: int, call: Callable[[Body], Any]) -> None:
        began_ns = now_ns()
        try:
            value = self._step(life, message, lambda: call(life.bodies[self.name]))
        except Exception as error:
            self._restart(life, error)
            return
        if isinstance(value, Iterator):
            with closing(self._items(life, message, value)) as payloads:
                for payload in payloads:
                    if not self._pass_on(life, message, payload, queued_ns, began_ns):
                        break
        elif value is not None:
            self._pass_on(life, message, value, queued_ns, began_ns)

    def _items(self, life: Life, message: Message[Any], items: Iterator[Any]) -> Generator[Any, None, None]:
        """What an iterator of the body gives; a crash ends it, and the body is made anew."""
        try:
            while (item := self._step(life, message, lambda: next(items, _NOTHING))) is not _NOTHING:
                yield item
        except GeneratorExit:  # cancelled between two results
            discard(items)
            raise
        except Exception as error:
            self._restart(life, error)

    def _pass_on(
        self, life: Life, message: Message[Any], payload: Any, queued_ns: int, began_ns: int
    ) -> bool:
        """Give ``payload`` to the stages after this one; False when it was cancelled meanwhile."""
        if self._services.generations.stale(message):
            return False
        made = message.followed_by(payload, Stamp(self.name, queued_ns, began_ns, now_ns()))
        for outlet in self.outlets:
            outlet.put(made, life)
        return True

    def _step(
        self, life: Life, message: Message[Any], call: Callable[[], Any], hang_s: float | None = None
    ) -> Any:
        """One uninterrupted piece of the body's work, on cores of the budget."""
        limit_ns = (hang_s or self.stage.hang_s) * 1e9
        if self.stage.executor == "process":
            limit_ns *= 2  # the process is killed first
        budget, workload = self._services.budget, self.stage.workload
        deadline_ns = message.born_ns + (self.stage.deadline_ns or 0)
        asked_ns = now_ns()
        cores = budget.take(workload, self.stage.threads, deadline_ns=deadline_ns)
        began_ns = now_ns()
        life.begin(Doing(self, began_ns, limit_ns), lambda: budget.give_back(workload, cores))
        try:
            return call()
        finally:
            life.end()
            ended_ns = now_ns()
            self._busy_ns += ended_ns - began_ns
            self._grants.add(began_ns - asked_ns)
            self._services.trace.add(self.name, began_ns, ended_ns, message)

    def _make(self) -> Body:
        if self.stage.executor == "process":
            return ProcessBody(self.stage)
        return self.stage.make()

    def _restart(self, life: Life, error: Exception) -> None:
        self._failed += 1
        discard(life.bodies.pop(self.name))
        self._services.crashed(self.name, error)
        self._restarts += 1
        self.open(life)
