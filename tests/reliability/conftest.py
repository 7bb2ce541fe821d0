"""A real RTSP server, started and ended by the tests."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_SERVER = Path(__file__).with_name("rtsp_server.py")
_PYTHON = "/usr/bin/python3"
_PACKAGES = (
    "gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
    "gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav"
)
_ELEMENTS = "videotestsrc x264enc rtph264pay audiotestsrc avenc_aac rtpmp4gpay opusenc rtpopuspay"
_CHECK = f"""
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
missing = [name for name in "{_ELEMENTS}".split() if Gst.ElementFactory.find(name) is None]
raise SystemExit(", ".join(missing) or 0)
"""


class RtspServer:
    """One server process at a fixed port; ``start`` after ``kill`` brings it back there."""

    def __init__(self, *, user: str | None = None, record: Path | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"rtsp://127.0.0.1:{self.port}"
        self._options = (["--user", user] if user else []) + (["--record", str(record)] if record else [])
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it; returns the monotonic time at which it listened."""
        self._process = subprocess.Popen(
            [_PYTHON, str(_SERVER), str(self.port), *self._options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"up\n"
        return time.monotonic()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL: connections break, nothing is said."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


@pytest.fixture(scope="session")
def _gstreamer() -> None:
    checked = subprocess.run([_PYTHON, "-c", _CHECK], capture_output=True, text=True, check=False)
    if checked.returncode:
        pytest.skip(f"no RTSP server here: apt-get install {_PACKAGES} ({checked.stderr.strip()[-120:]})")


@pytest.fixture
def make_rtsp_server(_gstreamer: None) -> Iterator[Callable[..., RtspServer]]:
    """Start a server; options as of ``RtspServer``."""
    servers: list[RtspServer] = []

    def make(*, user: str | None = None, record: Path | None = None) -> RtspServer:
        servers.append(RtspServer(user=user, record=record))
        servers[-1].start()
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


@pytest.fixture
def rtsp_server(make_rtsp_server: Callable[..., RtspServer]) -> RtspServer:
    """A running server without a password; see ``rtsp_server.py`` for its streams."""
    return make_rtsp_server()
