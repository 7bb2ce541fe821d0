"""``edgevid watch rtsp://`` against a real RTSP server that dies and comes back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from edgevid.memory.memory import Memory
from tests.reliability.conftest import RtspServer


def test_watching_goes_on_after_the_server_died(rtsp_server: RtspServer, tmp_path: Path) -> None:
    saved = tmp_path / "day.edgevid"
    began = datetime.now(UTC)
    options = ("--channels", "cut", "--json", "--interactive", "--save", str(saved))
    process = subprocess.Popen(
        [sys.executable, "-m", "edgevid", "watch", f"{rtsp_server.url}/cam", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    restart = threading.Timer(6, lambda: (rtsp_server.kill(), rtsp_server.start()))
    restart.start()
    try:
        time.sleep(14)
        assert process.poll() is None
        assert process.stdin is not None
        process.stdin.write("How many cuts are there?\n")
        process.stdin.flush()
        time.sleep(3)
    finally:
        restart.join()
        process.send_signal(signal.SIGTERM)
        signalled_s = time.monotonic()
        out, err = process.communicate(timeout=30)
        took_s = time.monotonic() - signalled_s
    assert process.returncode == 143, err
    assert took_s <= 3
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["question"] for line in lines if line["type"] == "answer"] == ["How many cuts are there?"]
    stats = lines[-1]
    assert stats["type"] == "stats"
    assert stats["live"]["reconnects"] >= 1
    assert stats["frames"] > 5
    with Memory(saved) as memory:
        (video,) = memory.videos()
        assert video.wall_ns is not None
        assert began.timestamp() < video.wall_ns / 1e9 < time.time()
