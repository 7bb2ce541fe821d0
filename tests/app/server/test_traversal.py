"""Nothing outside the roots is read: 200 ways to ask for it, each refused.

The file they aim at is a real clip, so that one which got through would be watched and show up in memory.
"""

from __future__ import annotations

import os
import urllib.parse
from pathlib import Path

import pytest

from tests.app.server.conftest import Json, Served, Settings, serving

_UP = (
    "../",
    "..//",
    "./../",
    "more/../../",
    "more//..//../",
    ".././",
    "%2e%2e/",
    "..%2f",
    "..%252f",
    "%2e%2e%2f",
    "..\\",
    "..\\/",
    "....//",
    "..;/",
    "..%00/",
    "%c0%ae%c0%ae/",
    "‥/",
    "．．/",
    "..%5c",
    "..%u2215",
    "\t../",
    " ../",
)
_MANY = (1, 2, 3, 5, 8)


def payloads(secret: Path, roots: Path) -> list[str]:
    """At least 200 names that might lead to ``secret``, the neighbour of ``roots``."""
    name = secret.name
    found = [up * count + name for up in _UP for count in _MANY]
    found += [up + f"home/{name}" for up in _UP]
    found += [f"{roots}/{up}{name}" for up in _UP]
    whole = str(secret)
    found += [
        whole,
        f"file://{whole}",
        f"file://localhost{whole}",
        f"file:{whole}",
        f"FILE://{whole}",
        urllib.parse.quote(f"file://{whole}", safe=""),
        f"concat:{whole}|{whole}",
        f"subfile,,start,0,end,99999,,:{whole}",
        f"pipe:0{whole}",
        f"crypto:{whole}",
        f"cache:{whole}",
        f"async:{whole}",
        f"data:video/mp4;base64,{whole}",
        f"http://127.0.0.1:1{whole}",
        f"https://127.0.0.1:1{whole}",
        f"rtsp://127.0.0.1:1{whole}",
        f"RTSP://127.0.0.1:1{whole}",
        f"tcp://127.0.0.1:1{whole}",
        f"gopher://127.0.0.1:1{whole}",
        f"ftp://127.0.0.1{whole}",
        "/dev/video0",
        "/dev/zero",
        "/dev/stdin",
        "/dev/fd/0",
        "/proc/self/environ",
        "/proc/self/fd/0",
        "/proc/self/root" + whole,
        "/proc/self/cwd/../.." + whole,
        "/etc/passwd",
        "/etc/shadow",
        "~/secret.mp4",
        "$HOME/secret.mp4",
        "${PWD}/secret.mp4",
        f"two scenes.mp4\0{whole}",
        f"{whole}\0.mp4",
        f"two scenes.mp4/../../{name}",
        f"two scenes.mp4/{whole}",
        "more",
        ".",
        "",
        "..",
        "/",
        "//" + whole.lstrip("/") + "/",
        f"//localhost{whole}",
        f"\\\\localhost{whole}",
        "link to secret.mp4",
        "link to folder/secret.mp4",
        "more/../link to secret.mp4",
        "notes.txt",
        "*.mp4",
        "../*.mp4",
        "../secret.%03d.mp4",
        "../secret%d.mp4",
        "../?ecret.mp4",
        "../{secret}.mp4",
        "x" * 5000,
        "/" * 4096,
        "../" * 1300 + name,
    ]
    return list(dict.fromkeys(found))


def test_no_payload_reads_outside_the_roots(roots: Path, tmp_path: Path) -> None:
    inside = tmp_path / "home" / "videos"
    (inside / "more").mkdir(parents=True)
    secret = tmp_path / "home" / "secret.mp4"
    secret.write_bytes((roots / "two scenes.mp4").read_bytes())
    (inside / "two scenes.mp4").write_bytes(secret.read_bytes())
    (inside / "notes.txt").write_text("not media")
    (inside / "link to secret.mp4").symlink_to(secret)
    (inside / "link to folder").symlink_to(secret.parent)
    names = payloads(secret, inside)
    assert len(names) >= 200
    with serving(Settings(roots=(inside,))) as served:
        for name in names:
            answer = served.http.post("/v1/sessions", json={"source": name, "channels": ["cut"]})
            assert answer.status_code in (400, 403), name
            assert str(tmp_path) not in answer.text
            assert_hidden(served, name)
        assert served.http.get("/v1/sessions").json()["sessions"] == []
        assert served.http.get("/v1/videos").json()["videos"] == []
        listed = [s["source"] for s in served.http.get("/v1/sources").json()["sources"]]
        assert listed == ["two scenes.mp4"]
        assert served.watch(source="two scenes.mp4")["state"] == "done"  # the server works
        assert served.watch(source=str(inside / "more" / ".." / "two scenes.mp4"))["state"] == "done"


def assert_hidden(served: Served, name: str) -> None:
    """The name as a part of paths gets no file either."""
    quoted = urllib.parse.quote(name, safe="")[:6000]
    for path in (f"/{quoted}", f"/v1/videos/{quoted}/media", f"/v1/sessions/{quoted}/frame.jpg"):
        answer = served.http.get(path)
        assert answer.status_code in (200, 307, 400, 404, 405), path
        assert b"ftyp" not in answer.content[:64]
        assert b"root:" not in answer.content
        if answer.status_code == 200:
            assert answer.text.startswith("<!doctype html>"), path


def test_a_video_of_a_memory_file_is_played_only_from_the_roots(roots: Path, tmp_path: Path) -> None:
    from edgevid.memory.memory import Memory

    saved = tmp_path / "m.edgevid"
    with Memory(saved) as memory:
        for uri in (
            roots / "two scenes.mp4",
            roots.parent / "secret.mp4",
            "/etc/passwd",
            "rtsp://u:pw@host/x",
        ):
            memory.add_video(str(uri), width=320, height=240, has_audio=False, channels=("cut",))
    with serving(Settings(roots=(roots,), memory=saved)) as served:
        videos = {v["id"]: v for v in served.http.get("/v1/videos").json()["videos"]}
        assert [videos[i]["media"] for i in (1, 2, 3, 4)] == ["/v1/videos/1/media", None, None, None]
        assert videos[4]["name"] == "rtsp://host/x"
        assert served.http.get("/v1/videos/1/media").status_code == 200
        for video_id in (2, 3, 4):
            assert served.http.get(f"/v1/videos/{video_id}/media").status_code == 404
            assert served.http.get(f"/v1/videos/{video_id}/frame.jpg").status_code == 404


def test_files_named_by_other_bytes_than_text_harm_no_list(roots: Path, tmp_path: Path) -> None:
    clip = (roots / "two scenes.mp4").read_bytes()
    odd = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    try:
        odd.write_bytes(clip)
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    (tmp_path / "plain.mp4").write_bytes(clip)
    with serving(Settings(roots=(tmp_path,), sources=(str(odd),))) as served:
        sources = served.http.get("/v1/sources").json()["sources"]
        assert [source["source"] for source in sources] == ["plain.mp4"]
        (session,) = served.http.get("/v1/sessions").json()["sessions"]
        assert session["source"].endswith("caf\\udce9.mp4")
        assert served.ended(session["id"])["state"] == "done"
        (video,) = served.http.get("/v1/videos").json()["videos"]
        assert video["name"] == "caf\\udce9.mp4"


@pytest.mark.parametrize(
    ("wanted", "status", "length"),
    [
        ("bytes=0-99", 206, 100),
        ("bytes=-100", 206, 100),
        ("bytes=99999999-", 416, None),
        ("bytes=5-1", 400, None),
        ("lines=1-2", 400, None),
        ("bytes=" + ",".join(["0-"] * 5000), 200, None),
    ],
    ids=lambda value: str(value)[:20],
)
def test_media_is_served_in_ranges(
    served: Served, watched: Json, wanted: str, status: int, length: int | None
) -> None:
    path = f"/v1/videos/{watched['video_id']}/media"
    answer = served.http.get(path, headers={"Range": wanted})
    assert answer.status_code == status
    if length is not None:
        assert len(answer.content) == length


def test_a_frame_of_a_file_is_a_jpeg(served: Served, watched: Json) -> None:
    path = f"/v1/videos/{watched['video_id']}/frame.jpg"
    answer = served.http.get(path, params={"t_s": 2.5})
    assert answer.content.startswith(b"\xff\xd8\xff")
    assert served.http.get(path, params={"t_s": 1000}).status_code == 404
    assert served.http.get(path, params={"t_s": "nan"}).status_code == 400
