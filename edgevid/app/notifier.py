"""Telling the outside about alerts: a command or a webhook, run beside the watching, which never waits.

One ``Notifier`` has a bounded queue and a few threads. What comes while the queue is full is dropped, and
counted.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from edgevid.core.errors import UsageError

if TYPE_CHECKING:
    from edgevid.stream.alerts import Alert

_QUEUE = 64
_WORKERS = 2
_COMMAND_S = 30.0
_WEBHOOK_S = 5.0
_TRIES = 4
_FIRST_PAUSE_S = 0.5  # doubled after each failed try

Deliver = Callable[[dict[str, Any], threading.Event], None]
"""Delivers one alert; raises OSError or SubprocessError when it cannot. The event asks it to stop."""


class Notifier:
    """Delivers alerts in the background, a bounded number at once.

    Attributes:
        delivered, failed, dropped: counts; ``failed`` alerts were tried, ``dropped`` ones were not.
        last_error: why the last one failed, or "".
    """

    def __init__(self, deliver: Deliver, *, workers: int = _WORKERS, waiting: int = _QUEUE) -> None:
        self.delivered = self.failed = self.dropped = 0
        self.last_error = ""
        self._deliver = deliver
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(waiting)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._work, name=f"edgevid-notify-{i}", daemon=True)
            for i in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def send(self, alert: Alert) -> None:
        """Queue ``alert``; never waits."""
        try:
            self._queue.put_nowait(alert.to_json())
        except queue.Full:
            with self._lock:
                self.dropped += 1

    def close(self, *, within_s: float = 1.5) -> None:
        """Deliver what waits for up to ``within_s``, then give up the rest and end what runs."""
        deadline_s = time.monotonic() + within_s
        while self._queue.unfinished_tasks and time.monotonic() < deadline_s:
            time.sleep(0.02)
        self._stop.set()
        with contextlib.suppress(queue.Empty):
            while True:
                if self._queue.get_nowait() is not None:
                    self.dropped += 1
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(timeout=1.0)

    def stats(self) -> dict[str, Any]:
        """``{"delivered", "failed", "dropped", "last_error"}``."""
        with self._lock:
            counts = {"delivered": self.delivered, "failed": self.failed, "dropped": self.dropped}
            return {**counts, **({"last_error": self.last_error} if self.last_error else {})}

    def _work(self) -> None:
        while (alert := self._queue.get()) is not None:
            error = ""
            try:
                self._deliver(alert, self._stop)
            except (OSError, subprocess.SubprocessError, ValueError) as failure:
                error = str(failure) or type(failure).__name__
            with self._lock:
                self.delivered += not error
                self.failed += bool(error)
                self.last_error = error or self.last_error
            self._queue.task_done()


def command_notifier(command: str, *, timeout_s: float = _COMMAND_S) -> Notifier:
    """Runs ``command`` for each alert: no shell, the alert as JSON on stdin, its facts in ``EDGEVID_*``.

    A run that exceeds ``timeout_s`` is killed with all it started.

    Raises:
        UsageError: an empty command, unbalanced quotes, or a program that is not there.
    """
    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--notify-command: {error}", fix="balance the quotes") from error
    if not argv:
        raise UsageError("--notify-command is empty", fix="name a program")
    if shutil.which(argv[0]) is None:
        raise UsageError(f"--notify-command: no program '{argv[0]}'", fix="name it by its whole path")
    return Notifier(lambda alert, stop: _run(argv, alert, stop, timeout_s))


def webhook_notifier(url: str, *, timeout_s: float = _WEBHOOK_S) -> Notifier:
    """POSTs each alert as JSON to ``url``; a failure is tried again after 0.5, 1 and 2 s.

    Raises:
        UsageError: not an http or https address.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # half of an IPv6 address, a port out of range
        good = False
    if not good:
        raise UsageError(f"--notify-webhook: '{url}' is no web address", fix="http://... or https://...")
    return Notifier(lambda alert, stop: _post(url, alert, stop, timeout_s))


def environment(alert: dict[str, Any]) -> dict[str, str]:
    """``EDGEVID_*`` of a command: ALERT, SOURCE, KIND, LABEL, SCORE, COUNT, T_S, WALL; some may be empty."""
    event = alert["event"]
    names = ("source", "kind", "label", "score", "count", "t_s", "wall")
    facts = {"alert": alert["notify"], **{name: event.get(name, "") for name in names}}
    return {f"EDGEVID_{name.upper()}": str(value).replace("\0", "") for name, value in facts.items()}


def _run(argv: Sequence[str], alert: dict[str, Any], stop: threading.Event, timeout_s: float) -> None:
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment(alert)},
        start_new_session=True,  # so that it can be killed with all it started
    )
    deadline_s = time.monotonic() + timeout_s
    try:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
            stdin.write(json.dumps(alert).encode())
        while process.poll() is None:
            if stop.wait(0.05) or time.monotonic() > deadline_s:
                raise subprocess.TimeoutExpired(argv[0], timeout_s)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, argv[0])


def _post(url: str, alert: dict[str, Any], stop: threading.Event, timeout_s: float) -> None:
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    headers = {"Content-Type": "application/json", "User-Agent": "edgevid"}
    request = Request(url, data=json.dumps(alert).encode(), headers=headers, method="POST")
    pause_s = _FIRST_PAUSE_S
    for left in reversed(range(_TRIES)):
        try:
            with urlopen(request, timeout=timeout_s):
                return
        except (OSError, HTTPException) as error:
            refused = isinstance(error, HTTPError) and error.code < 500 and error.code not in (408, 429)
            if refused or not left or stop.wait(pause_s):
                raise OSError(f"{url}: {error}") from error
            pause_s *= 2
