"""A stage's body in a process of its own: it may crash or hang without harm, and it has its own GIL.

Payloads are pickled between this process and the child it started itself; nothing from outside is unpickled.
"""

from __future__ import annotations

import math
import multiprocessing
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from edgevid.core.errors import EdgevidError
from edgevid.runtime import priority
from edgevid.runtime.budget import Workload
from edgevid.runtime.errors import StageHungError
from edgevid.runtime.stage import Body, Stage

_ITEM, _END, _ERROR = "item", "end", "error"
_CLOSE_S = 0.5  # for the child's own close(); then it is killed


class ProcessCrashError(Exception):
    """The child died, or its function raised what is no ``EdgevidError``; then its traceback is a note."""


class ProcessBody:
    """Runs what ``stage.make`` makes in a fresh Python process.

    Args:
        stage: its ``make`` must be importable (a function or class of a module, not a lambda), as are the
            types of payloads; a result that takes longer than its ``hang_s`` gets the child killed.
    """

    def __init__(self, stage: Stage) -> None:
        context = multiprocessing.get_context("spawn")  # forking a process with threads may deadlock
        self._pipe, theirs = context.Pipe()
        self._timeout_s = stage.make_s
        self._child = context.Process(
            target=_serve,
            args=(theirs, stage.make, stage.workload),
            name=f"edgevid-{stage.name}",
            daemon=True,
        )
        self._child.start()
        theirs.close()
        try:
            for _ in self._replies():
                pass
        except Exception:
            self.close()
            raise
        self._timeout_s = stage.hang_s

    def __call__(self, payload: Any) -> Iterator[Any]:
        return self._ask("call", payload)

    def flush(self) -> Iterator[Any]:
        """What the body has left at the end of the stream."""
        return self._ask("flush", None)

    def close(self) -> None:
        """End the child, by force when it does not end itself."""
        with suppress(OSError, ValueError):
            self._pipe.send(("close", None))
        self._child.join(_CLOSE_S)
        self._child.kill()
        self._child.join()
        self._pipe.close()

    def kill(self) -> None:
        """End the child now; may be called from any thread. Who waits for its answer gets an error."""
        self._child.kill()

    def _ask(self, what: str, payload: Any) -> Iterator[Any]:
        try:
            self._pipe.send((what, payload))
        except OSError as error:
            raise ProcessCrashError(f"the stage's process is gone: {error}") from None
        return self._replies()

    def _replies(self) -> Iterator[Any]:
        kind, value = self._reply()
        while kind == _ITEM:
            try:
                yield value
            except GeneratorExit:  # the rest is not wanted
                self._cancel()
                raise
            kind, value = self._reply()
        if kind == _ERROR:
            if isinstance(value, EdgevidError):
                raise value
            line, trace = value
            error = ProcessCrashError(line)
            error.add_note(trace)
            raise error

    def _cancel(self) -> None:
        """Let the child stop its answer, and leave the pipe empty; or no child, which the next call finds."""
        try:
            self._pipe.send(("cancel", None))
            while self._reply()[0] == _ITEM:
                pass
        except Exception:
            self.kill()

    def _reply(self) -> tuple[str, Any]:
        if not self._pipe.poll(None if self._timeout_s == math.inf else self._timeout_s):
            raise StageHungError(f"no result within {self._timeout_s:g} s")
        try:
            kind, value = self._pipe.recv()
        except (EOFError, OSError):
            self._child.join(_CLOSE_S)
            raise ProcessCrashError(f"the stage's process died, exit code {self._child.exitcode}") from None
        return kind, value


def _serve(pipe: Connection, make: Callable[[], Body], workload: Workload) -> None:
    """The child: make the body, then answer until the parent closes or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent drains us
    priority.apply(workload, own_process=True)
    with suppress(EOFError, OSError):
        try:
            body = make()
        except Exception as error:
            pipe.send((_ERROR, _described(error)))
            return
        pipe.send((_END, None))
        while (request := pipe.recv())[0] != "close":
            if request[0] != "cancel":  # of an answer that had ended by itself
                _answer(pipe, body, *request)
        if hasattr(body, "close"):
            body.close()


def _answer(pipe: Connection, body: Body, what: str, payload: Any) -> None:
    try:
        value = getattr(body, "flush", _nothing)() if what == "flush" else body(payload)
        for item in value if isinstance(value, Iterator) else () if value is None else (value,):
            pipe.send((_ITEM, item))
            if pipe.poll() and pipe.recv()[0] == "cancel":
                break
    except OSError:  # the parent is gone
        raise
    except Exception as error:
        pipe.send((_ERROR, _described(error)))
    else:
        pipe.send((_END, None))


def _described(error: Exception) -> EdgevidError | tuple[str, str]:
    if isinstance(error, EdgevidError):  # says to the user what it says in this process
        return error
    return f"{type(error).__name__}: {error}", traceback.format_exc()


def _nothing() -> None:
    """The flush of a body that has none."""
