"""Reading from a pipe so that a waiting read can always be ended."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from pathlib import Path

from edgevid.core.errors import BadInputError, UsageError

_LOOK_S = 0.2
_END_S = 0.5
_AHEAD_BYTES = 4096


class PipeReader:
    """A file object over ``fd``, which it owns; reads return b"" once ``closing`` is set.

    Args:
        recorder: the program that writes into the pipe, ended with it.
    """

    name = "pipe"

    def __init__(
        self, fd: int, closing: threading.Event, *, recorder: subprocess.Popen[bytes] | None = None
    ) -> None:
        self._fd = fd
        self._closing = closing
        self._recorder = recorder
        self._ahead = b""
        self.complaint = ""
        """The last line the recorder wrote, known once closed."""

    def begins(self) -> bool:
        """Wait for the first bytes, which the next ``read`` gives; False when there are none."""
        self._ahead = self.read(_AHEAD_BYTES)
        return bool(self._ahead)

    def read(self, size: int) -> bytes:
        """At least one byte and at most ``size``; b"" at the end."""
        if self._ahead:
            data, self._ahead = self._ahead[:size], self._ahead[size:]
            return data
        while not self._closing.is_set():
            if select.select([self._fd], [], [], _LOOK_S)[0]:
                try:
                    return os.read(self._fd, size)
                except BlockingIOError:
                    continue
        return b""

    def close(self) -> None:
        """Close the pipe and end the recorder. May be called twice."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        if self._recorder is None:
            os.close(fd)
            return
        self._recorder.terminate()
        try:
            _, said = self._recorder.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self._recorder.kill()
            _, said = self._recorder.communicate()
        lines = said.decode(errors="replace").strip().splitlines()
        self.complaint = lines[-1] if lines else ""


def open_pipe(target: str) -> int:
    """A descriptor of the FIFO ``target``, or of standard input for ""; does not wait for a writer.

    Errors: UsageError when standard input is a terminal, BadInputError when the FIFO cannot be opened.
    """
    if not target:
        if sys.__stdin__ is None or sys.__stdin__.isatty():
            raise UsageError(
                "standard input: is a terminal, not a video", fix="pipe a video into the command"
            )
        return os.dup(sys.__stdin__.fileno())
    try:
        return os.open(Path(target), os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise BadInputError(
            f"{target}: {error.strerror}", fix="check the path and its permissions"
        ) from error


def start_recorder(command: list[str], closing: threading.Event) -> PipeReader:
    """Run ``command`` and read what it writes."""
    recorder = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert recorder.stdout is not None
    return PipeReader(recorder.stdout.fileno(), closing, recorder=recorder)
