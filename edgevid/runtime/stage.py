"""What a stage is: a function or an object, where it runs, and how urgent it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from edgevid.runtime.budget import WORKLOADS, Workload
from edgevid.runtime.quality import AdaptiveQuality

Executor = Literal["sync", "thread", "process"]
"""``sync``: in the thread of the stage before it (cheap work); ``thread``: its own (work that releases the
GIL: networks, codecs); ``process``: its own process (Python that computes, code that may hang or crash)."""

EXECUTORS: tuple[Executor, ...] = ("sync", "thread", "process")

_MAKE_S = 60.0  # models load and engines are built

Body = Callable[[Any], Any]
"""Takes a payload. Returns None (nothing to pass on), one payload, or an iterator of payloads, each of which
is passed on as soon as it is there. May have ``flush() -> same`` for what is left at the end of the stream,
and ``close()``."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage as described; ``Pipeline.stage`` explains the fields."""

    name: str
    make: Callable[[], Body]
    executor: Executor = "thread"
    workload: Workload = "soft"
    threads: int = 1
    deadline_s: float | None = None
    hang_s: float = 30.0
    quality: AdaptiveQuality | None = None

    def __post_init__(self) -> None:
        for what, value, choices in (
            ("executor", self.executor, EXECUTORS),
            ("workload", self.workload, WORKLOADS),
        ):
            if value not in choices:
                raise ValueError(f"stage {self.name}: {what} is {value!r}, choose from {', '.join(choices)}")
        if self.threads < 1:
            raise ValueError(f"stage {self.name}: threads is {self.threads}, must be at least 1")
        for what, seconds in (("deadline_s", self.deadline_s), ("hang_s", self.hang_s)):
            if seconds is not None and not seconds > 0:
                raise ValueError(f"stage {self.name}: {what} is {seconds}, must be positive")

    @property
    def deadline_ns(self) -> int | None:
        return None if self.deadline_s is None else int(self.deadline_s * 1e9)

    @property
    def make_s(self) -> float:
        """How long the making of its body may take."""
        return max(self.hang_s, _MAKE_S)
