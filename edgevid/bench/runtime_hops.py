"""A line of stages that do nothing, at 30 frames/s: what passing messages on costs, ours and others'."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgevid.core.errors import MissingPartError
from edgevid.runtime import CpuBudget, Pipeline, Workload
from edgevid.runtime.message import now_ns
from edgevid.runtime.ticks import Ticks

FPS, STAGES = 30, 4
SYSTEM_PYTHON = "/usr/bin/python3"  # the one that has GStreamer's bindings


@dataclass(frozen=True)
class Hops:
    """Attributes:
    cpu_share: CPU time of the whole process over the run, in cores.
    end_to_end_ns: per frame, from its making to the end of the last stage.
    hop_ns: per frame and hop, from the end of one stage to the beginning of the next; empty for peers.
    """

    cpu_share: float
    end_to_end_ns: list[int]
    hop_ns: list[int]


def pipeline_hops(seconds: float, workload: Workload = "soft") -> Hops:
    """Our pipeline, each stage in its own thread; hard stages have a second, so that no frame is left out."""
    deadline_s = 1.0 if workload == "hard" else None
    with Pipeline(budget=CpuBudget()) as pipeline:
        ticks = itertools.islice(Ticks(1 / FPS), int(FPS * seconds))
        node = pipeline.source("clock", ticks, workload=workload)
        for n in range(STAGES):
            node = pipeline.stage(f"stage {n}", _same, after=node, workload=workload, deadline_s=deadline_s)
        out = pipeline.output("out", after=node, capacity=int(FPS * seconds) + 1)
        began_s, cpu_s = time.perf_counter(), time.process_time()
        pipeline.start()
        pipeline.wait()
        share = (time.process_time() - cpu_s) / (time.perf_counter() - began_s)
        messages = list(out)
    hops = []
    for message in messages:
        ends = [message.born_ns, *(stamp.ended_ns for stamp in message.stamps)]
        hops += [stamp.began_ns - end for stamp, end in zip(message.stamps, ends)]
    return Hops(share, [m.stamps[-1].ended_ns - m.born_ns for m in messages], hops)


def asyncio_hops(seconds: float) -> Hops:
    """One task per stage and a queue between two, in one thread."""
    ages: list[int] = []

    async def stage(inlet: asyncio.Queue[int | None], outlet: asyncio.Queue[int | None] | None) -> None:
        while (born_ns := await inlet.get()) is not None:
            if outlet is not None:
                await outlet.put(born_ns)
            else:
                ages.append(now_ns() - born_ns)
        if outlet is not None:
            await outlet.put(None)

    async def main() -> None:
        queues: list[asyncio.Queue[int | None]] = [asyncio.Queue(8) for _ in range(STAGES)]
        tasks = [asyncio.create_task(stage(a, b)) for a, b in zip(queues, [*queues[1:], None])]
        start_s = time.monotonic()
        for n in range(int(FPS * seconds)):
            await asyncio.sleep(max(0.0, start_s + n / FPS - time.monotonic()))
            await queues[0].put(now_ns())
        await queues[0].put(None)
        await asyncio.gather(*tasks)

    began_s, cpu_s = time.perf_counter(), time.process_time()
    asyncio.run(main())
    return Hops((time.process_time() - cpu_s) / (time.perf_counter() - began_s), ages, [])


def gstreamer_hops(seconds: float) -> tuple[Hops, str]:
    """``queue`` elements, driven by the system's Python; with the version.

    Raises:
        MissingPartError: the system has no GStreamer with Python bindings, or it failed.
    """
    script = Path(__file__).with_name("gstreamer_queues.py")
    command = [SYSTEM_PYTHON, str(script), str(FPS), str(STAGES), str(seconds)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True)
        found = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise MissingPartError(
            f"GStreamer was not measured: {error}",
            fix="apt-get install python3-gi gir1.2-gst-plugins-base-1.0",
        ) from None
    return Hops(found["cpu_share"], found["ages_ns"], []), found["version"]


@contextmanager
def python_beside(switch_interval_s: float) -> Iterator[None]:
    """A thread that computes in Python without pause, and how long it may hold the GIL."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            sum(range(1000))

    before = sys.getswitchinterval()
    sys.setswitchinterval(switch_interval_s)
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(before)


def _same(tick: object) -> object:
    return tick
