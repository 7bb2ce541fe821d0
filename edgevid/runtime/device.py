"""What this machine is: cores, instruction sets, memory, temperatures, clocks, from Linux's own files."""

from __future__ import annotations

import math
import os
import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_ISA_FLAGS = (  # what the kernels and onnxruntime choose by, x86 then ARM names of /proc/cpuinfo
    *("avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8"),
    *("asimd", "asimddp", "asimdhp", "i8mm", "sve", "sve2"),
)
_UNLIMITED_BYTES = 1 << 60  # cgroup v1 says "no limit" with a number near 2^63


@dataclass(frozen=True, slots=True)
class ThermalZone:
    """One sensor, in degrees Celsius."""

    name: str
    celsius: float


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """A machine as this process sees it now; figures the kernel does not give are None or empty.

    Attributes:
        model: of the board or CPU.
        arch: "x86_64", "aarch64".
        cores: processors that are online.
        affinity: how many of them this process may run on.
        quota_cpus: CPUs' worth of time its container may use.
        isa: instruction sets that matter to kernels.
        memory_bytes: the smaller of the machine's memory and the container's limit.
        available_bytes: what could be taken now without swapping.
        thermal: sensors.
        mhz, max_mhz: clocks of the cores now, and the highest they can have.
    """

    model: str
    arch: str
    cores: int
    affinity: int
    quota_cpus: float | None
    isa: tuple[str, ...]
    memory_bytes: int | None
    available_bytes: int | None
    thermal: tuple[ThermalZone, ...]
    mhz: tuple[float, ...]
    max_mhz: float | None

    @property
    def usable_cores(self) -> int:
        """Cores this process can keep busy: its affinity, or fewer where the quota allows less."""
        return _usable(self.affinity, self.quota_cpus)

    @property
    def hottest_celsius(self) -> float | None:
        """The highest temperature; None without sensors."""
        return max((zone.celsius for zone in self.thermal), default=None)

    @classmethod
    def read(cls, root: Path = Path("/")) -> DeviceProfile:
        """Profile this machine; ``root`` holds its proc and sys."""
        info = _text(root / "proc/cpuinfo")
        cpus = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))
        limit = _cgroup_memory(root)
        total = _meminfo(root, "MemTotal")
        return cls(
            model=_model(root, info),
            arch=platform.machine(),
            cores=os.cpu_count() or 1,
            affinity=len(os.sched_getaffinity(0)),
            quota_cpus=_quota_cpus(root),
            isa=_isa(info),
            memory_bytes=min((n for n in (total, limit) if n is not None), default=None),
            available_bytes=_meminfo(root, "MemAvailable"),
            thermal=tuple(_thermal(root)),
            mhz=tuple(khz / 1e3 for cpu in cpus if (khz := _number(cpu / "scaling_cur_freq"))),
            max_mhz=max(
                (khz / 1e3 for cpu in cpus if (khz := _number(cpu / "cpuinfo_max_freq"))), default=None
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values, ``usable_cores`` among them."""
        return {**asdict(self), "usable_cores": self.usable_cores}


def usable_cores() -> int:
    """``DeviceProfile.read().usable_cores``, without reading the rest."""
    return _usable(len(os.sched_getaffinity(0)), _quota_cpus(Path("/")))


def _usable(affinity: int, quota_cpus: float | None) -> int:
    return max(1, affinity if quota_cpus is None else min(affinity, math.ceil(quota_cpus)))


def _model(root: Path, cpuinfo: str) -> str:
    board = _text(root / "proc/device-tree/model").strip("\0\n ")
    if board:
        return board
    found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _isa(cpuinfo: str) -> tuple[str, ...]:
    found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    flags = set(found[1].split()) if found else set()
    return tuple(flag for flag in _ISA_FLAGS if flag in flags)


def _quota_cpus(root: Path) -> float | None:
    """CPUs' worth of time per period, by cgroup v2 ("150000 100000", "max 100000") or v1."""
    words = _text(root / "sys/fs/cgroup/cpu.max").split()
    if len(words) == 2:
        quota, period = _parsed(words[0]), _parsed(words[1])
    else:
        quota = _number(root / "sys/fs/cgroup/cpu/cpu.cfs_quota_us")
        period = _number(root / "sys/fs/cgroup/cpu/cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None


def _cgroup_memory(root: Path) -> int | None:
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        limit = _number(root / "sys/fs/cgroup" / name)
        if limit is not None and 0 < limit < _UNLIMITED_BYTES:
            return int(limit)
    return None


def _meminfo(root: Path, name: str) -> int | None:
    found = re.search(rf"^{name}:\s*(\d+) kB$", _text(root / "proc/meminfo"), re.MULTILINE)
    return int(found[1]) << 10 if found else None


def _thermal(root: Path) -> list[ThermalZone]:
    zones = []
    for folder in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        millidegrees = _number(folder / "temp")  # a sensor that is switched off gives an error or nonsense
        if millidegrees is not None and -50_000 < millidegrees < 200_000:
            zones.append(ThermalZone(_text(folder / "type").strip() or folder.name, millidegrees / 1e3))
    return zones


def _number(path: Path) -> float | None:
    return _parsed(_text(path))


def _parsed(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
