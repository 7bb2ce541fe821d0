"""A real server on a real socket, a clip made here, and a tiny model: what the HTTP tests share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from edgevid.app.server.listen import Listener
from edgevid.app.server.service import Service
from edgevid.app.server.settings import Settings
from edgevid.media.encode import VideoWriter
from tests.models.tiny_gguf import TinyModel, write_tiny

Json = dict[str, Any]


class Served:
    """A running server and a client of it."""

    def __init__(self, service: Service, port: int) -> None:
        self.service = service
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=self.url, timeout=30, trust_env=False)

    def watch(self, **options: Any) -> Json:
        """Start a session and wait for its end."""
        started = self.http.post("/v1/sessions", json={"channels": ["cut"], **options})
        assert started.status_code == 201, started.text
        return self.ended(started.json()["id"])

    def ended(self, session_id: str) -> Json:
        """The session once it no longer runs."""
        return self.until(session_id, lambda s: s["state"] not in ("loading", "watching"))

    def until(self, session_id: str, holds: Callable[[Json], bool]) -> Json:
        """The session as soon as ``holds`` is true of it."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            session: Json = self.http.get(f"/v1/sessions/{session_id}").json()
            if holds(session):
                return session
            time.sleep(0.02)
        raise AssertionError(f"still {session}")


@contextmanager
def serving(settings: Settings) -> Iterator[Served]:
    """Run a server in a thread, on a free port."""
    service = Service(replace(settings, port=0))
    bound: list[int] = []
    listener = Listener(service, on_ready=bound.append)
    thread = threading.Thread(target=listener.run)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not bound and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.005)
        assert bound, "the server did not start"
        served = Served(service, bound[0])
        with served.http:
            yield served
    finally:
        service.stop()
        listener.should_exit = True
        thread.join(10)
        assert service.close(5)
        assert not thread.is_alive()


Serve = Callable[..., Served]


@pytest.fixture
def serve(roots: Path) -> Iterator[Serve]:
    """Start servers that differ from the default by the given settings."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(serving(Settings(**{"roots": (roots,), **options})))


@pytest.fixture(scope="session")
def served(roots: Path, tiny_model: Path) -> Iterator[Served]:
    """One server for all tests that leave nothing behind that others see."""
    with serving(Settings(roots=(roots,), llm=str(tiny_model))) as server:
        yield server


@pytest.fixture(scope="session")
def watched(served: Served) -> Json:
    """A session that has watched the clip to its end."""
    return served.watch(source="two scenes.mp4")


@pytest.fixture(scope="session")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip (4 s, another scene from 2 s on) and a long one; and next to it a secret one."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "videos"
    (folder / "more").mkdir(parents=True)
    write_clip(folder / "two scenes.mp4", seconds=4)
    write_clip(folder / "more" / "long.mp4", seconds=120)
    write_clip(home / "secret.mp4", seconds=1)
    (folder / "notes.txt").write_text("not media")
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A llama of random weights; it talks nonsense, the same every time."""
    return write_tiny(tmp_path_factory.mktemp("model") / "tiny.gguf", TinyModel())


def write_clip(path: Path, *, seconds: int) -> None:
    """320x240 at 8 frames/s; the picture changes altogether at the middle."""
    y, x = np.mgrid[0:240, 0:320]
    scenes = [
        np.stack([x % 256, y, 255 - y], axis=2).astype(np.uint8),
        np.stack([255 - (x // 40 % 2) * 255, (y // 30 % 2) * 255, x % 128], axis=2).astype(np.uint8),
    ]
    frames = seconds * 8
    with VideoWriter(path, width=320, height=240, fps=8) as writer:
        for i in range(frames):
            writer.write(np.roll(scenes[2 * i // frames], i % 24, axis=1))
