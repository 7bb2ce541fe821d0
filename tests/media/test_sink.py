from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.core.errors import NetworkError, UsageError
from edgevid.media.encode import VideoWriter
from edgevid.media.sink import LiveSink, open_sink
from edgevid.media.source import open_source

Numbered = Callable[[int], npt.NDArray[np.uint8]]
ReadNumber = Callable[[npt.NDArray[np.uint8]], int]


def _play(sink: LiveSink | VideoWriter, numbered: Numbered, seconds: float) -> None:
    with sink:
        began_s = time.monotonic()
        for number in range(round(seconds * 25)):
            sink.write(numbered(number), pts_ns=number * 40_000_000)
            sink.write_audio(np.zeros(640, np.float32))
            time.sleep(max(0.0, began_s + (number + 1) / 25 - time.monotonic()))


def test_hls_keeps_the_newest_segments(tmp_path: Path, numbered: Numbered, read_number: ReadNumber) -> None:
    playlist = tmp_path / "live.m3u8"
    sink = open_sink(playlist, width=160, height=96, fps=25, sample_rate=16000)
    assert isinstance(sink, LiveSink)
    _play(sink, numbered, 3.0)
    assert sink.stats.received == 75 == sink.stats.written + sink.stats.dropped
    lines = playlist.read_text().splitlines()
    assert lines[0] == "#EXTM3U"
    head = (tmp_path / "init.mp4").read_bytes()
    segments = [tmp_path / line for line in lines if line.endswith(".m4s")]
    assert segments
    numbers = []
    for segment in segments:
        (tmp_path / "part.mp4").write_bytes(head + segment.read_bytes())
        with open_source(tmp_path / "part.mp4") as source:
            assert source.info.has_audio
            numbers += [read_number(frame.image) for frame in source.frames()]
    assert numbers == sorted(numbers)
    assert len(numbers) == sink.stats.written


def test_rtp_sends_what_can_be_read(numbered: Numbered) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(0.2)
        port = receiver.getsockname()[1]
        sink = open_sink(f"rtp://127.0.0.1:{port}", width=160, height=96, fps=25, sample_rate=16000)
        player = threading.Thread(target=_play, args=(sink, numbered, 1.0), name="test player")
        player.start()
        packets = []
        while player.is_alive():
            try:
                packets.append(receiver.recv(2048))
            except TimeoutError:
                continue
        player.join()
    assert packets
    assert all(packet[0] >> 6 == 2 and packet[1] & 0x7F == 33 for packet in packets)  # RTP, MPEG-TS
    assert all(packet[12] == 0x47 for packet in packets)


def test_an_address_where_nothing_listens(numbered: Numbered) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"rtsp://me:secret@127.0.0.1:{probe.getsockname()[1]}/out"
        with (
            pytest.raises(NetworkError, match="cannot be sent to: Connection refused") as caught,
            open_sink(url, width=160, height=96, fps=25) as sink,
        ):
            for number in range(100):
                sink.write(numbered(number))
                time.sleep(0.04)
    assert "secret" not in str(caught.value)


def test_targets(tmp_path: Path) -> None:
    assert isinstance(open_sink(tmp_path / "a.mp4", width=8, height=8, fps=1), VideoWriter)
    with pytest.raises(UsageError, match="cannot be written"):
        open_sink("http://host/a.mp4", width=8, height=8, fps=1)
    with pytest.raises(UsageError, match="cannot be written"):
        open_sink(tmp_path / "a.txt", width=8, height=8, fps=1)
