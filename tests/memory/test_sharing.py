"""Several threads and processes on one memory file: nobody waits for a reader, nothing is lost."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

from edgevid.core.nouns import Observation, TimeSpan
from edgevid.memory.memory import Memory


def dog(at: int) -> Observation:
    return Observation("object", "dog", TimeSpan(at, at + 1), 0.5)


def video_of(memory: Memory) -> int:
    return memory.add_video("cam", width=1, height=1, has_audio=False, channels=["object"])


def test_log_and_index_beside_the_file_are_private_too(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        with Memory(tmp_path / "m.edgevid") as memory:
            video_of(memory)
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(umask)
    assert modes == {"m.edgevid": 0o600, "m.edgevid-wal": 0o600, "m.edgevid-shm": 0o600}


def test_reading_does_not_wait_for_an_open_transaction(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.edgevid") as memory:
        video = video_of(memory)
        memory.add(video, dog(0))
        seen: list[int] = []
        with memory.transaction():
            memory.add(video, dog(1))
            reader = threading.Thread(target=lambda: seen.append(len(memory.rows(video))))
            reader.start()
            reader.join(timeout=10)
            assert seen == [1]  # the last commit
            assert len(memory.rows(video)) == 2  # the writer sees its own rows
        assert len(memory.rows(video)) == 2


def test_a_second_process_may_write_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "m.edgevid"
    script = (
        "import sys\n"
        "from tests.memory.test_sharing import Memory, dog, video_of\n"
        "with Memory(sys.argv[1]) as memory:\n"
        "    video = video_of(memory)\n"
        "    for at in range(200):\n"
        "        with memory.transaction():\n"
        "            memory.add(video, dog(at))\n"
    )
    others = [subprocess.Popen([sys.executable, "-c", script, str(path)]) for _ in range(2)]
    with Memory(path) as memory:
        video = video_of(memory)
        for at in range(200):
            with memory.transaction():
                memory.add(video, dog(at))
        assert [process.wait(timeout=60) for process in others] == [0, 0]
        assert [len(memory.rows(row.id)) for row in memory.videos()] == [200, 200, 200]
