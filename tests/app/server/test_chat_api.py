"""POST /v1/chat/completions, as OpenAI's clients use it."""

from __future__ import annotations

import base64
import json
import socket
import time
from typing import Any

import numpy as np
import pytest

from edgevid.media.png import encode_png
from edgevid.models.store import ModelStore
from tests.app.server.conftest import Json, Serve, Served

HELLO = [{"role": "user", "content": "hello"}]


def chat(served: Served, *, code: int = 200, **body: Any) -> Json:
    answer = served.http.post("/v1/chat/completions", json={"model": "tiny", "messages": HELLO, **body})
    assert answer.status_code == code, answer.text
    found: Json = answer.json()
    return found


def chunks(served: Served, **body: Any) -> list[Json]:
    """The chunks of a streamed reply; checks that they end in ``[DONE]``."""
    body = {"model": "tiny", "messages": HELLO, "stream": True, **body}
    with served.http.stream("POST", "/v1/chat/completions", json=body) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def test_models_are_listed(served: Served) -> None:
    listed = served.http.get("/v1/models").json()
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["edgevid", "tiny"]


def test_a_reply_is_counted_and_ends_at_max_tokens(served: Served) -> None:
    reply = chat(served, max_tokens=5)
    assert reply["object"] == "chat.completion"
    (choice,) = reply["choices"]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["role"] == "assistant"
    usage = reply["usage"]
    assert usage["completion_tokens"] == 5
    assert usage["total_tokens"] == usage["prompt_tokens"] + 5


def test_a_streamed_reply_is_the_whole_one_in_pieces(served: Served) -> None:
    whole = chat(served, max_tokens=12)
    streamed = chunks(served, max_tokens=12, stream_options={"include_usage": True})
    assert streamed[0]["choices"][0]["delta"]["role"] == "assistant"
    texts = [c["choices"][0]["delta"].get("content", "") for c in streamed[:-1]]
    assert "".join(texts) == whole["choices"][0]["message"]["content"]
    assert sum(map(bool, texts)) > 1
    assert streamed[-2]["choices"][0]["finish_reason"] == "length"
    assert streamed[-1]["choices"] == []
    assert streamed[-1]["usage"] == whole["usage"]


def test_a_seed_repeats_a_draw_and_another_changes_it(served: Served) -> None:
    def text(seed: int) -> str:
        return str(
            chat(served, temperature=1.5, seed=seed, max_tokens=16)["choices"][0]["message"]["content"]
        )

    assert text(1) == text(1)
    assert text(1) != text(2)


def test_a_stop_string_ends_the_reply_before_it(served: Served) -> None:
    whole = chat(served, max_tokens=20)["choices"][0]["message"]["content"]
    stop = whole[6:8]
    choice = chat(served, max_tokens=20, stop=stop)["choices"][0]
    assert choice["message"]["content"] == whole[: whole.index(stop)]
    assert choice["finish_reason"] == "stop"


def test_messages_longer_than_the_context_are_refused(served: Served) -> None:
    error = chat(served, messages=[{"role": "user", "content": "x" * 2000}], code=400)["error"]
    assert error["code"] == "context_length_exceeded"
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "judge", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages[0].content[0].type"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"stop": [""]}, "stop"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_wrong_fields_are_named(served: Served, body: Json, param: str) -> None:
    assert chat(served, code=400, **body)["error"]["param"] == param


@pytest.mark.parametrize("said", [b'"\xed\xa0\x80"', b'"\\ud800"', b'"\xff"'])
def test_bytes_that_are_no_text_are_no_json(served: Served, said: bytes) -> None:
    body = b'{"model": "tiny", "messages": [{"role": "user", "content": ' + said + b"}]}"
    answer = served.http.post(
        "/v1/chat/completions", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "the body is no JSON"


def test_an_unknown_model_is_404_and_names_the_known(served: Served) -> None:
    error = chat(served, model="gpt-4o", code=404)["error"]
    assert error["code"] == "model_not_found"
    assert "tiny" in error["fix"]


def test_edgevid_answers_about_a_watched_video_with_evidence(served: Served, watched: Json) -> None:
    for video in (watched["id"], watched["video_id"], str(watched["video_id"])):
        content = [{"type": "text", "text": "How many scenes?"}, {"type": "video", "video": {"id": video}}]
        reply = chat(served, model="edgevid", messages=[{"role": "user", "content": content}])
        assert reply["choices"][0]["message"]["content"].startswith("2 scenes")
        assert reply["edgevid"]["video_id"] == watched["video_id"]
        assert reply["edgevid"]["evidence"][0]["rows"]
    question = [{"role": "user", "content": "How many scenes?"}]
    streamed = chunks(
        served, model="edgevid", messages=question, metadata={"video_id": str(watched["video_id"])}
    )
    assert streamed[-1]["edgevid"]["text"] == streamed[1]["choices"][0]["delta"]["content"]


def test_without_a_video_the_newest_is_meant(serve: Serve) -> None:
    served = serve()
    ask = {"model": "edgevid", "messages": [{"role": "user", "content": "How many scenes?"}]}
    assert chat(served, code=404, **ask)["error"]["code"] == "no_video"
    session = served.watch(source="two scenes.mp4")
    assert chat(served, **ask)["edgevid"]["video_id"] == session["video_id"]


def picture(data: bytes, kind: str = "png") -> list[Json]:
    url = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    parts = [{"type": "text", "text": "What is there?"}, {"type": "image_url", "image_url": {"url": url}}]
    return [{"role": "user", "content": parts}]


def test_pictures_that_cannot_be_used_are_refused_at_once(served: Served) -> None:
    bomb = bytearray(encode_png(np.zeros((8, 8, 3), np.uint8)))
    bomb[16:24] = (16000).to_bytes(4, "big") * 2
    for data in (b"", b"no picture", bytes(bomb)):
        times = []
        for _ in range(3):
            began = time.monotonic()
            answer = served.http.post(
                "/v1/chat/completions", json={"model": "edgevid", "messages": picture(data)}
            )
            times.append(time.monotonic() - began)
            assert answer.status_code in (413, 422), answer.text
            assert "/tmp" not in answer.text
        assert min(times) < 0.1
    for url in (
        "http://example.org/cat.png",
        "file:///etc/passwd",
        "data:text/html;base64,AAAA",
        "data:image/png;base64,?",
    ):
        parts = [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": url}}]
        error = chat(served, model="edgevid", messages=[{"role": "user", "content": parts}], code=400)[
            "error"
        ]
        assert error["param"] == "messages[0].content[1].image_url.url"


def test_a_text_model_refuses_pictures(served: Served) -> None:
    error = chat(served, messages=picture(encode_png(np.zeros((8, 8, 3), np.uint8))), code=400)["error"]
    assert "text only" in error["message"]


def test_a_client_that_leaves_stops_the_writing(serve: Serve, tmp_path) -> None:  # type: ignore[no-untyped-def]
    from tests.models.tiny_gguf import TinyModel, write_tiny

    slow = write_tiny(tmp_path / "slow.gguf", TinyModel(layers=8, hidden=512, ff=2048, context=4096))
    served = serve(llm=str(slow))
    body = json.dumps({"model": "slow", "messages": HELLO, "stream": True, "max_tokens": 2048}).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", served.port)) as client:
        client.sendall(head.encode() + body)
        assert b"200 OK" in client.recv(4096)
        lane = served.service.lanes["chat"]
        assert lane.running == 1
    began = time.monotonic()
    while lane.running and time.monotonic() - began < 10:
        time.sleep(0.01)
    assert lane.running == 0
    assert served.service.streams == 0


@pytest.mark.packs
def test_a_picture_is_looked_at(serve: Serve, store: ModelStore, test_data) -> None:  # type: ignore[no-untyped-def]
    from edgevid.media.source import open_source

    store.where("centernet-coco")
    with open_source(test_data / "video" / "bikes.mp4") as source:
        frame = next(source.frames(fps=1, start_s=6.0))
    reply = chat(serve(), model="edgevid", messages=picture(encode_png(frame.image)))
    seen = {(o["kind"], o["label"]) for o in reply["edgevid"]["seen"]}
    assert ("object", "car") in seen or ("object", "person") in seen
    assert reply["edgevid"]["video_id"] is None
