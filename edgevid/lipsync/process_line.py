"""Programs of others: started ahead, joined by pipes, asked one thing at a time, replaced when they die.

Both parts that edgevid must not link (apertium, espeak-ng: GPL) are used through here::

    ask(request) -> | program | -> | program | -> ... -> answer        one ProcessLine
                    |___________ Pool of equal lines ___________|

Closing the first program's input ends the whole line, so none outlives this process, however it ends.
"""

from __future__ import annotations

import os
import queue
import selectors
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import IO

from edgevid.core.errors import CancelledError, EdgevidError, MissingPartError

Complete = Callable[[bytearray], bool]
"""Whether these bytes are a whole answer."""

_CHUNK = 1 << 16


class LineDiedError(Exception):
    """A program of the line ended before the answer was whole."""


class LineHungError(Exception):
    """The answer was not whole in time."""


class ProcessLine:
    """One line of programs. Not thread-safe.

    Args:
        commands: argument lists, run without a shell; each reads what the one before it writes.

    Raises:
        MissingPartError: a program is not there.
    """

    def __init__(self, commands: Sequence[Sequence[str]]) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            for command in commands:
                self._start(command)
        except OSError as error:
            self.close()
            raise MissingPartError(f"{commands[len(self._processes)][0]} cannot be run: {error}") from None
        self._input, self._output = _pipe(self._processes[0].stdin), _pipe(self._processes[-1].stdout)

    def _start(self, command: Sequence[str]) -> None:
        before = self._processes[-1].stdout if self._processes else None
        process = subprocess.Popen(
            command,
            bufsize=0,
            stdin=before or subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C is for us: what was asked is still answered
        )
        self._processes.append(process)
        if before is not None:
            before.close()  # now the next program's alone, so that either notices when the other ends

    @property
    def pids(self) -> list[int]:
        """The processes, first to last."""
        return [process.pid for process in self._processes]

    def ask(self, request: bytes, complete: Complete, *, timeout_s: float) -> bytes:
        """Send ``request``, return the answer once ``complete``.

        Raises:
            LineDiedError, LineHungError: the line is of no more use; close it.
        """
        if any(process.poll() is not None for process in self._processes):
            raise LineDiedError("a program ended while idle")
        deadline = time.monotonic() + timeout_s
        pending, answer = memoryview(request), bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self._input, selectors.EVENT_WRITE)
            selector.register(self._output, selectors.EVENT_READ)
            while not complete(answer):
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready or time.monotonic() > deadline:
                    raise LineHungError(f"no answer within {timeout_s:g} s")
                for key, _ in ready:
                    if key.events == selectors.EVENT_READ:
                        answer += self._read(key.fd)
                        continue
                    pending = pending[self._write(key.fd, pending) :]
                    if not pending:
                        selector.unregister(key.fileobj)
        return bytes(answer)

    def close(self) -> None:
        """End the line and let go of it. May be called again."""
        self.kill()
        for process in self._processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def kill(self) -> None:
        """End the line now; may be called from any thread. Who waits for its answer gets LineDiedError."""
        for process in self._processes:
            process.kill()

    def _read(self, fd: int) -> bytes:
        chunk = os.read(fd, _CHUNK)
        if not chunk:
            codes = [process.poll() for process in self._processes]
            raise LineDiedError(f"the output ended (exit codes {codes})")
        return chunk

    def _write(self, fd: int, data: memoryview) -> int:
        try:
            return os.write(fd, data[:_CHUNK])
        except BrokenPipeError:
            raise LineDiedError("the input was closed") from None


class Pool:
    """Equal lines that stand ready; any thread may ask.

    A line that dies is replaced and what it was asked is asked once more. One that hangs is replaced, and the
    question fails: it would hang again, and what waits behind it is late already.

    Args:
        name: of the part, for messages.
        start: makes one line.
        size: lines; as many questions are answered at a time.
    """

    def __init__(
        self, name: str, start: Callable[[], ProcessLine], *, size: int = 1, timeout_s: float
    ) -> None:
        self._name, self._start, self._timeout_s = name, start, timeout_s
        self.restarts = 0
        self._closed = False
        self._lines: list[ProcessLine] = []
        self._idle: queue.SimpleQueue[ProcessLine] = queue.SimpleQueue()
        try:
            for _ in range(size):
                self._lines.append(start())
                self._idle.put(self._lines[-1])
        except EdgevidError:
            self.close()
            raise

    @property
    def pids(self) -> list[int]:
        """All processes now."""
        return [pid for line in self._lines for pid in line.pids]

    def ask(self, request: bytes, complete: Complete) -> bytes:
        """Send ``request`` to a free line, waiting for one; return its answer.

        Raises:
            EdgevidError: it died twice on this request, or hung.
            CancelledError: the pool was closed.
        """
        line = self._idle.get()
        try:
            for last in (False, True):
                if self._closed:
                    raise CancelledError(f"{self._name} was closed")
                try:
                    return line.ask(request, complete, timeout_s=self._timeout_s)
                except (LineDiedError, LineHungError) as error:
                    line = self._replace(line)
                    if last or isinstance(error, LineHungError):
                        raise EdgevidError(f"{self._name} failed and was restarted: {error}") from None
            raise AssertionError("unreachable")
        finally:
            self._idle.put(line)

    def close(self) -> None:
        """End all lines; who waits gets CancelledError. May be called again."""
        self._closed = True
        for line in list(self._lines):
            line.kill()
        lines = [self._idle.get() for _ in self._lines]  # whoever asked has given it back
        for line in lines:
            line.close()
            self._idle.put(line)

    def _replace(self, line: ProcessLine) -> ProcessLine:
        line.close()
        if self._closed:
            raise CancelledError(f"{self._name} was closed")
        fresh = self._start()
        self._lines[self._lines.index(line)] = fresh
        self.restarts += 1
        return fresh


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    os.set_blocking(pipe.fileno(), False)
    return pipe
