"""Loss of power: whatever the disk had not been told to sync may be gone, in part and in any order.

A writer commits under strace, which records every write and sync of the file and its log. For many moments of
that record the test builds the files a disk could hold then: all synced writes, and of the others none, a
random choice, or all but the last. Each must open, whole, with every row but those of the last sync period.
"""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgevid.memory.memory import Memory

_COMMITS = 260
_PER_SYNC = 50  # commits in a sync period, by the writer's own clock
_WRITER = f"""
import os, sys
from edgevid.core.nouns import Observation, TimeSpan
from edgevid.memory import memory as module

class Clock:
    now = 0.0
    def monotonic(self): return self.now
    def time_ns(self): return 1
module.time = Clock()
with module.Memory(sys.argv[1]) as memory:
    video = memory.add_video("cam", width=1, height=1, has_audio=True, channels=["speech"])
    for i in range({_COMMITS}):
        said = Observation("speech", f"row{{i}} " + "and more words " * 20, TimeSpan(i, i + 1), 0.5)
        with memory.transaction():
            memory.add(video, said)
        os.write(1, b"committed %d" % i)
        module.time.now += module.SYNC_PERIOD_S / {_PER_SYNC}
    os._exit(0)  # no clean end: the power goes
"""
Writes = list[tuple[int, bytes | None]]
"""Offset and data; None cuts the file there."""

_CALL = re.compile(
    r'(\w+)\((\d+)<([^>]*)>(?:, "((?:\\x[0-9a-f]{2})*)"\.*)?(?:, (\d+))?(?:, (\d+))?\)\s+= (\d+)'
)


@dataclass
class Disk:
    """One file: what is surely on the disk, and the writes since."""

    synced: bytearray = field(default_factory=bytearray)
    waiting: Writes = field(default_factory=list)

    def sync(self) -> None:
        self.synced = self.after(self.waiting)
        self.waiting = []

    def after(self, writes: Writes) -> bytearray:
        image = bytearray(self.synced)
        for offset, data in writes:
            if data is None:
                del image[offset:]
                continue
            image.extend(bytes(max(0, offset - len(image))))
            image[offset : offset + len(data)] = data
        return image


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The writer's system calls, in order."""
    if shutil.which("strace") is None:
        pytest.skip("strace is missing: apt-get install strace")
    folder = tmp_path_factory.mktemp("writer")
    calls = "trace=write,pwrite64,fsync,fdatasync,ftruncate"
    command = ["strace", "-y", "-xx", "-s", "9999", "-e", calls, "-o", str(folder / "log")]
    done = subprocess.run(
        [*command, sys.executable, "-c", _WRITER, str(folder / "m.edgevid")],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if "PTRACE" in done.stderr or "ptrace" in done.stderr:
        pytest.skip("strace may not trace here: allow ptrace")
    assert done.returncode == 0, done.stderr
    return (folder / "log").read_text().splitlines()


def moments(record: list[str]) -> Iterator[tuple[int, dict[str, Disk]]]:
    """After each call: the last row told to be committed (-1: none), and the files."""
    files = {"m.edgevid": Disk(), "m.edgevid-wal": Disk()}
    committed = -1
    for line in record:
        match = _CALL.match(line)
        if match is None:
            continue
        call, fd, path, data, first, second, result = match.groups()
        name = _text(path).rpartition("/")[2]
        if call == "write" and fd == "1":
            committed = int(_text(data).split()[1]) if _text(data).startswith("committed") else committed
        elif name in files:
            disk = files[name]
            if call in ("fsync", "fdatasync"):
                disk.sync()
            elif call == "ftruncate":
                disk.waiting.append((int(first), None))
            elif call == "pwrite64":
                written = bytes.fromhex(data.replace("\\x", ""))
                assert len(written) == int(first) == int(result)
                disk.waiting.append((int(second), written))
            yield committed, files


def _text(escaped: str) -> str:
    if "\\x" not in escaped:
        return escaped
    return bytes.fromhex(escaped.replace("\\x", "")).decode(errors="replace")


def lost(writes: Writes, how: str, rng: random.Random) -> Writes:
    """What reached the disk of ``writes``."""
    if how == "none":
        return []
    return writes[:-1] if how == "all but the last" else [write for write in writes if rng.random() < 0.5]


@pytest.mark.parametrize("how", ["none", "some", "all but the last"])
def test_power_may_go_at_any_moment(record: list[str], tmp_path: Path, how: str) -> None:
    rng = random.Random(how)
    tried = 0
    for committed, files in moments(record):
        if committed < 0 or rng.random() > 0.04:
            continue
        tried += 1
        for name, disk in files.items():
            (tmp_path / name).write_bytes(disk.after(lost(disk.waiting, how, rng)))
        with closing(sqlite3.connect(tmp_path / "m.edgevid")) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        with Memory(tmp_path / "m.edgevid") as memory:
            rows = [row.observation.label.split()[0] for row in memory.rows(1)]
            assert rows == [f"row{i}" for i in range(len(rows))]
            assert committed - _PER_SYNC <= len(rows) <= committed + 2
            if rows:
                assert memory.find_words(1, [rows[-1]])
        for path in tmp_path.iterdir():
            path.unlink()
    assert tried > 20
