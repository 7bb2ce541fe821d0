from __future__ import annotations

from pathlib import Path

import pytest

from edgevid.app.cameras import Camera, named, read_plan
from edgevid.core.errors import BadInputError

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "cameras.toml"


def test_the_example_is_read_as_it_says() -> None:
    plan = read_plan(EXAMPLE)
    door, yard = plan.cameras
    assert (door.name, door.fps, door.live) == ("door", 2.0, True)
    assert door.channels == ("object", "speech", "cut")
    assert door.notify == ("a person at the door", 'someone says "help"')
    assert (yard.fps, yard.channels) == (1.0, ("object", "text", "cut"))
    assert plan.save == Path("cameras.edgevid")
    assert plan.keep is not None
    assert (plan.keep.max_age_s, plan.keep.max_bytes) == (14 * 86_400, 2_000_000_000)
    assert plan.notify_command == "logger -t edgevid"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("fsp = 2\n[[camera]]\nsource='a'", ":1: fsp: is not a key; did you mean 'fps'?"),
        ("[[camera]]\nsource='a'\n[[camera]]\nsource='b'\nfps = 'two'", ":5: [[camera]] 2: fps: must be"),
        ("[[camera]]\nname='a'", ":1: [[camera]] 1: source: is missing"),
        ("[[camera]]\nsource='a'\nname='x'\n[[camera]]\nsource='b'\nname = 'x'", ":6: [[camera]] 2: name:"),
        ("live = 1\n[[camera]]\nsource='a'", ":1: live: must be true or false"),
        ("threads = true\n[[camera]]\nsource='a'", ":1: threads: must be a whole number"),
        ("threads = -1\n[[camera]]\nsource='a'", ":1: threads: must be 0"),
        ("fps = 0\n[[camera]]\nsource='a'", ":1: fps: must be above 0"),
        ("fps = nan\n[[camera]]\nsource='a'", ":1: fps: must be above 0"),
        ("channels = ['smell']\n[[camera]]\nsource='a'", "channels: 'smell' is none of object"),
        ("channels = 'cut'\n[[camera]]\nsource='a'", ":1: channels: must be a list"),
        ("[keep]\nage = 'old'\n[[camera]]\nsource='a'", ":2: [keep]: age: 'old' is no age"),
        ("[keep]\nsize = '3kb'\n[[camera]]\nsource='a'", ":2: [keep]: size: '3kb' is too small"),
        ("[keep]\n\ndays = 3\n[[camera]]\nsource='a'", ":3: [keep]: days: is not a key"),
        ("keep = 3\n[[camera]]\nsource='a'", ":1: keep: must be a table"),
        ("mmproj = 'a'\n[[camera]]\nsource='a'", ":1: mmproj: needs llm"),
        ("kv_dtype = 'int8'\n[[camera]]\nsource='a'", ":1: kv_dtype: needs llm"),
        ("llm='demo'\nkv_dtype = 'q4'\n[[camera]]\nsource='a'", ":2: kv_dtype: 'q4' is none of f16, int8"),
        ("[notifier]\ncommand='a'\nwebhook='b'\n[[camera]]\nsource='a'", ":3: [notifier]: webhook: and"),
        ("[[camera]]\nsource='a'\n[notifier]\ncommand='a'", ":3: notifier: has nothing to tell of"),
        ("[camera]\nsource='a'", ":1: camera: must be a table in double brackets"),
        ("fps = 1", "camera: 0 of them"),
        ("fps = \n", "line 1"),
        ("\0", "not TOML"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_in_one_line_with_key_and_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(BadInputError) as refused:
        read_plan(path)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 3


def test_a_file_that_is_missing_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="No such file"):
        read_plan(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInputError, match="not TOML"):
        read_plan(tmp_path / "bytes.toml")


def test_several_sources_are_told_apart() -> None:
    names = [camera.name for camera in named([Camera("a/x.mp4"), Camera("b/x.mp4"), Camera("y", name="z")])]
    assert names == ["x.mp4", "x.mp4 2", "z"]
    names = [camera.name for camera in named([Camera("a/x"), Camera("b/x 3"), Camera("c/x")])]
    assert names == ["x", "x 3", "x 4"]
    assert named([Camera("a/x.mp4")])[0].name is None
