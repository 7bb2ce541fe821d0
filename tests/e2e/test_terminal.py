"""The terminal session of ``edgevid watch --live``, driven through a pseudo-terminal as a person would."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path


class Terminal:
    """A process on a terminal of 100 x 30; ``shown`` is all it wrote."""

    def __init__(self, *args: str) -> None:
        self.shown = ""
        self.fd, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edgevid", *args],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm-256color"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._theirs)
        os.close(self.fd)

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def wait_for(self, text: str, *, within_s: float = 40) -> None:
        deadline_s = time.monotonic() + within_s
        while text not in self.shown:
            assert time.monotonic() < deadline_s, self.shown[-3000:]
            if select.select([self.fd], [], [], 0.2)[0]:
                self.shown += os.read(self.fd, 65536).decode(errors="replace")

    def leave(self) -> int:
        while self.process.poll() is None:
            if select.select([self.fd], [], [], 0.1)[0]:
                self.shown += os.read(self.fd, 65536).decode(errors="replace")
        restored = termios.tcgetattr(self._theirs)
        assert restored[3] == self.before[3]  # local modes: echo and line editing are back
        return self.process.returncode


def long_video(path: Path) -> str:
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W64 H48 F8:1 Ip A1:1 Cmono\n")
        for _ in range(40_000):
            file.write(b"FRAME\n" + bytes(64 * 48))
    return str(path)


def test_a_question_is_typed_while_it_watches_and_ctrl_c_leaves(tmp_path: Path) -> None:
    with Terminal("watch", long_video(tmp_path / "long.y4m"), "--channels", "cut", "--live") as terminal:
        terminal.wait_for("ask>")
        terminal.wait_for("queues tick")
        terminal.type("How many cutz\x7fs are there?\r")
        terminal.wait_for("No cut was detected")
        assert terminal.process.poll() is None
        terminal.type("\x03")
        assert terminal.leave() == 130
        assert "Traceback" not in terminal.shown


def test_ctrl_d_ends_the_watch(tmp_path: Path) -> None:
    with Terminal("watch", long_video(tmp_path / "long.y4m"), "--channels", "cut", "--live") as terminal:
        terminal.wait_for("queues tick")
        terminal.type("\x04")
        assert terminal.leave() == 0
        assert "real time" in terminal.shown
