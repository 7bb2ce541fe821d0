"""Peers that say nothing, say nonsense, or say no: one clear line, in time, without the password."""

from __future__ import annotations

import os
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from edgevid.core.errors import BadInputError
from edgevid.media.source import open_source

_LIMIT_S = 10.0


def _refused(url: str, *words: str) -> BadInputError:
    began_s = time.monotonic()
    with pytest.raises(BadInputError) as caught:
        open_source(url)
    assert time.monotonic() - began_s <= _LIMIT_S
    error = caught.value
    assert error.fix
    assert "\n" not in str(error)
    for word in words:
        assert word in str(error)
    told = "".join(traceback.format_exception(error)) + repr(error.to_json())
    assert "secret" not in told
    return error


@contextmanager
def _peer(answer: bytes | None) -> Iterator[str]:
    """Accepts connections and sends ``answer``, or for None never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as open_connections:
        listener.settimeout(0.2)
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                try:
                    connection = open_connections.enter_context(listener.accept()[0])
                    if answer is not None:
                        connection.recv(65536)
                        connection.sendall(answer)
                except OSError:
                    continue

        thread = threading.Thread(target=serve, name="test peer")
        thread.start()
        try:
            yield f"rtsp://admin:secret@127.0.0.1:{listener.getsockname()[1]}/cam"
        finally:
            done.set()
            thread.join()


@pytest.mark.slow
def test_a_peer_that_accepts_and_says_nothing() -> None:
    with _peer(None) as url:
        _refused(url, "127.0.0.1")


@pytest.mark.slow
def test_an_address_that_drops_every_packet() -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):  # the queue of the listener is full: the next SYN goes unanswered
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        time.sleep(0.1)
        _refused(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/cam", "127.0.0.1")


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer",
    [
        os.urandom(1 << 16),
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 99999999999\r\n\r\n" + b"v=0\r\n" * 1000,
        b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n" + b"A" * 100_000,
        b"",
    ],
    ids=["random", "http", "long-body", "long-line", "nothing"],
)
def test_a_peer_that_talks_nonsense(answer: bytes) -> None:
    with _peer(answer) as url:
        _refused(url, "127.0.0.1")


def test_nothing_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        _refused(f"rtsp://admin:secret@127.0.0.1:{probe.getsockname()[1]}/cam", "nothing listens")


def test_wrong_path(rtsp_server: Any) -> None:
    _refused(rtsp_server.url + "/other", "no stream of this name", "check the path")


def test_wrong_password_and_right_one(make_rtsp_server: Callable[..., Any]) -> None:
    server = make_rtsp_server(user="admin:right-secret")
    address = server.url.removeprefix("rtsp://")
    _refused(f"rtsp://{address}/mute", "credentials", "USER:PASSWORD")
    _refused(f"rtsp://admin:wrong-secret@{address}/mute", "credentials")
    with open_source(f"rtsp://admin:right-secret@{address}/mute") as source:
        assert source.info.uri == f"{server.url}/mute"
        frame = next(source.frames())
        assert frame.image.shape == (240, 320, 3)
        server.kill()
        time.sleep(1.0)
        told = repr((source.info, asdict(source.stats), source.warnings))
        assert "secret" not in told
        assert source.stats.live is not None and source.stats.live.last_error
        assert not any("secret" in thread.name for thread in threading.enumerate())


@pytest.mark.slow
def test_opening_and_closing_leaves_nothing_behind(rtsp_server: Any) -> None:
    def held() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    def use() -> None:
        with open_source(rtsp_server.url + "/mute") as source:
            next(source.frames())

    use()
    before = held()
    for _ in range(20):
        use()
    limit_s = time.monotonic() + 10
    while any(a > b for a, b in zip(held(), before)) and time.monotonic() < limit_s:
        time.sleep(0.1)  # a connection may be freed a moment after its source was closed
    assert all(a <= b for a, b in zip(held(), before))
