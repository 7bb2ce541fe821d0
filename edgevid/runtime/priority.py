"""What the operating system is told about a stage's thread; threads it starts later inherit it.

::

    hard        SCHED_RR where permitted (root, CAP_SYS_NICE, RLIMIT_RTPRIO), else nice -10, else as it is
    soft        as it is
    background  nice 10, SCHED_BATCH; in a process of its own SCHED_IDLE

A background thread must still make progress against all others, for it may hold the GIL that a hard thread
waits for; a process has its own GIL and can be put last. docs/DECISIONS/007 has the measurements.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress

from edgevid.runtime.budget import Workload


def apply(workload: Workload, *, own_process: bool = False) -> None:
    """Set the calling thread's priority by its class; what is not permitted is left as it is."""
    thread = threading.get_native_id()
    if workload == "hard":
        if not _schedule(thread, os.SCHED_RR, 1):
            _nice(thread, -10)
    elif workload == "background":
        _nice(thread, 10)
        _schedule(thread, os.SCHED_IDLE if own_process else os.SCHED_BATCH, 0)


def demote(thread: int) -> None:
    """Put a thread that was given up behind all others."""
    _schedule(thread, os.SCHED_IDLE, 0)


def _schedule(thread: int, policy: int, priority: int) -> bool:
    try:
        os.sched_setscheduler(thread, policy, os.sched_param(priority))
    except OSError:
        return False
    return True


def _nice(thread: int, nice: int) -> None:
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, nice)
