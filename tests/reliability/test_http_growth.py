"""A server that is used for long holds no more than one that has just begun."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from edgevid.app.server.settings import Settings
from edgevid.stream.stats import rss_mb
from tests.app.server.conftest import Served, serving, write_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    write_clip(folder / "clip.mp4", seconds=4)
    return folder


def use(served: Served, rounds: int) -> None:
    """Watch, follow, look, ask, play and drop, over and over."""
    for _ in range(rounds):
        session = served.watch(source="clip.mp4", channels=["cut", "class"])
        assert session["state"] == "done", session
        video = f"/v1/videos/{session['video_id']}"
        assert "event: end" in served.http.get(f"/v1/sessions/{session['id']}/events").text
        served.http.get(f"/v1/sessions/{session['id']}/frame.jpg", params={"overlay": "1"})
        served.http.post(f"{video}/ask", json={"question": "How many scenes are there?"})
        served.http.get(f"{video}/media", headers={"Range": "bytes=0-999"})
        served.http.delete(f"/v1/sessions/{session['id']}")


def held() -> tuple[int, int]:
    """Open files and threads of this process, once those that are ending have ended."""
    time.sleep(0.3)
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


def test_files_and_threads_do_not_grow(folder: Path) -> None:
    with serving(Settings(roots=(folder,))) as served:
        use(served, 4)  # threads of the lanes start when they are first needed
        before = held()
        use(served, 4)
        after = held()
    assert after[0] <= before[0] + 1  # the client's connection may be a new one
    assert after[1] <= before[1] + 1  # a lane's second thread may start late


@pytest.mark.soak
def test_memory_does_not_grow_over_100_sessions(folder: Path) -> None:
    with serving(Settings(roots=(folder,))) as served:
        use(served, 30)
        files, threads = held()
        before_mb = rss_mb()
        use(served, 100)
        assert rss_mb() - before_mb < 20
        assert held()[0] <= files + 1
        assert held()[1] <= threads + 1
