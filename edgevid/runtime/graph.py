"""What is connected to what: sources, stages, outputs and the channels between them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from edgevid.runtime.budget import CpuBudget, Workload
from edgevid.runtime.channel import Channel, Policy
from edgevid.runtime.merge import PtsMerge
from edgevid.runtime.message import Generations
from edgevid.runtime.output import Output
from edgevid.runtime.quality import AdaptiveQuality
from edgevid.runtime.run import ChannelOutlet, Services, StageRun
from edgevid.runtime.source import Items, SourceRun
from edgevid.runtime.stage import Body, Executor, Stage
from edgevid.runtime.supervisor import Supervisor
from edgevid.runtime.trace import Trace
from edgevid.runtime.worker import Inlet, Worker


@dataclass(frozen=True, slots=True)
class Node:
    """A source or stage, to name in ``after=``."""

    name: str


class Graph:
    """The part of a ``Pipeline`` that is built before it runs.

    Args:
        failed: is told what must end the pipeline.
        ended: is told when a worker has ended.
        check: raises what ended the pipeline before its time.
    """

    def __init__(
        self,
        budget: CpuBudget,
        trace: Trace,
        *,
        failed: Callable[[BaseException], None],
        ended: Callable[[], None],
        check: Callable[[], None],
    ) -> None:
        self._failed, self._ended, self._check = failed, ended, check
        self._stopping = threading.Event()
        self._generations = Generations()
        self._supervisor = Supervisor(failed=failed, trace=trace)
        self._services = Services(budget, self._generations, trace, self._supervisor.crashed)
        self._runs: dict[str, SourceRun | StageRun] = {}
        self._workers: list[Worker] = []
        self._channels: list[Channel[Any]] = []
        self._outputs: list[Output] = []
        self._sealed = False  # once it runs

    def source(
        self,
        name: str,
        items: Items,
        *,
        workload: Workload = "soft",
        interrupt: Callable[[], None] | None = None,
    ) -> Node:
        """Read ``items`` in a thread of its own.

        Args:
            items: an iterable, or a function that opens one: then a crash opens it again. An item's time is
                its attribute ``pts_ns``, else the time since the first.
            workload: priority of the reading thread.
            interrupt: makes a waiting read return when the pipeline drains (a camera's ``close``).

        Raises:
            ValueError: the name is taken.
        """
        self._claim(name)
        run = SourceRun(name, items, self._services, interrupt=interrupt)
        self._add(run, None, workload)
        return Node(name)

    def stage(
        self,
        name: str,
        fn: Body | None = None,
        *,
        after: Node | Sequence[Node],
        make: Callable[[], Body] | None = None,
        executor: Executor = "thread",
        workload: Workload = "soft",
        threads: int = 1,
        capacity: int = 8,
        policy: Policy = "block",
        by_pts: bool = False,
        wait_s: float = 0.5,
        deadline_s: float | None = None,
        hang_s: float = 30.0,
        quality: AdaptiveQuality | None = None,
    ) -> Node:
        """Run ``fn(payload)`` on all that ``after`` gives.

        ``fn`` returns None (nothing to pass on), one payload, or an iterator of payloads, each passed on as
        soon as it is there. What keeps state from one payload to the next is given as ``make`` instead, which
        is called in the stage's own thread or process, and again after a crash. Its result may have
        ``flush()`` for what is left at the end of the stream, and ``close()``.

        Args:
            after: one or several nodes; their messages come as they arrive, or in order of time (by_pts).
            executor: where it runs (``Executor``). ``sync`` has one node before it and no queue.
            workload: how urgent it is (``Workload``); a hard stage leaves out messages past their deadline.
            threads: cores that one call keeps busy, such as its network's threads.
            capacity, policy: of the channel before it (``Policy``).
            wait_s: how long ``by_pts`` holds a message back for an input that says nothing.
            deadline_s: from the source's giving the item to the end of the call; what is late is counted.
            hang_s: a call that takes longer is given up and the stage restarted; ``math.inf`` = never.
            quality: steps down when this stage cannot keep up, and up again when it can.

        Raises:
            ValueError: the name is taken, or an argument is out of range.
        """
        if (fn is None) == (make is None):
            raise ValueError(f"stage {name}: give fn or make")
        self._claim(name)
        stage = Stage(
            name,
            make or partial(_same, fn),
            executor=executor,
            workload=workload,
            threads=threads,
            deadline_s=deadline_s,
            hang_s=hang_s,
            quality=quality,
        )
        nodes = self._nodes(name, after)
        if executor == "sync" and len(nodes) != 1:
            raise ValueError(f"stage {name}: sync runs in the thread of the one node before it")
        condition = threading.Condition(threading.Lock())
        channels = [
            self._channel(
                f"{name} < {node.name}" if by_pts else name,
                capacity=capacity,
                policy=policy,
                writers=1 if by_pts else len(nodes),
                condition=condition,
                max_age_s=deadline_s if workload == "hard" else None,
            )
            for node in (nodes if by_pts else nodes[:1])
        ]
        if executor == "sync":
            run = self._runs[name] = StageRun(stage, self._services, channels[0])
            self._runs[nodes[0].name].outlets.append(run)
        else:
            self._connect(nodes, channels)
            inlet = PtsMerge(channels, condition, wait_s=wait_s) if by_pts else channels[0]
            self._add(StageRun(stage, self._services), inlet, workload)
        return Node(name)

    def output(
        self, name: str, *, after: Node | Sequence[Node], capacity: int = 64, policy: Policy = "block"
    ) -> Output:
        """Let this program read what ``after`` gives, in its own thread.

        Raises:
            ValueError: the name is taken, or an argument is out of range.
        """
        self._claim(name)
        nodes = self._nodes(name, after)
        channel = self._channel(name, capacity=capacity, policy=policy, writers=len(nodes))
        self._connect(nodes, [channel])
        self._outputs.append(Output(channel, self._check))
        return self._outputs[-1]

    def _channel(self, name: str, **options: Any) -> Channel[Any]:
        channel = Channel[Any](name, generations=self._generations, **options)
        self._channels.append(channel)
        return channel

    def _connect(self, nodes: Sequence[Node], channels: Sequence[Channel[Any]]) -> None:
        """Let ``nodes`` write: each its own channel, or all the only one."""
        for n, node in enumerate(nodes):
            self._runs[node.name].outlets.append(ChannelOutlet(channels[n % len(channels)]))

    def _add(self, run: SourceRun | StageRun, inlet: Inlet | None, workload: Workload) -> None:
        self._runs[run.name] = run
        worker = Worker(
            run,
            inlet,
            workload=workload,
            stopping=self._stopping.is_set,
            failed=self._failed,
            ended=self._ended,
        )
        self._workers.append(worker)

    def _nodes(self, name: str, after: Node | Sequence[Node]) -> list[Node]:
        nodes = [after] if isinstance(after, Node) else list(after)
        if not nodes:
            raise ValueError(f"{name}: nothing comes before it")
        for node in nodes:
            if node.name not in self._runs:
                raise ValueError(f"'{node.name}' is not a node of this pipeline")
        return nodes

    def _claim(self, name: str) -> None:
        if self._sealed:
            raise RuntimeError(f"the pipeline has started: '{name}' comes too late")
        if name in self._runs or name in (channel.name for channel in self._channels):
            raise ValueError(f"there is a '{name}' already")


def _same(body: Any) -> Any:
    """The ``make`` of a stage whose body is given: a module's function, so that a process can import it."""
    return body
