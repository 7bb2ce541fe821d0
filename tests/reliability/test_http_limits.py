"""Slow, greedy and rude clients: each is bounded, and none of them slows the others."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

import httpx
import pytest

from edgevid.app.server.settings import HttpLimits, Settings
from tests.app.server.conftest import Served, serving

_QUICK = replace(HttpLimits(), head_s=1.0, body_s=1.5, stalled_s=2.0, connections=24)
_SLOW_BYTES_PER_S = 8 << 10


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(Settings(limits=_QUICK)) as server:
        yield server


def connect(served: Served, sent: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", served.port), timeout=20)
    client.sendall(sent)
    return client


def post(length: int) -> bytes:
    """The head of a POST whose body is said to have ``length`` bytes."""
    return (
        "POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def answer_of(client: socket.socket) -> bytes:
    """All bytes until the server closes."""
    received = b""
    while chunk := client.recv(65536):
        received += chunk
    return received


def slowest(served: Served, seconds: float) -> float:
    """The slowest of the answers that a well-behaved client gets during ``seconds``."""
    worst, ends_at = 0.0, time.monotonic() + seconds
    while time.monotonic() < ends_at:
        began = time.monotonic()
        assert httpx.get(f"{served.url}/healthz", trust_env=False).status_code == 200
        worst = max(worst, time.monotonic() - began)
        time.sleep(0.02)
    return worst


def test_a_client_of_8_kb_per_s_does_not_slow_the_others(served: Served) -> None:
    """It sends its body and reads its answer that slowly; others are answered within a second meanwhile."""
    body = json.dumps({"source": "x" * 9000}).encode()
    done: list[bytes] = []

    def slow_client() -> None:
        with closing(connect(served, post(len(body)))) as client:
            for at in range(0, len(body), 512):
                client.sendall(body[at : at + 512])
                time.sleep(512 / _SLOW_BYTES_PER_S)
            received = b""
            while b"}}" not in received:
                received += client.recv(512)
                time.sleep(512 / _SLOW_BYTES_PER_S)
            done.append(received)

    threads = [threading.Thread(target=slow_client) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert slowest(served, 1.5) < 1.0
    for thread in threads:
        thread.join()
    assert [received.split(b"\r\n")[0] for received in done] == [b"HTTP/1.1 400 Bad Request"] * 4


def test_headers_that_drip_are_cut_off(served: Served) -> None:
    clients = [connect(served, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ") for _ in range(10)]
    began = time.monotonic()
    with ExitStack() as stack:
        for client in clients:
            stack.callback(client.close)
        ended = False
        while not ended and time.monotonic() - began < 10:
            for client in clients:
                try:
                    client.sendall(b"a")
                except OSError:
                    ended = True
            time.sleep(0.1)
        assert ended
        assert time.monotonic() - began < 5
    assert slowest(served, 0.3) < 1.0


def test_a_connection_that_says_nothing_is_closed(served: Served) -> None:
    with closing(connect(served)) as client:
        began = time.monotonic()
        assert answer_of(client) == b""
        assert time.monotonic() - began < 5


def test_a_body_that_drips_gets_408(served: Served) -> None:
    with closing(connect(served, post(1000) + b"{")) as client:
        assert answer_of(client).startswith(b"HTTP/1.1 408 ")


def test_bodies_over_the_limit_get_413_and_their_rest_is_dropped(served: Served) -> None:
    with closing(connect(served, post(_QUICK.body_bytes + 1))) as client:
        assert answer_of(client).startswith(b"HTTP/1.1 413 ")
    chunked = post(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    megabyte = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    with closing(connect(served, chunked)) as client:
        client.sendall(megabyte * (_QUICK.body_bytes // 0x100000 + 1))
        assert answer_of(client).startswith(b"HTTP/1.1 413 ")


def test_heads_over_the_limit_get_400(served: Served) -> None:
    with closing(connect(served, b"GET / HTTP/1.1\r\nX: " + b"a" * (_QUICK.head_bytes + 4096))) as client:
        assert answer_of(client).startswith(b"HTTP/1.1 400 ")


def test_no_more_connections_than_allowed(served: Served) -> None:
    with ExitStack() as stack:
        for _ in range(_QUICK.connections):
            stack.callback(connect(served).close)
        time.sleep(0.2)
        with closing(connect(served)) as client:
            assert answer_of(client).startswith(b"HTTP/1.1 503 ")
    time.sleep(0.2)
    assert slowest(served, 0.1) < 1.0


def test_a_reader_that_takes_nothing_is_cut_off_and_holds_little(tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    """It asks for a 64 MB file and reads none of it."""
    folder = tmp_path_factory.mktemp("root")
    with (folder / "big.y4m").open("wb") as file:
        file.write(b"YUV4MPEG2 W640 H480 F1:1 Ip A1:1 Cmono\n")
        for _ in range(200):
            file.write(b"FRAME\n" + bytes(640 * 480))
    with serving(Settings(roots=(folder,), limits=_QUICK)) as served:
        session = served.watch(source="big.y4m", end_s=1)
        get = f"GET /v1/videos/{session['video_id']}/media HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with closing(connect(served, get.encode())):
            deadline = time.monotonic() + 15
            while served_connections(served) > 1 and time.monotonic() < deadline:
                time.sleep(0.05)
            assert served_connections(served) == 1  # the polling client's own


def served_connections(served: Served) -> int:
    """Sockets this process holds open on the server's port, from the server's side."""
    import re
    from pathlib import Path

    local = f":{served.port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = [re.split(r"\s+", line.strip()) for line in lines]
    return sum(f[1].endswith(local) and f[3] == "01" for f in fields)
