"""Pulling with the real pip from a folder of real wheels: what works, what fails, what is left behind."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgevid.core.errors import BadModelError, EdgevidError, MissingPartError, NetworkError
from edgevid.models import pull as pull_module
from edgevid.models.pull import PullListener


class Heard(PullListener):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.bytes: dict[str, int] = {}

    def started(self, file, packs, total) -> None:
        self.files.append(file)

    def progress(self, file, done) -> None:
        assert done >= 0
        self.bytes[file] = done


def left_over(house) -> list[str]:
    """Names in the store other than the lock and the stamps."""
    root = house.root / "cache" / "models"
    return (
        sorted(p.name for p in root.iterdir() if p.name not in (".lock", ".stamps.json"))
        if root.exists()
        else []
    )


def test_members_are_installed_and_found(wheelhouse) -> None:
    one = wheelhouse.wheel("one", {"one/a.bin": b"aaa", "one/b.bin": b"b" * 70000})
    wheelhouse.pack("one", one)
    store, heard = wheelhouse.store(), Heard()
    (result,) = store.pull(["one"], listener=heard)
    paths = store.where("one")
    assert paths["a.bin"].read_bytes() == b"aaa" and paths["b.bin"].read_bytes() == b"b" * 70000
    assert result.downloaded == one.stat().st_size == heard.bytes[one.name]
    assert left_over(wheelhouse) == [result.folder.name]


@pytest.mark.parametrize(
    "tag",
    ["py3-none-any", "py2.py3-none-any", "cp39-cp39-win_amd64", "py3-none-macosx_11_0_arm64"]
    + ["cp312-cp312-manylinux2014_aarch64.manylinux_2_17_aarch64", "cp38-abi3-manylinux_2_34_x86_64"],
)
def test_a_wheel_of_any_tag_is_fetched_whatever_machine_this_is(wheelhouse, tag: str) -> None:
    wheelhouse.pack("one", wheelhouse.wheel("one", {"one/a.bin": b"aaa"}, tag=tag))
    wheelhouse.wheel("one", {"one/a.bin": b"other"}, tag="py3-none-linux_armv6l")
    store = wheelhouse.store()
    store.pull(["one"])
    assert store.where("one")["a.bin"].read_bytes() == b"aaa"


def test_a_file_for_two_packs_is_downloaded_once(wheelhouse) -> None:
    shared = wheelhouse.wheel("shared", {"shared/a.bin": b"aaa"})
    wheelhouse.pack("one", shared)
    wheelhouse.pack("two", shared)
    store, heard = wheelhouse.store(), Heard()
    store.pull(["one", "two", "one"], listener=heard)
    assert heard.files == [shared.name]
    assert store.where("one")["a.bin"] != store.where("two")["a.bin"]


def test_a_second_pull_downloads_nothing_and_needs_no_network(wheelhouse) -> None:
    wheel = wheelhouse.wheel("one", {"one/a.bin": b"aaa"})
    wheelhouse.pack("one", wheel)
    wheelhouse.store().pull(["one"])
    wheel.unlink()
    (result,) = wheelhouse.store(offline=True).pull(["one"])
    assert result.downloaded == 0


def test_a_pull_goes_on_where_it_failed(wheelhouse) -> None:
    one = wheelhouse.wheel("one", {"one/a.bin": b"aaa"})
    two = wheelhouse.wheel("two", {"two/b.bin": b"bbb"})
    wheelhouse.pack("both", one, two)
    hidden = two.rename(wheelhouse.root / two.name)
    store, heard = wheelhouse.store(), Heard()
    with pytest.raises(NetworkError, match=r"pypi:two==1\.0") as caught:
        store.pull(["both"])
    assert caught.value.fix
    with pytest.raises(MissingPartError) as missing:
        store.where("both")
    assert missing.value.fix == "edgevid models pull both"
    hidden.rename(two)
    one.unlink()
    store.pull(["both"], listener=heard)
    assert heard.files == [two.name]
    assert set(store.where("both")) == {"a.bin", "b.bin"}


@pytest.mark.parametrize("what", ["wheel", "member"])
def test_a_wrong_hash_is_refused_with_both_hashes(wheelhouse, what: str) -> None:
    wheelhouse.pack("one", wheelhouse.wheel("one", {"one/a.bin": b"aaa"}), **{what: "0" * 64})
    with pytest.raises(BadModelError, match=r"sha256 (?!0{64})[0-9a-f]{64}; expected .* sha256 0{64}"):
        wheelhouse.store().pull(["one"])
    assert left_over(wheelhouse) == []


def test_a_damaged_file_is_pulled_again(wheelhouse) -> None:
    wheelhouse.pack("one", wheelhouse.wheel("one", {"one/a.bin": b"aaa", "one/b.bin": b"bbb"}))
    store = wheelhouse.store()
    store.pull(["one"])
    paths = store.where("one")
    paths["a.bin"].write_bytes(b"aax")
    (result,) = wheelhouse.store().pull(["one"])
    assert result.downloaded and paths["a.bin"].read_bytes() == b"aaa"


def test_offline_says_what_is_missing(wheelhouse) -> None:
    wheelhouse.pack("one", wheelhouse.wheel("one", {"one/a.bin": b"aaa"}))
    with pytest.raises(NetworkError, match="offline, and not installed: one"):
        wheelhouse.store(offline=True).pull(["one"])


def test_no_network(wheelhouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip is pointed at a port of this machine where nobody listens."""
    wheelhouse.pack("one", wheelhouse.wheel("one", {"one/a.bin": b"aaa"}))
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(NetworkError, match=r"one==1\.0: cannot connect: Connection refused \(fix") as caught:
        wheelhouse.store().pull(["one"])
    assert caught.value.fix
    assert left_over(wheelhouse) == []


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed (apt install npm)")
def test_no_network_for_npm(wheelhouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.setenv("npm_config_userconfig", os.devnull)
    with pytest.raises(NetworkError, match=r"npm:@vladmandic/human@3\.3\.6: .*ECONN") as caught:
        wheelhouse.store().pull(["centernet-coco"])
    assert "\n" not in caught.value.message
    assert left_over(wheelhouse) == []


def test_without_pip_and_npm_the_fix_is_named(wheelhouse, monkeypatch: pytest.MonkeyPatch) -> None:
    wheelhouse.pack("one", wheelhouse.wheel("one", {"one/a.bin": b"aaa"}))
    monkeypatch.setenv("PATH", str(wheelhouse.root))
    store = wheelhouse.store()
    with pytest.raises(MissingPartError, match="npm is not installed"):
        store.pull(["centernet-coco"])
    with pytest.raises(MissingPartError, match="npm is not installed"):
        store.where("centernet-coco")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPartError, match="pip is not installed") as caught:
        store.pull(["one"])
    assert caught.value.fix and "ensurepip" in caught.value.fix


def test_another_pip_on_the_path_will_do(wheelhouse, monkeypatch: pytest.MonkeyPatch) -> None:
    wheelhouse.pack("one", wheelhouse.wheel("one", {"one/a.bin": b"aaa"}))
    pip = wheelhouse.root / "pip3"
    pip.write_text(f'#!/bin/sh\nexec {sys.executable} -m pip "$@"\n')
    pip.chmod(0o755)
    monkeypatch.setenv("PATH", str(wheelhouse.root))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    wheelhouse.store().pull(["one"])


def test_a_pip_py_in_the_users_folder_is_not_run(wheelhouse, monkeypatch: pytest.MonkeyPatch) -> None:
    wheelhouse.pack("one", wheelhouse.wheel("one", {"one/a.bin": b"aaa"}))
    (wheelhouse.root / "pip.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(wheelhouse.root)
    wheelhouse.store().pull(["one"])


CONVERTER = """
def double(inputs, output):
    output.write_bytes(inputs["a.bin"].read_bytes() * 2)
"""


def convert_table(sha: str) -> str:
    return f"""[pack.one.convert]
function = "made_here:double"
inputs = ["a.bin"]
as = "c.bin"
bytes = 6
sha256 = "{sha}"
"""


@pytest.mark.parametrize("temporary", [False, True])
def test_a_conversion_pins_its_result(wheelhouse, monkeypatch: pytest.MonkeyPatch, temporary: bool) -> None:
    (wheelhouse.root / "made_here.py").write_text(CONVERTER)
    monkeypatch.syspath_prepend(str(wheelhouse.root))
    monkeypatch.setattr(pull_module, "_CONVERTERS", "made_here:")
    wheel = wheelhouse.wheel("one", {"one/a.bin": b"aaa"})
    true = hashlib.sha256(b"aaaaaa").hexdigest()
    wheelhouse.pack("one", wheel, extra=convert_table("0" * 64), temporary=temporary)
    with pytest.raises(BadModelError, match=f"{true}; expected 0"):
        wheelhouse.store().pull(["one"])
    wheelhouse.tables.clear()
    wheelhouse.pack("one", wheel, extra=convert_table(true), temporary=temporary)
    store = wheelhouse.store()
    store.pull(["one"])
    assert set(store.where("one")) == ({"c.bin"} if temporary else {"a.bin", "c.bin"})
    assert store.where("one")["c.bin"].read_bytes() == b"aaaaaa"
    store.where("one")["c.bin"].unlink()
    assert store.pull(["one"])[0].downloaded == (wheel.stat().st_size if temporary else 0)


def test_a_manifest_cannot_call_just_any_function(wheelhouse) -> None:
    wheel = wheelhouse.wheel("one", {"one/a.bin": b"aaa"})
    wheelhouse.pack("one", wheel, extra=convert_table("0" * 64).replace("made_here:double", "os:system"))
    with pytest.raises(BadModelError, match="os:system is not below"):
        wheelhouse.store().pull(["one"])


def test_a_cache_that_cannot_be_written(wheelhouse) -> None:
    wheelhouse.pack("one", wheelhouse.wheel("one", {"one/a.bin": b"aaa"}))
    (wheelhouse.root / "cache").write_text("a file, not a folder")
    with pytest.raises(EdgevidError, match="cannot write to the model cache") as caught:
        wheelhouse.store().pull(["one"])
    assert caught.value.fix and "EDGEVID_CACHE" in caught.value.fix


def test_the_disk_is_checked_first(wheelhouse) -> None:
    """A pack that says it is larger than any disk."""
    wheelhouse.pack("one", wheelhouse.wheel("one", {"one/a.bin": b"aaa"}))
    text = wheelhouse.manifest.read_text().replace("bytes = 3,", f"bytes = {1 << 60},")
    wheelhouse.manifest.write_text(text)
    with pytest.raises(
        EdgevidError, match=r"not enough disk space at .*: 1152921504606\.\d MB needed, .* MB free"
    ):
        wheelhouse.store().pull(["one"])
    assert left_over(wheelhouse) == []


@pytest.mark.parametrize(("limit", "what"), [(30_000, "the client"), (100_000, "taking the member out")])
def test_a_disk_that_fills_up_leaves_nothing(wheelhouse, limit: int, what: str) -> None:
    """A file size limit on the pulling process fails the same writes as a full disk: pip's, then our own."""
    wheel = wheelhouse.wheel("one", {"one/a.bin": os.urandom(60_000) + bytes(300_000)})
    wheelhouse.pack("one", wheel)
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2);"
        "from edgevid.app.cli import main; main(['models', 'pull', 'one'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(limit)], env=wheelhouse.environment, capture_output=True, text=True
    )
    assert done.returncode == 1, what
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert "not enough disk space" in error and "MB needed" in error and "Traceback" not in done.stderr
    assert left_over(wheelhouse) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_leaves_nothing(wheelhouse) -> None:
    cache = wheelhouse.root / "cache"
    cache.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(cache)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine does not let us mount a tmpfs")
    try:
        wheelhouse.pack("large", wheelhouse.wheel("large", {"large/a.bin": os.urandom(400_000)}))
        wheelhouse.pack("small", wheelhouse.wheel("small", {"small/a.bin": os.urandom(250_000)}))
        store, filler = wheelhouse.store(), Filler(cache / "filler")
        with pytest.raises(EdgevidError, match=r"1\.2 MB needed, 1\.0 MB free"):
            store.pull(["large"], listener=filler)
        assert not filler.path.exists()
        with pytest.raises(EdgevidError, match="not enough disk space"):  # it fills up after the check
            store.pull(["small"], listener=filler)
        filler.path.unlink()
        assert left_over(wheelhouse) == []
        store.pull(["small"])
        store.where("small")
    finally:
        subprocess.run(["umount", str(cache)], check=True)


class Filler(PullListener):
    """Takes 800 kB of the disk when the download begins."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def started(self, file, packs, total) -> None:
        self.path.write_bytes(bytes(800_000))
