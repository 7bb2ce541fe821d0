"""Pulls that are interrupted at any moment, killed, or run twice at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SIZE = 200_000


def start(house, *names: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgevid.app.cli", "models", "pull", *names, "--json"]
    return subprocess.Popen(
        command, env=house.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(house, *names: str) -> tuple[int, str]:
    process = start(house, *names)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def wait_for_download(house, process: subprocess.Popen[str]) -> Path:
    """The log of the running pip."""
    scratch = house.root / "cache" / "models" / ".tmp"
    while process.poll() is None:
        if logs := list(scratch.glob("*/client.log")):
            return logs[0]
        time.sleep(0.002)
    pytest.fail(f"ended before it downloaded: {process.communicate()}")


@pytest.fixture
def house(wheelhouse):
    """Two packs, `one` of two wheels."""
    wheels = [wheelhouse.wheel(name, {f"{name}/{name}.bin": os.urandom(SIZE)}) for name in ("aa", "bb")]
    wheelhouse.pack("one", *wheels)
    return wheelhouse


def check_store(house) -> None:
    """No scratch folder is left, and whatever has its final name has its final content."""
    root = house.root / "cache" / "models"
    if not root.exists():
        return
    store = house.store()
    assert not store.scratch.exists()
    assert {p.name for p in root.iterdir()} <= {
        ".lock",
        ".stamps.json",
        store.folder(store.catalogue["one"]).name,
    }
    assert {report.state for report in store.verify(["one"])} <= {"ok", "missing"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_download_ends_pip_and_leaves_nothing(house, number: signal.Signals) -> None:
    process = start(house, "one")
    log = wait_for_download(house, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert json.loads(out)["error"]["code"] == "interrupted"
    assert "Traceback" not in err
    assert not list(log.parent.glob("*"))
    check_store(house)


def test_ctrl_c_at_any_time(house) -> None:
    """Ctrl-C 0, 75, 150 ... ms after the pull holds the lock; nothing is written before that."""
    lock = house.root / "cache" / "models" / ".lock"
    for delay_ms in range(0, 700, 75):
        lock.unlink(missing_ok=True)
        process = start(house, "one")
        while not lock.exists() and process.poll() is None:
            time.sleep(0.002)
        time.sleep(delay_ms / 1000)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        if '"pulled"' not in out:
            assert process.returncode == 130, err
            assert "Traceback" not in err
        check_store(house)
        house.store().remove(["one"])
    assert run(house, "one")[0] == 0
    check_store(house)


def test_what_a_killed_pull_left_is_removed_by_the_next(house) -> None:
    process = start(house, "one")
    log = wait_for_download(house, process)
    process.kill()
    process.communicate()
    assert log.parent.exists()
    assert run(house, "one")[0] == 0
    check_store(house)
    house.store().where("one")


def test_two_pulls_at_once_download_once(house) -> None:
    first = start(house, "one")
    wait_for_download(house, first)
    first.send_signal(signal.SIGSTOP)
    second = start(house, "one")
    assert second.stderr is not None
    assert f"waiting for another edgevid (process {first.pid})" in second.stderr.readline()
    first.send_signal(signal.SIGCONT)
    outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert first.returncode == second.returncode == 0
    downloaded = [json.loads(out)["downloaded_bytes"] for out in outputs]
    assert downloaded[0] > 2 * SIZE and downloaded[1] == 0
    check_store(house)
