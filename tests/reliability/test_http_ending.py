"""SIGTERM and Ctrl-C: the server is gone within 3 s, whatever is open, and what was seen is kept."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from edgevid.memory.memory import Memory
from tests.app.server.conftest import write_clip

_LONGEST_S = 3.0


@contextmanager
def running(*args: str | Path) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """``edgevid serve`` in a process of its own, and a client of it."""
    command = [sys.executable, "-m", "edgevid", "serve", "--port", "0", "--json", *map(str, args)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        with httpx.Client(base_url=json.loads(line)["url"], timeout=30, trust_env=False) as client:
            yield process, client
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def end(process: subprocess.Popen[str], sig: int) -> float:
    """Send the signal; seconds until the process is gone."""
    began = time.monotonic()
    os.kill(process.pid, sig)
    process.wait(timeout=30)
    return time.monotonic() - began


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    write_clip(folder / "long.mp4", seconds=200)
    return folder


def busy(client: httpx.Client) -> list[socket.socket]:
    """Start watching and leave streams, half requests and silent connections open."""
    body = {"source": "long.mp4", "channels": ["cut"], "fps": 60}
    session = client.post("/v1/sessions", json=body).json()["id"]
    while client.get(f"/v1/sessions/{session}").json()["frames"] == 0:
        time.sleep(0.02)
    address = (client.base_url.host, client.base_url.port)
    head = "HTTP/1.1\r\nHost: localhost\r\n"
    opened = []
    for request in (f"GET /v1/sessions/{session}/events {head}\r\n", "POST /v1/sessions " + head, ""):
        opened.append(socket.create_connection(address))
        opened[-1].sendall(request.encode())
    assert b"200 OK" in opened[0].recv(4096)
    return opened


@pytest.mark.parametrize(("sig", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_ends_in_time_with_streams_open_and_keeps_what_it_saw(
    folder: Path, tmp_path: Path, sig: int, code: int
) -> None:
    saved = tmp_path / "m.edgevid"
    with running("--root", folder, "--memory", saved) as (process, client):
        opened = busy(client)
        assert end(process, sig) <= _LONGEST_S
        assert process.returncode == code
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
        stream = b""
        while chunk := opened[0].recv(65536):
            stream += chunk
        assert b"event: end" in stream
        for client_socket in opened:
            client_socket.close()
    with Memory(saved) as memory:
        (video,) = memory.videos()
        assert video.duration_ns is not None


@pytest.mark.soak
def test_it_ends_in_time_100_of_100_times(folder: Path) -> None:
    slowest = 0.0
    for _ in range(100):
        with running("--root", folder) as (process, client):
            opened = busy(client)
            slowest = max(slowest, end(process, signal.SIGTERM))
            for client_socket in opened:
                client_socket.close()
            assert process.returncode == 0
    assert slowest <= _LONGEST_S
