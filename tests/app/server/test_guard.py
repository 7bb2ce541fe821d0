"""Who is let in: Host, Origin, token, content type; and what every answer carries."""

from __future__ import annotations

import pytest

from tests.app.server.conftest import Serve, Served

TOKEN = "0123456789abcdef-correct"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost:9999", "[::1]:8765", "127.0.0.1:1"])
def test_names_of_this_machine_are_let_in(served: Served, host: str) -> None:
    assert served.http.get("/v1/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example:80", "", "[", "10.0.0.1"]
)
def test_other_names_are_refused(served: Served, host: str) -> None:
    answer = served.http.get("/v1/models", headers={"Host": host})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "wrong_host"


def test_another_name_can_be_allowed(serve: Serve) -> None:
    served = serve(allowed_hosts=("Camera.local",))
    assert served.http.get("/v1/models", headers={"Host": "camera.local:80"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_requests_from_other_sites_are_refused(served: Served, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/v1/models"), ("POST", "/v1/sessions"), ("DELETE", "/v1/sessions/x")):
        answer = served.http.request(method, path, headers=headers)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "cross_site"


def test_the_page_itself_may_ask_and_links_to_it_may_be_followed(served: Served) -> None:
    same = {"Origin": served.url, "Sec-Fetch-Site": "same-origin"}
    assert served.http.get("/v1/models", headers=same).status_code == 200
    assert served.http.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_bodies_that_are_not_json_are_refused(served: Served) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = served.http.post("/v1/sessions", content=b'{"source": "x"}', headers={"Content-Type": kind})
        assert answer.status_code == 415, kind
    for body in (
        b"",
        b"{",
        b"[]",
        b"nul",
        b'{"a": NaN}',
        b'{"source": "\\ud800"}',
        b"[" * 100_000,
        b"\xff\xfe",
    ):
        headers = {"Content-Type": "application/json"}
        assert served.http.post("/v1/sessions", content=body, headers=headers).status_code == 400, body[:20]


def test_every_answer_forbids_foreign_scripts_and_framing(served: Served) -> None:
    for path in ("/", "/page.js", "/v1/models", "/v1/nothing", "/v1/sessions/none"):
        headers = served.http.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
    assert served.http.get("/v1/models").headers["cache-control"] == "no-store"


def test_with_a_token_everything_but_the_empty_page_needs_it(serve: Serve) -> None:
    served = serve(token=TOKEN)
    for path in ("/", "/page.js", "/page.css", "/healthz", "/openapi.json"):
        assert served.http.get(path).status_code == 200, path
    for path in ("/v1/models", "/v1/sessions", "/v1/videos", "/v1/sources", "/metrics", "/v1/videos/1/media"):
        answer = served.http.get(path)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "Bearer"
    for wrong in (
        "",
        "Bearer",
        "Bearer x",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        "Bearer é",
    ):
        headers = {"Authorization": wrong.encode()}
        assert served.http.get("/v1/models", headers=headers).status_code == 401, wrong  # type: ignore[arg-type]
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert served.http.get("/v1/models", headers=right).status_code == 200


def test_login_gives_browsers_a_cookie_that_is_not_the_token(serve: Serve) -> None:
    served = serve(token=TOKEN)
    assert served.http.post("/v1/login", json={"token": "wrong"}).status_code == 401
    answer = served.http.post("/v1/login", json={"token": TOKEN})
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie
    assert served.http.get("/v1/models").status_code == 200  # the client keeps the cookie
    served.http.cookies.set("edgevid", "0" * 64)
    served.http.cookies.clear()
    assert served.http.get("/v1/models", headers={"Cookie": "edgevid=" + "0" * 64}).status_code == 401
