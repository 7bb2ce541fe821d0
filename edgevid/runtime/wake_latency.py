"""How deep the cores may sleep while a hard deadline runs: Linux's PM QoS request ``/dev/cpu_dma_latency``.

A core that sleeps deeply takes long to wake: milliseconds on a board that cuts its power, a trip to the
host on a virtual machine. The request lasts as long as the file is open, so it cannot outlive the process. It
costs power (shallow sleep, or none), so only pipelines with a hard stage make it, where they may write the
file (root, or a udev rule). docs/DECISIONS/020 has the measurements.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

REQUEST = Path("/dev/cpu_dma_latency")
_DRIVER = Path("/sys/devices/system/cpu/cpuidle/current_driver")
_SHALLOW_US = 20  # lets a core stop its clock (a few us to wake), but not cut its power


class WakeLatency:
    """A request that is made by ``hold`` and withdrawn by ``release``; a refusal is no error.

    Args:
        request: the file to keep open.
    """

    def __init__(self, request: Path = REQUEST) -> None:
        self._request = request
        self._file: BinaryIO | None = None

    @property
    def held(self) -> bool:
        return self._file is not None

    def hold(self) -> None:
        """Keep the cores awake enough; nothing happens where that is not permitted."""
        try:
            file = self._request.open("wb", buffering=0)
        except OSError:
            return
        try:
            file.write(struct.pack("=i", _longest_us()))
        except OSError:
            file.close()
            return
        self._file = file

    def release(self) -> None:
        """Let the cores sleep as they like; more than once is once."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _longest_us() -> int:
    """The time to wake that is asked for; a guest's halt says 1 us but waits for the host, so 0 there."""
    try:
        return 0 if _DRIVER.read_text().strip() == "haltpoll" else _SHALLOW_US
    except OSError:
        return _SHALLOW_US
