"""The device profile: of this machine, and of machines we do not have, by their files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edgevid.runtime.device import DeviceProfile, ThermalZone, usable_cores


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_this_machine() -> None:
    profile = DeviceProfile.read()
    assert 1 <= profile.usable_cores <= profile.affinity <= profile.cores
    assert profile.usable_cores == usable_cores()
    assert profile.model
    assert profile.memory_bytes is not None
    assert profile.memory_bytes > 1 << 26
    assert profile.arch == os.uname().machine
    assert json.loads(json.dumps(profile.to_json()))["usable_cores"] == profile.usable_cores


def test_a_board(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
            "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd aes asimdhp asimddp\n",
            "proc/meminfo": "MemTotal:        7802232 kB\nMemAvailable:    5000000 kB\n",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "51250\n",
            "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
            "sys/class/thermal/thermal_zone1/temp": "-256000\n",  # switched off
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1510400\n",
            "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1510400\n",
            "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "729600\n",
        },
    )
    profile = DeviceProfile.read(root)
    assert profile.model == "NVIDIA Jetson Orin Nano Developer Kit"
    assert profile.isa == ("asimd", "asimddp", "asimdhp")
    assert profile.memory_bytes == 7802232 * 1024
    assert profile.available_bytes == 5000000 * 1024
    assert profile.thermal == (ThermalZone("cpu-thermal", 51.25),)
    assert profile.hottest_celsius == 51.25
    assert profile.mhz == (1510.4, 729.6)
    assert profile.max_mhz == 1510.4


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        (
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            0.5,
        ),
        (
            {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"},
            None,
        ),
        ({"sys/fs/cgroup/cpu.max": "garbage \x00 here\n"}, None),
        ({}, None),
    ],
)
def test_a_containers_share(tmp_path: Path, files: dict[str, str], quota: float | None) -> None:
    profile = DeviceProfile.read(write(tmp_path, files))
    assert profile.quota_cpus == quota
    if quota is not None:
        assert profile.usable_cores == min(profile.affinity, 1 if quota <= 1 else 2)


def test_a_containers_memory(tmp_path: Path) -> None:
    meminfo = {"proc/meminfo": "MemTotal: 1000 kB\n"}
    limited = write(tmp_path / "a", {**meminfo, "sys/fs/cgroup/memory.max": "512000\n"})
    assert DeviceProfile.read(limited).memory_bytes == 512000
    unlimited = {**meminfo, "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}
    assert DeviceProfile.read(write(tmp_path / "b", unlimited)).memory_bytes == 1000 * 1024


def test_a_machine_that_says_nothing(tmp_path: Path) -> None:
    profile = DeviceProfile.read(tmp_path)
    assert (profile.memory_bytes, profile.thermal, profile.mhz, profile.max_mhz) == (None, (), (), None)
    assert profile.hottest_celsius is None
    assert profile.usable_cores >= 1
