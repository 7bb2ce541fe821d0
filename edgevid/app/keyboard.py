"""A line typed while the screen is drawn over: keys one by one, and the terminal left as it was."""

from __future__ import annotations

import codecs
import os
import select
import termios
import threading
import tty
from collections.abc import Callable
from types import TracebackType

_LONGEST = 500
_BACKSPACE, _CTRL_D, _CTRL_U, _ESCAPE = "\x7f", "\x04", "\x15", "\x1b"


class Keyboard:
    """A context manager that reads keys of a terminal in a thread.

    Ctrl-C keeps its meaning. Keys that send escape sequences (arrows) do nothing.

    Attributes:
        typed: the line so far.

    Args:
        entered: is given each line when Enter is pressed.
        left: is called for Ctrl-D on an empty line.
    """

    def __init__(self, fd: int, *, entered: Callable[[str], object], left: Callable[[], None]) -> None:
        self.typed = ""
        self._fd = fd
        self._entered = entered
        self._left = left
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="edgevid-keys", daemon=True)

    def __enter__(self) -> Keyboard:
        self._mode = termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._mode)

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
        while not self._stop.is_set():
            if not select.select([self._fd], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(self._fd, 1024)
            except OSError:
                data = b""
            if not data:  # the terminal is gone
                self._left()
                return
            self._press(decoder.decode(data))

    def _press(self, keys: str) -> None:
        for key in keys.partition(_ESCAPE)[0]:
            if key in "\r\n":
                line, self.typed = self.typed.strip(), ""
                if line:
                    self._entered(line)
            elif key in (_BACKSPACE, "\b"):
                self.typed = self.typed[:-1]
            elif key == _CTRL_U:
                self.typed = ""
            elif key == _CTRL_D and not self.typed:
                self._left()
            elif key.isprintable() and len(self.typed) < _LONGEST:
                self.typed += key
