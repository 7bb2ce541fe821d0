"""What the operating system is told about a stage's thread; threads it starts later inherit it."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

from edgevid.runtime.budget import Workload

_NICE: dict[Workload, int] = {"hard": -10, "soft": 0, "background": 10}


def apply(workload: Workload) -> None:
    """Set the calling thread's priority by its class; what is not permitted is left as it is."""
    thread = threading.get_native_id()
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, _NICE[workload])
    if workload == "background":
        with suppress(OSError):
            os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))
