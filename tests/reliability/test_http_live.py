"""A live source through the server: watched, shown, asked about while it runs; its password is never told."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from edgevid.app.server.settings import Settings
from tests.app.server.conftest import serving
from tests.reliability.conftest import RtspServer


def test_an_rtsp_camera_is_watched_until_it_is_stopped(make_rtsp_server: Callable[..., RtspServer]) -> None:
    camera = make_rtsp_server(user="me:hush4711")
    address = f"rtsp://me:hush4711@127.0.0.1:{camera.port}/mute"
    with serving(Settings(allow_live=True)) as served:
        body = {"source": address, "channels": ["cut"], "fps": 5, "label": "ball"}
        started = served.http.post("/v1/sessions", json=body)
        assert started.status_code == 201, started.text
        session = started.json()
        assert session["live"]
        running = served.until(session["id"], lambda s: s["frames"] >= 10)
        frame = served.http.get(f"/v1/sessions/{session['id']}/frame.jpg")
        assert frame.content.startswith(b"\xff\xd8\xff")
        question = {"question": "How long is it?"}
        assert served.http.post(f"/v1/sessions/{session['id']}/ask", json=question).json()["text"]
        stats = served.http.get(f"/v1/sessions/{session['id']}/stats")
        assert stats.json()["stats"]["live"]["connected"]
        videos = served.http.get("/v1/videos")
        assert videos.json()["videos"][0]["media"] is None
        for answer in (started, stats, videos, served.http.get("/v1/sessions"), served.http.get("/metrics")):
            assert "hush4711" not in answer.text
        served.http.delete(f"/v1/sessions/{session['id']}")
        assert running["video_id"] == videos.json()["videos"][0]["id"]


def test_a_camera_that_is_away_at_the_start_is_watched_when_it_comes(
    make_rtsp_server: Callable[..., RtspServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgevid.app.server.service._RETRY_S", 0.2)
    camera = make_rtsp_server()
    camera.kill()
    with serving(Settings(sources=(f"{camera.url}/mute",))) as served:
        assert served.http.get("/v1/sessions").json()["sessions"] == []
        assert served.http.get("/readyz").status_code == 200
        camera.start()
        deadline = time.monotonic() + 30
        while not (sessions := served.http.get("/v1/sessions").json()["sessions"]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        served.until(sessions[0]["id"], lambda s: s["frames"] > 0)
