"""One writer at a time in a folder shared by processes."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_RETRY_S = 0.2


@contextmanager
def exclusive(file: Path, *, on_wait: Callable[[str], None] = lambda pid: None) -> Iterator[None]:
    """Hold the lock `file`, which is created if need be.

    When another process holds it, `on_wait` is called once with that process's pid. The kernel gives the lock
    back when its holder dies, however it dies.
    """
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        told = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    on_wait(os.pread(handle, 20, 0).decode("ascii", "replace").strip())
                    told = True
                time.sleep(_RETRY_S)
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)
