"""Pushing to a real RTSP server, which records what comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevid.core.errors import NetworkError
from edgevid.media.sink import LiveSink, open_sink
from edgevid.media.source import open_source


def test_what_is_pushed_arrives(make_rtsp_server: Callable[..., Any], tmp_path: Path) -> None:
    record = tmp_path / "record.webm"
    server = make_rtsp_server(record=record)
    sink = open_sink(server.url + "/in", width=160, height=96, fps=25)
    assert isinstance(sink, LiveSink)
    with sink:
        for number in range(75):
            sink.write(np.full((96, 160, 3), 3 * number, np.uint8), pts_ns=number * 40_000_000)
            time.sleep(0.04)
    stats = sink.stats
    assert stats.received == 75 == stats.written + stats.dropped
    time.sleep(0.5)
    server.kill()
    with open_source(record) as source:
        assert source.info.video_codec == "vp8"
        greys = [frame.image.mean() for frame in source.frames()]
    assert len(greys) >= stats.written // 2
    assert all(b > a - 3 for a, b in pairwise(greys))


def test_a_killed_server_is_told_to_the_writer(make_rtsp_server: Callable[..., Any], tmp_path: Path) -> None:
    server = make_rtsp_server(record=tmp_path / "record.webm")
    sink = open_sink(server.url + "/in", width=160, height=96, fps=25)
    began_s = time.monotonic()
    with pytest.raises(NetworkError, match="cannot be sent"), sink:
        for number in range(1000):
            sink.write(np.zeros((96, 160, 3), np.uint8), pts_ns=number * 40_000_000)
            time.sleep(0.04)
            if number == 25:
                server.kill()
    assert time.monotonic() - began_s < 30
