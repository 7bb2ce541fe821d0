"""Alerts reach a real program and a real web server; a bad one costs the watching nothing."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from edgevid.app.notifier import Notifier, command_notifier, webhook_notifier
from edgevid.core.errors import UsageError
from edgevid.core.nouns import Observation, TimeSpan
from edgevid.stream.alerts import Alert, Condition
from edgevid.stream.events import Event

S = 1_000_000_000
PYTHON = sys.executable


def alert(label: str = "person") -> Alert:
    event = Event(3, Observation("object", label, TimeSpan(S, 2 * S), 0.9, count=2))
    return Alert(Condition("a person", (), ("object",)), event)


def until(condition: Callable[[], bool], *, within_s: float = 20) -> None:
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_a_command_gets_the_alert_on_stdin_and_in_its_environment(tmp_path: Path) -> None:
    out = tmp_path / "out of it.json"
    script = tmp_path / "tell.py"
    script.write_text(
        "import json, os, sys\n"
        "said = {k: v for k, v in os.environ.items() if k.startswith('EDGEVID_')}\n"
        "json.dump([json.load(sys.stdin), said, sys.argv[1:]], open(sys.argv[1], 'w'))\n"
    )
    notifier = command_notifier(f"{PYTHON} {script} '{out}' '$(touch nothing)' ';'")
    notifier.send(alert("person\0; rm -rf"))
    notifier.close(within_s=20)
    sent, environment, argv = json.loads(out.read_text())
    assert sent["type"] == "alert"
    assert sent["event"]["label"] == "person\0; rm -rf"
    assert (environment["EDGEVID_ALERT"], environment["EDGEVID_LABEL"]) == ("a person", "person; rm -rf")
    assert (environment["EDGEVID_COUNT"], environment["EDGEVID_WALL"]) == ("2", "")
    assert argv == [str(out), "$(touch nothing)", ";"]
    assert notifier.stats() == {"delivered": 1, "failed": 0, "dropped": 0}


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    child = tmp_path / "child.py"
    child.write_text(
        "import sys, time\n"
        "for i in range(600):\n"
        "    open(sys.argv[1], 'w').write(str(i))\n"
        "    time.sleep(0.05)\n"
    )
    script = tmp_path / "hang.py"
    script.write_text(
        f"import subprocess, sys\nsubprocess.run([sys.executable, {str(child)!r}, {str(alive)!r}])\n"
    )
    notifier = command_notifier(f"{PYTHON} {script}", timeout_s=1.5)
    notifier.send(alert())
    until(lambda: notifier.failed == 1)
    assert "timed out" in notifier.stats()["last_error"]
    if alive.exists():
        time.sleep(0.2)
        written = alive.read_text()
        time.sleep(0.3)
        assert alive.read_text() == written
    notifier.close()


def test_a_failing_command_is_counted() -> None:
    notifier = command_notifier(f"{PYTHON} -c 'raise SystemExit(3)'")
    notifier.send(alert())
    notifier.close(within_s=20)
    assert notifier.stats()["failed"] == 1
    assert "exit status 3" in notifier.stats()["last_error"]


def test_a_full_queue_drops_and_counts_and_close_does_not_wait_for_ever() -> None:
    def hang(_: dict[str, Any], stop: threading.Event) -> None:
        stop.wait(60)
        raise OSError("stopped")

    notifier = Notifier(hang, workers=1, waiting=4)
    began_s = time.monotonic()
    for _ in range(50):
        notifier.send(alert())
    assert time.monotonic() - began_s < 5
    notifier.close(within_s=0.1)
    assert time.monotonic() - began_s < 10
    assert notifier.failed + notifier.dropped == 50
    assert notifier.dropped >= 45
    assert not any(thread.is_alive() for thread in notifier._threads)


@contextmanager
def web_server(answers: list[int]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Answers the codes in order, then 200; yields its address and what was posted."""
    posted: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answers.pop(0) if answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/hook", posted
        finally:
            server.shutdown()
            thread.join()


def test_a_webhook_gets_the_alert_again_until_it_takes_it() -> None:
    with web_server([503, 500]) as (url, posted):
        notifier = webhook_notifier(url)
        notifier.send(alert())
        until(lambda: notifier.delivered == 1)
        notifier.close()
    assert len(posted) == 3
    assert posted[2]["event"]["label"] == "person"


def test_a_webhook_that_refuses_is_not_pressed() -> None:
    with web_server([404, 404]) as (url, posted):
        notifier = webhook_notifier(url)
        notifier.send(alert())
        until(lambda: notifier.failed == 1)
        notifier.close()
    assert len(posted) == 1
    assert "404" in notifier.stats()["last_error"]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (command_notifier, ""),
        (command_notifier, "echo 'half"),
        (command_notifier, "/no/such/program"),
        (webhook_notifier, "file:///etc/passwd"),
        (webhook_notifier, "http://"),
        (webhook_notifier, "http://["),
        (webhook_notifier, "http://host:99999/hook"),
    ],
)
def test_what_cannot_work_is_refused_at_once(make: Callable[[str], Notifier], text: str) -> None:
    with pytest.raises(UsageError):
        make(text)
