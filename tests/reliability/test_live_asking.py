"""The newest frame stays young while questions are asked without a pause: ``watch --live``, and ``serve``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgevid.app.asking import Answered, Asker
from edgevid.app.server.settings import Settings
from edgevid.core.errors import EdgevidError
from edgevid.core.nouns import Kind, Observation, TimeSpan
from edgevid.memory.memory import Memory
from edgevid.models.store import ModelStore
from edgevid.stream.session import StreamSession
from tests.app.server.conftest import serving
from tests.reliability.conftest import RtspServer
from tests.reliability.test_soak_watch import LoopSource

_FPS = 2.0
_QUIET_S, _SHORT_S, _SOAK_S = 4, 12, 600
_QUESTIONS = (
    "How many cuts are there?",
    "What is on the road?",
    "When does the person appear?",
    "How long is it?",
)
_ROWS, _STEP = 4_000, 500  # about an hour of a lively street


def age_ms(stats: dict[str, Any]) -> float:
    """How old 95 of 100 of the newest frames at most were when they were written down."""
    return float(stats["stages"]["age"]["p95_ms"])


def bound_ms(stats: dict[str, Any]) -> float:
    """Two periods and what the stages take, of ``stats`` from before the first question."""
    stages = stats["stages"].items()
    return 2e3 / _FPS + sum(s["p95_ms"] for name, s in stages if name not in ("age", "ask", "decode"))


def fill(memory: Memory, video_id: int) -> None:
    """Give the video a past that questions have to read."""
    for first in range(0, _ROWS, _STEP):
        with memory.transaction():
            for i in range(first, first + _STEP):
                span = TimeSpan(i * 1_000_000, (i + 1) * 1_000_000)
                memory.add(
                    video_id, Observation("object", ("person", "car", "dog")[i % 3], span, 0.9, model_id="t")
                )
        time.sleep(0.01)  # the watcher writes between


@contextmanager
def watching(session: StreamSession) -> Iterator[None]:
    source = LoopSource()
    thread = threading.Thread(target=lambda: list(session.watch(source, live=True)))  # type: ignore[arg-type]
    thread.start()
    try:
        while "age" not in session.stats()["stages"]:
            assert thread.is_alive()
            time.sleep(0.05)
        yield
    finally:
        session.stop()
        thread.join(timeout=20)
        assert not thread.is_alive()


def ask_for(
    saved: Path, seconds: float, *, channels: tuple[Kind, ...] | None, store: ModelStore | None
) -> tuple[int, float, list[float]]:
    """Keep the queue of ``watch --interactive`` full; answers given, the bound, and once a second the age."""
    told: list[Answered | EdgevidError] = []
    measured = []
    with (
        Memory(saved) as memory,
        StreamSession(memory=memory, channels=channels, store=store, fps=_FPS) as session,
        watching(session),
    ):
        time.sleep(_QUIET_S)
        bound = bound_ms(session.stats())
        fill(memory, session.video_id)
        asker = Asker([session], told.append)
        began_s = checked_s = time.monotonic()
        asked = 0
        while (now_s := time.monotonic()) - began_s < seconds:
            asked += asker.ask(_QUESTIONS[asked % len(_QUESTIONS)])
            time.sleep(0.005)
            if now_s - checked_s >= 1:
                checked_s = now_s
                measured.append(age_ms(session.stats()))
        until_s = time.monotonic() + 60
        while len(told) < asked and time.monotonic() < until_s:
            time.sleep(0.05)
        assert len(told) == asked
    assert all(isinstance(one, Answered) for one in told)
    return asked, bound, measured


def check(what: str, asked: int, bound: float, ages: list[float]) -> None:
    print(f"{what}: {asked} questions, age p95 at most {max(ages):.0f} ms of {bound:.0f} ms")
    assert asked > 20
    assert max(ages) <= bound, ages


def test_frames_stay_young_while_questions_are_asked(tmp_path: Path) -> None:
    check("watch", *ask_for(tmp_path / "s.edgevid", _SHORT_S, channels=("cut",), store=None))


@pytest.mark.soak
@pytest.mark.packs
def test_frames_stay_young_in_ten_minutes_of_questions(tmp_path: Path, store: ModelStore) -> None:
    check("watch", *ask_for(tmp_path / "s.edgevid", _SOAK_S, channels=None, store=store))


def serve_for(camera: RtspServer, seconds: float) -> tuple[int, float, list[float]]:
    """Two clients ask at once; answers given, the bound, and once a second the age, all from ``/stats``."""
    answered: list[int] = []
    measured = []
    ended = threading.Event()
    with serving(Settings(allow_live=True)) as served:
        body = {"source": f"{camera.url}/mute", "channels": ["cut"], "fps": _FPS}
        session_id = served.http.post("/v1/sessions", json=body).json()["id"]
        path = f"/v1/sessions/{session_id}"
        served.until(session_id, lambda s: s["frames"] >= _FPS * _QUIET_S)

        def stats() -> dict[str, Any]:
            told: dict[str, Any] = served.http.get(f"{path}/stats").json()["stats"]
            return told

        bound = bound_ms(stats())
        fill(served.service.memory, served.http.get(path).json()["video_id"])

        def client() -> None:
            while not ended.is_set():
                question = {"question": _QUESTIONS[len(answered) % len(_QUESTIONS)]}
                answered.append(served.http.post(f"{path}/ask", json=question).status_code)

        clients = [threading.Thread(target=client) for _ in range(2)]
        for one in clients:
            one.start()
        try:
            until_s = time.monotonic() + seconds
            while time.monotonic() < until_s:
                time.sleep(1)
                measured.append(age_ms(stats()))
        finally:
            ended.set()
            for one in clients:
                one.join()
        served.http.delete(path)
    assert set(answered) == {200}
    return len(answered), bound, measured


def test_frames_stay_young_while_clients_ask(make_rtsp_server: Callable[..., RtspServer]) -> None:
    check("serve", *serve_for(make_rtsp_server(), _SHORT_S))


@pytest.mark.soak
def test_frames_stay_young_in_ten_minutes_of_clients(make_rtsp_server: Callable[..., RtspServer]) -> None:
    check("serve", *serve_for(make_rtsp_server(), _SOAK_S))
