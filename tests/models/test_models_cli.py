"""`edgevid models`: what it prints, its JSON lines and its exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edgevid.app.cli import main


@pytest.fixture
def house(wheelhouse):
    wheelhouse.pack("one", wheelhouse.wheel("one", {"one/a.bin": b"aaa"}), extra="")
    return wheelhouse


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]):
    """Run a command: exit code, stdout, stderr."""

    def run(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main(["models", *args])
        out, err = capsys.readouterr()
        return int(exited.value.code or 0), out, err

    return run


def rows(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


def test_list_shows_every_pack_and_the_sum_of_the_defaults(house, call) -> None:
    code, out, _ = call("list", "--json")
    *packs, total = rows(out)
    assert code == 0
    by_name = {pack["name"]: pack for pack in packs}
    assert by_name["one"]["installed"] is False and by_name["one"]["sources"] == ["pypi:one==1.0"]
    assert 0 < total["default_download_bytes"] <= 350e6 and 0 < total["default_installed_bytes"] <= 350e6
    code, text, _ = call("list")
    assert code == 0 and all(name in text for name in by_name) and "defaults (*)" in text
    head, *lines = text.splitlines()
    assert head.split() == ["pack", "task", "download", "installed", "state", "licence"]
    (embedded,) = (line for line in lines if "efficientnet-lite0" in line)
    assert embedded.split()[3:6] == ["with", "edgevid", "installed"]


def test_pull_where_verify_rm(house, call) -> None:
    code, out, err = call("pull", "one")
    assert code == 0 and out.startswith("pulled  one") and "downloading one-1.0-py3-none-any.whl" in err
    code, out, _ = call("where", "one")
    assert code == 0 and Path(out.strip()).read_bytes() == b"aaa"
    code, out, _ = call("where", "one", "a.bin", "--json")
    assert code == 0 and [row["name"] for row in rows(out)] == ["a.bin"]
    code, out, _ = call("verify")
    assert code == 0 and "one/a.bin" in out
    assert call("pull", "one")[1].startswith("there  one")
    _, out, _ = call("pull", "one", "efficientnet-lite0")
    assert all(list(Path(line.split()[2]).iterdir()) for line in out.splitlines())
    assert call("rm", "one")[1].startswith("removed one, ")
    assert call("rm", "one")[:2] == (0, "one was not installed\n")
    assert call("where", "one")[0] == 4


def test_json_keeps_stdout_for_json(house, call) -> None:
    for command in (["pull", "one"], ["verify", "one"], ["where", "one"], ["gc"], ["rm", "one"], ["list"]):
        code, out, _ = call(*command, "--json")
        assert code == 0, command
        assert all("type" in row for row in rows(out))


@pytest.mark.parametrize(
    ("args", "code", "error"),
    [
        (["pull"], 2, "usage"),
        (["pull", "nope"], 2, "usage"),
        (["where", "nope"], 2, "usage"),
        (["where", "one"], 4, "missing_part"),
        (["verify", "one"], 4, "missing_part"),
        (["pull", "one", "--offline"], 1, "network"),
        (["rm"], 2, "usage"),
    ],
)
def test_errors_have_a_code_a_fix_and_one_line(house, call, args: list[str], code: int, error: str) -> None:
    status, out, _ = call(*args, "--json")
    assert status == code
    (row,) = [row for row in rows(out) if "error" in row]
    assert row["error"]["code"] == error and row["error"]["fix"]
    status, _, err = call(*args)
    assert status == code and sum(line.startswith("error: ") for line in err.splitlines()) == 1


def test_verify_finds_a_changed_file(house, call) -> None:
    call("pull", "one")
    Path(call("where", "one")[1].strip()).write_bytes(b"xyz")
    code, out, _ = call("verify", "--json")
    *files, error = rows(out)
    (file,) = [row for row in files if row["pack"] == "one"]  # packs in the wheel are verified too
    assert code == 3 and file["state"] == "wrong" and error["error"]["code"] == "bad_model"
    assert error["error"]["fix"] == "edgevid models pull one"


def test_where_with_an_unknown_file(house, call) -> None:
    call("pull", "one")
    code, _, err = call("where", "one", "b.bin")
    assert code == 2 and "has no file 'b.bin', it has a.bin" in err


def test_gc_says_what_goes(house, call) -> None:
    stale = house.root / "cache" / "models" / "one-00000000"
    stale.mkdir(parents=True)
    (stale / "x").write_bytes(b"1234")
    assert rows(call("gc", "--dry-run", "--json")[1]) == [{"type": "stale", "path": str(stale), "bytes": 4}]
    assert rows(call("gc", "--json")[1]) == [{"type": "removed", "path": str(stale), "bytes": 4}]
    assert call("gc", "--json")[1] == ""


def test_without_npm_the_defaults_are_pulled_but_for_one_and_it_is_said(
    house, call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's catalogue alone decides here what is default: the real defaults would need a network."""
    monkeypatch.setenv("PATH", os.fspath(house.root))
    sha = "0" * 64
    text = house.manifest.read_text().replace('task = "test"', 'task = "test"\ndefault = true')
    text += (
        '[pack.two]\ntask = "test"\nkind = "files"\nlicence = "x"\nprovenance = "x"\ndefault = true\n'
        '[[pack.two.artefact]]\nsource = "npm:two@1.0.0"\nfile = "two-1.0.0.tgz"\n'
        f'bytes = 1\nsha256 = "{sha}"\n'
        f'members = [{{ path = "package/x", as = "x", bytes = 1, sha256 = "{sha}" }}]\n'
    )
    house.manifest.write_text(text)
    monkeypatch.setattr("edgevid.models.packs._BUILTIN", house.manifest)
    monkeypatch.delenv("EDGEVID_PACKS")
    code, out, _ = call("pull", "--default", "--json")
    assert code == 0
    pulled, skipped = rows(out)
    assert pulled["name"] == "one"
    assert skipped["type"] == "skipped" and "npm is not installed" in skipped["reason"] and skipped["fix"]
    code, out, _ = call("pull", "--default")
    assert code == 0 and "left out two: npm is not installed" in out
    assert call("pull", "two")[0] == 4
    assert "npm is not installed" in call("list")[1]
