"""Sessions from the outside: started, followed, asked, stopped; bounded in number."""

from __future__ import annotations

import json
import time

import httpx
import pytest

from tests.app.server.conftest import Json, Serve, Served


def stream(response: httpx.Response) -> list[Json]:
    """Messages of an event stream up to its end: ``{"event", "id", "data"}``."""
    found, message = [], {}
    for line in response.iter_lines():
        if not line and "data" in message:
            found.append({**message, "data": json.loads(message["data"])})
            message = {}
        elif line and not line.startswith((":", "retry")):
            name, _, value = line.partition(": ")
            message[name] = value
    return found


def test_a_session_watches_a_file_to_its_end(served: Served, watched: Json) -> None:
    assert watched["state"] == "done"
    assert watched["error"] is None
    assert watched["frames"] >= 8
    stats = served.http.get(f"/v1/sessions/{watched['id']}/stats").json()["stats"]
    assert stats["frames"] == watched["frames"]
    assert stats["stages"]["cut"]["runs"] > 0
    listed = served.http.get("/v1/sessions").json()["sessions"]
    assert watched["id"] in [session["id"] for session in listed]


def test_the_event_stream_tells_all_and_resumes_after_any_id(served: Served, watched: Json) -> None:
    path = f"/v1/sessions/{watched['id']}/events"
    with served.http.stream("GET", path) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        whole = stream(response)
    assert [m["event"] for m in whole] == ["state", "event", "state", "end"]
    cut = whole[1]["data"]
    assert cut["kind"] == "cut"
    assert cut["t_s"] == pytest.approx(2.0, abs=0.3)
    with served.http.stream("GET", path, headers={"Last-Event-ID": whole[1]["id"]}) as response:
        assert stream(response) == whole[2:]
    with served.http.stream("GET", path, params={"after": 10**9}) as response:
        assert [m["event"] for m in stream(response)] == ["end"]


def test_a_question_is_answered_with_evidence(served: Served, watched: Json) -> None:
    question = {"question": "How many scenes are there?"}
    answer = served.http.post(f"/v1/sessions/{watched['id']}/ask", json=question).json()
    assert answer["text"].startswith("2 scenes")
    (evidence,) = answer["evidence"]
    rows = served.http.get(f"/v1/videos/{watched['video_id']}/rows").json()["rows"]
    assert evidence["rows"] == [row["row"] for row in rows]
    again = served.http.post(f"/v1/videos/{watched['video_id']}/ask", json=question).json()
    assert again["text"] == answer["text"]


def test_the_newest_frame_is_a_jpeg_with_its_time(served: Served, watched: Json) -> None:
    path = f"/v1/sessions/{watched['id']}/frame.jpg"
    shown = served.http.get(path, params={"overlay": "1"})
    assert shown.headers["content-type"] == "image/jpeg"
    assert shown.content.startswith(b"\xff\xd8\xff")
    assert float(shown.headers["x-edgevid-time"]) == pytest.approx(3.5, abs=0.5)
    unchanged = served.http.get(
        path, params={"overlay": "1"}, headers={"If-None-Match": shown.headers["etag"]}
    )
    assert unchanged.status_code == 304


def test_a_running_session_is_stopped_and_its_rows_stay(served: Served) -> None:
    started = served.http.post(
        "/v1/sessions", json={"source": "more/long.mp4", "channels": ["cut"], "fps": 8, "label": "long one"}
    ).json()
    running = served.until(started["id"], lambda s: s["frames"] > 0)
    assert served.http.delete(f"/v1/sessions/{started['id']}").status_code == 204
    assert served.http.get(f"/v1/sessions/{started['id']}").status_code == 404
    video = served.http.get(f"/v1/videos/{running['video_id']}").json()
    assert video["session"] is None


def test_sessions_are_bounded(serve: Serve) -> None:
    served = serve()
    body = {"source": "more/long.mp4", "channels": ["cut"], "fps": 60}
    started = [served.http.post("/v1/sessions", json=body) for _ in range(served.service.limits.sessions)]
    assert {answer.status_code for answer in started} == {201}
    refused = served.http.post("/v1/sessions", json=body)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "too_many_sessions"
    assert "retry-after" in refused.headers
    for answer in started:
        served.http.delete(f"/v1/sessions/{answer.json()['id']}")


def test_a_file_that_does_not_decode_is_refused_without_telling_its_path(serve: Serve, roots) -> None:  # type: ignore[no-untyped-def]
    served = serve()
    (roots / "broken.mp4").write_bytes(b"no video at all" * 100)
    answer = served.http.post("/v1/sessions", json={"source": "broken.mp4"})
    assert answer.status_code == 422
    assert "broken.mp4" in answer.json()["error"]["message"]
    assert str(roots) not in answer.text
    assert served.http.get("/v1/sessions").json()["sessions"] == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "source"),
        ({"source": ""}, "source"),
        ({"source": 5}, "source"),
        ({"source": "two scenes.mp4", "fps": 0}, "fps"),
        ({"source": "two scenes.mp4", "fps": True}, "fps"),
        ({"source": "two scenes.mp4", "channels": ["smell"]}, "channels"),
        ({"source": "two scenes.mp4", "start_s": 3, "end_s": 2}, "end_s"),
        ({"source": "two scenes.mp4", "colour": "red"}, "colour"),
    ],
)
def test_wrong_fields_are_named(served: Served, body: Json, param: str) -> None:
    answer = served.http.post("/v1/sessions", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_unknown_sessions_and_videos_are_404(served: Served) -> None:
    for path in (
        "/v1/sessions/s1",
        "/v1/sessions/s1/events",
        "/v1/videos/999",
        "/v1/videos/x",
        "/v1/videos/-1",
    ):
        answer = served.http.get(path)
        assert answer.status_code == 404, path
        assert answer.json()["error"]["code"] == "not_found"
    assert served.http.get(f"/v1/videos/{2**63}").status_code == 404


def test_a_file_can_be_watched_as_if_it_were_live(served: Served) -> None:
    began = time.monotonic()
    session = served.watch(source="two scenes.mp4", live=True)
    assert session["live"]
    assert session["state"] == "done", session
    assert time.monotonic() - began > 3  # it lasts 4 s
    stats = served.http.get(f"/v1/sessions/{session['id']}/stats").json()["stats"]
    assert stats["live"]["received"] > 0
    metrics = served.http.get("/metrics").text
    assert f'edgevid_live_dropped_total{{session="{session["id"]}"}}' in metrics


def test_metrics_tell_of_sessions_stages_questions_and_answers(served: Served, watched: Json) -> None:
    served.http.post(f"/v1/videos/{watched['video_id']}/ask", json={"question": "How many scenes?"})
    answer = served.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    session = f'session="{watched["id"]}"'
    assert float(lines[f"edgevid_frames_total{{{session}}}"]) == watched["frames"]
    runs = float(lines[f'edgevid_stage_seconds_count{{{session},stage="cut"}}'])
    assert runs >= watched["frames"]
    assert float(lines[f'edgevid_stage_seconds_bucket{{le="+Inf",{session},stage="cut"}}']) == runs
    assert float(lines[f'edgevid_stage_seconds_sum{{{session},stage="cut"}}']) > 0
    assert float(lines['edgevid_ask_seconds_count{by="timeline"}']) >= 1
    assert float(lines['edgevid_http_requests_total{route="ask",status="200"}']) >= 1
    assert float(lines["edgevid_rss_bytes"]) > 1e7
    entered, dropped = (
        sum(
            float(v)
            for k, v in lines.items()
            if k.startswith(f"edgevid_channel_{name}_total{{") and session in k
        )
        for name in ("entered", "dropped")
    )
    assert entered > 0
    assert dropped == 0  # a file waits for its reader


def test_live_addresses_are_off_unless_allowed(served: Served) -> None:
    for address in ("rtsp://127.0.0.1:9/x", "RTSPS://127.0.0.1:9/x", "/dev/video0"):
        answer = served.http.post("/v1/sessions", json={"source": address})
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "live_off"
