"""The envelope of every bench: what was measured, on which machine, under which load."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgevid.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure.

    Attributes:
        measure: what.
        value: None when it could not be measured; ``method`` then says why.
        unit: of value and goal.
        goal: what it should reach; None = reported only.
        passed: whether the goal is reached; None without goal or value.
        method: how, on what, against which peer with which settings.
    """

    measure: str
    value: float | int | str | None
    unit: str
    goal: float | None
    passed: bool | None
    method: str


def configuration(settings: object) -> Row:
    """Which settings a bench ran, by a short hash of their ``repr``."""
    name = hashlib.sha256(repr(settings).encode()).hexdigest()[:8]
    return Row("configuration", name, "hash", None, None, repr(settings))


def machine(threads: int) -> dict[str, Any]:
    """``{"cpu", "cores", "threads", "load"}`` of this machine now."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count() or 1,
        "threads": threads,
        "load": round(os.getloadavg()[0], 2),
    }


def report(name: str, rows: Sequence[Row], *, threads: int) -> dict[str, Any]:
    """The JSON object of ``edgevid bench NAME --json``."""
    lines = []
    for row in rows:
        line = asdict(row)
        line["pass"] = line.pop("passed")
        lines.append(line)
    return {"name": name, "machine": machine(threads), "rows": lines}


def refuse_when_loaded(*, force: bool) -> None:
    """Timings beside other work mean nothing.

    Raises:
        UsageError: more processes want to run than there are cores, and ``force`` is off.
    """
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > cores and not force:
        raise UsageError(
            f"load {load:.1f} exceeds {cores} cores, timings would mean nothing", fix="wait, or --force"
        )


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return os.uname().machine
