"""What dubs say of themselves, where live ones go, and lips by a user's own network."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edgevid.media.source import open_source
from edgevid.models.store import ModelStore
from tests.lipsync.random_wav2lip import random_wav2lip

from .conftest import Run, json_lines
from .talks import pictures_of, sound_of

pytestmark = [pytest.mark.packs, pytest.mark.usefixtures("speech_parts")]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _start(talk: Path, target: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgevid", "dub", str(talk), "--to", "es", "--live", "-o", target]
    return subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("name", ["live.mp4", "live.mkv", "live.m3u8"])
def test_what_is_written_live_is_tagged(name: str, talk: Path, edgevid: Run, tmp_path: Path) -> None:
    done = edgevid("dub", talk, "--to", "es", "--live", "-o", tmp_path / name)
    assert done.returncode == 0, done.stderr
    written = tmp_path / ("init.mp4" if name.endswith("m3u8") else name)
    with av.open(str(written)) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
    assert tags["title"] == "AI-dubbed (es)" and "AI-dubbed (es): speech" in tags["comment"]


def test_rtp_carries_the_name(talk: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(60)
        process = _start(talk, f"rtp://127.0.0.1:{receiver.getsockname()[1]}")
        try:
            seen = b""
            while b"AI-dubbed (es)" not in seen:
                seen = seen[-2000:] + receiver.recv(2048)
        finally:
            process.terminate()
            process.communicate(timeout=30)


def test_a_peer_watches_the_dub(talk: Path) -> None:
    pytest.importorskip("aiortc", reason="pip install 'edgevid[webrtc]'")
    port = _free_port()
    process = _start(talk, f"webrtc://127.0.0.1:{port}")
    try:
        pictures, heard, description = asyncio.run(_watch(f"http://127.0.0.1:{port}/whep"))
    finally:
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert f"open http://127.0.0.1:{port}/ in a browser to watch" in errors
    assert "s=AI-dubbed (es)" in description
    assert pictures >= 5 and np.abs(heard).max() > 100
    assert json_lines(output)[-1]["dubbed"] >= 1


async def _watch(url: str) -> tuple[int, np.ndarray[Any, Any], str]:
    """How many pictures came until the other side hung up, the sound, and the other side's description."""
    from aiortc import RTCConfiguration, RTCPeerConnection
    from aiortc.mediastreams import MediaStreamError

    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    lines = [peer.addTransceiver(kind, direction="recvonly") for kind in ("video", "audio")]
    description = await _call(peer, url)
    received: dict[str, list[Any]] = {"video": [], "audio": []}

    async def take(kind: str, track: Any) -> None:
        try:
            while True:
                frame = await asyncio.wait_for(track.recv(), 10)
                received[kind].append(frame.to_ndarray().ravel())
        except (MediaStreamError, TimeoutError):
            return

    await asyncio.gather(*(take(line.kind, line.receiver.track) for line in lines))
    await peer.close()
    return len(received["video"]), np.concatenate(received["audio"]), description


async def _call(peer: Any, url: str) -> str:
    """Post the offer of ``peer`` once somebody is there; returns the answer."""
    import httpx
    from aiortc import RTCSessionDescription

    await peer.setLocalDescription(await peer.createOffer())
    headers = {"Content-Type": "application/sdp"}
    async with httpx.AsyncClient() as client:
        for _ in range(600):
            try:
                answer = await client.post(url, content=peer.localDescription.sdp, headers=headers)
                break
            except httpx.ConnectError:
                await asyncio.sleep(0.1)
    await peer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
    return answer.text


def test_a_peer_is_dubbed(talk: Path, tmp_path: Path) -> None:
    """A talk sent as a call, dubbed until Ctrl-C."""
    pytest.importorskip("aiortc", reason="pip install 'edgevid[webrtc]'")
    port, output = _free_port(), tmp_path / "call.mp4"
    command = [sys.executable, "-m", "edgevid", "dub", f"webrtc://127.0.0.1:{port}", "--to", "es"]
    process = subprocess.Popen(
        [*command, "-o", str(output), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    over = threading.Event()
    caller = threading.Thread(
        target=lambda: asyncio.run(_send(talk, f"http://127.0.0.1:{port}/whip", over)), name="test caller"
    )
    caller.start()
    try:
        assert process.stdout is not None
        clause = json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        over.set()
        caller.join(30)
    assert process.returncode == 130, errors
    assert f"open http://127.0.0.1:{port}/ in a browser to send" in errors and "Traceback" not in errors
    assert clause["event"] == "clause" and clause["text"]
    assert len(pictures_of(output)) > 5
    assert np.abs(sound_of(output)).max() > 0.05


async def _send(path: Path, url: str, over: threading.Event) -> None:
    """Play a file to whoever answers at ``url``, again and again."""
    from aiortc import RTCConfiguration, RTCPeerConnection
    from aiortc.contrib.media import MediaPlayer

    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    player = MediaPlayer(str(path), loop=True)
    peer.addTrack(player.audio)
    peer.addTrack(player.video)
    await _call(peer, url)
    while not over.is_set():
        await asyncio.sleep(0.1)
    await peer.close()


def test_the_mark_is_on_every_picture(talk: Path, edgevid: Run, tmp_path: Path) -> None:
    plain, marked = tmp_path / "plain.mp4", tmp_path / "marked.mp4"
    for output, options in ((plain, []), (marked, ["--mark"])):
        done = edgevid("dub", talk, "--to", "es", "-o", output, *options)
        assert done.returncode == 0, done.stderr
    with open_source(plain) as one, open_source(marked) as other:
        for before, after in zip(one.frames(), other.frames(), strict=True):
            change = np.abs(before.image.astype(int) - after.image)
            assert change[64:, 32:].max() > 60 and change[:48].mean() < 4


def test_a_wav2lip_network_draws(store: ModelStore, test_data: Path, edgevid: Run, tmp_path: Path) -> None:
    for pack in ("blazeface", "face-mesh"):
        store.where(pack)
    network = random_wav2lip(tmp_path / "random.onnx")
    source, output = test_data / "talking" / "grid_bbaf2n.mpg", tmp_path / "out.mp4"
    done = edgevid("dub", source, "--to", "es", "-o", output, "--lips", network, "--json")
    assert done.returncode == 0, done.stderr
    assert json_lines(done.stdout)[-1]["frames_drawn"] > 10
    assert "research and personal use" in done.stderr
    assert len(pictures_of(output)) == len(pictures_of(source))
    assert sound_of(output).size >= sound_of(source).size - 1600
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    done = edgevid("dub", source, "--to", "es", "-o", output, "--lips", tmp_path / "junk.onnx")
    assert done.returncode == 3 and len(done.stderr.splitlines()) == 1
