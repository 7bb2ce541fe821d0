"""What ran when: the newest events, written as a Chrome trace (chrome://tracing, https://ui.perfetto.dev)."""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgevid.runtime.message import Message, now_ns

_Event = tuple[str, int, int, int, dict[str, Any]]  # name, thread, begin and end in ns, arguments


class Trace:
    """A ring of the newest ``capacity`` events; 0 records nothing. Thread-safe."""

    def __init__(self, capacity: int = 0) -> None:
        self._events: deque[_Event] = deque(maxlen=capacity)
        self.add = self._add if capacity else _ignore

    def mark(self, what: str, **arguments: Any) -> None:
        """Record something that takes no time: a restart, a cancel."""
        if self._events.maxlen:
            now = now_ns()
            self._events.append((what, threading.get_native_id(), now, now, arguments))

    def to_json(self) -> dict[str, Any]:
        """The Trace Event Format's object; times in microseconds of the monotonic clock."""
        return {"displayTimeUnit": "ms", "traceEvents": list(self._records())}

    def save(self, path: str | Path) -> None:
        """Write ``to_json`` to a file, whole or not at all."""
        path = Path(path)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            partial.write_text(json.dumps(self.to_json()))
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def _add(self, stage: str, began_ns: int, ended_ns: int, message: Message[Any]) -> None:
        about = {"seq": message.seq, "stream": message.stream, "pts_ms": message.pts_ns / 1e6}
        self._events.append((stage, threading.get_native_id(), began_ns, ended_ns, about))

    def _records(self) -> Iterator[dict[str, Any]]:
        named = set()
        for name, thread, began_ns, ended_ns, arguments in self._events.copy():
            common = {"pid": os.getpid(), "tid": thread}
            if ended_ns == began_ns:
                yield {**common, "ph": "i", "s": "p", "name": name, "ts": began_ns / 1e3, "args": arguments}
                continue
            if thread not in named:
                named.add(thread)
                yield {**common, "ph": "M", "name": "thread_name", "args": {"name": name}}
            times = {"ts": began_ns / 1e3, "dur": (ended_ns - began_ns) / 1e3}
            yield {**common, "ph": "X", "cat": "stage", "name": name, **times, "args": arguments}


def _ignore(stage: str, began_ns: int, ended_ns: int, message: Message[Any]) -> None:
    """What ``Trace.add`` does when nothing is recorded."""
