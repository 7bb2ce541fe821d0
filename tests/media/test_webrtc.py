"""WebRTC in and out, each with a real peer of aiortc on the other side."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from edgevid.core.errors import BadInputError, LimitError, MissingPartError, UsageError
from edgevid.core.limits import MediaLimits
from edgevid.core.nouns import AudioChunk, Frame
from edgevid.media.intake import Intake
from edgevid.media.live_stats import LiveStats
from edgevid.media.passage import ReadStats
from edgevid.media.sink import LiveSink, open_sink
from edgevid.media.source import open_source
from edgevid.media.uri import parse_uri
from edgevid.media.webrtc.address import host_and_port, page, trusted

Numbered = Callable[[int], npt.NDArray[np.uint8]]
ReadNumber = Callable[[npt.NDArray[np.uint8]], int]
Sound = Callable[[int, int], npt.NDArray[np.float32]]

_RATE = 48_000


@pytest.fixture
def aiortc() -> Any:
    return pytest.importorskip("aiortc", reason="pip install 'edgevid[webrtc]'")


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def _call(peer: Any, url: str) -> httpx.Response:
    """Post the offer of ``peer`` until somebody is there, and has room."""
    from aiortc import RTCSessionDescription

    await peer.setLocalDescription(await peer.createOffer())
    headers = {"Content-Type": "application/sdp"}
    async with httpx.AsyncClient() as client:
        for _ in range(100):
            try:
                answer = await client.post(url, content=peer.localDescription.sdp, headers=headers)
                if answer.status_code != 503:
                    break
            except httpx.ConnectError:
                pass
            await asyncio.sleep(0.1)
    assert answer.status_code == 201, answer.text
    assert answer.headers["content-type"].startswith("application/sdp")
    await peer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
    return answer


def _peer() -> Any:
    from aiortc import RTCConfiguration, RTCPeerConnection

    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


def _tone(start: int, size: int) -> npt.NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(start, start + size) / _RATE)).astype(np.float32)


class _Camera:
    """A peer in a thread of its own that sends numbered pictures and a tone to ``url`` until told to end."""

    def __init__(self, url: str, numbered: Numbered, *, sound: Sound = _tone, big: bool = False) -> None:
        self._url, self._numbered, self._sound, self._big = url, numbered, sound, big
        self.over = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="test camera")

    def __enter__(self) -> _Camera:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._thread.join(20)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            asyncio.run(self._send())
        except BaseException as error:
            self.error = error

    async def _send(self) -> None:
        from av.audio.frame import AudioFrame
        from av.video.frame import VideoFrame

        from edgevid.media.webrtc.tracks import OutgoingTrack

        peer, loop = _peer(), asyncio.get_running_loop()
        video = OutgoingTrack("video", loop=loop, most=1)
        audio = OutgoingTrack("audio", loop=loop, most=50)
        peer.addTrack(video)
        peer.addTrack(audio)
        answer = await _call(peer, self._url)
        began_s, number = loop.time(), 0
        while not self.over.is_set():
            image = self._numbered(number)
            if self._big and number >= 10:
                image = np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)
            frame = VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number * 3600, Fraction(1, 90_000)
            video.offer(frame)
            for part in range(2):
                start = (2 * number + part) * 960
                samples = np.rint(self._sound(start, 960) * 32767).astype(np.int16).reshape(1, -1)
                sound = AudioFrame.from_ndarray(samples, format="s16", layout="mono")
                sound.sample_rate, sound.pts, sound.time_base = _RATE, start, Fraction(1, _RATE)
                audio.offer(sound)
            number += 1
            await asyncio.sleep(max(0.0, began_s + number / 25 - loop.time()))
        async with httpx.AsyncClient() as client:
            with suppress(httpx.HTTPError):  # the other side may have gone first
                await client.delete(str(httpx.URL(self._url).join(answer.headers["location"])))
        await peer.close()


def _loudest_hz(samples: npt.NDArray[Any], rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(np.argmax(spectrum) * rate / samples.size)


def test_a_peer_that_sends_is_a_live_source(aiortc: Any, numbered: Numbered, read_number: ReadNumber) -> None:
    port = _free_port()
    frames: list[Frame] = []
    chunks: list[AudioChunk] = []
    with (
        _Camera(f"http://127.0.0.1:{port}/whip", numbered, big=True),
        open_source(f"webrtc://127.0.0.1:{port}") as source,
    ):
        assert source.info.live and source.info.has_video and source.info.has_audio
        for item in source.read(chunk_s=0.1):
            (frames if isinstance(item, Frame) else chunks).append(item)  # type: ignore[arg-type]
            if len(chunks) >= 20 and len(frames) >= 20:
                break
        live = source.stats.live
        assert live is not None and live.connected and live.attempts == 1
    numbers = [read_number(frame.image) for frame in frames]
    assert numbers == sorted(numbers) and len(set(numbers)) > 10
    assert {frame.image.shape for frame in frames} == {(source.info.height, source.info.width, 3)}
    times = [frame.pts_ns for frame in frames]
    assert times == sorted(set(times))
    sound = np.concatenate([chunk.samples for chunk in chunks[-8:]])
    assert _loudest_hz(sound, 16_000) == pytest.approx(440, abs=4)
    assert abs(chunks[-1].pts_ns - frames[-1].pts_ns) < 2_000_000_000
    assert not [t.name for t in threading.enumerate() if t.name.startswith("webrtc")]


def test_sound_stays_with_its_picture(aiortc: Any) -> None:
    """Pictures are bright and a tone sounds in the first fifth of each second."""

    def picture(number: int) -> npt.NDArray[np.uint8]:
        return np.full((96, 160, 3), 230 if number % 25 < 5 else 20, np.uint8)

    def sound(start: int, size: int) -> npt.NDArray[np.float32]:
        return _tone(start, size) * np.float32(start // 1920 % 25 < 5)

    port = _free_port()
    bright: list[int] = []
    loud: list[int] = []
    was_bright = was_loud = True
    with (
        _Camera(f"http://127.0.0.1:{port}/whip", picture, sound=sound),
        open_source(f"webrtc://127.0.0.1:{port}") as source,
    ):
        for item in source.read(sample_rate=_RATE, chunk_s=0.01):
            if isinstance(item, Frame):
                is_bright = bool(item.image.mean() > 120)
                if is_bright and not was_bright:
                    bright.append(item.pts_ns)
                was_bright = is_bright
            else:
                is_loud = bool(np.abs(item.samples).max() > 0.1)
                if is_loud and not was_loud:
                    loud.append(item.pts_ns)
                was_loud = is_loud
            if len(bright) >= 5 and len(loud) >= 5:
                break
    late_ms = [min((heard - seen for heard in loud), key=abs) / 1e6 for seen in bright]
    assert -40 <= np.median(late_ms) <= 60  # EBU R37


def test_the_next_peer_goes_on_where_the_first_left(aiortc: Any, numbered: Numbered) -> None:
    port = _free_port()
    url = f"http://127.0.0.1:{port}/whip"
    with _Camera(url, numbered) as first, open_source(f"webrtc://127.0.0.1:{port}") as source:
        frames = source.frames()
        before = next(frames)
        refused = httpx.post(url, content="v=0", headers={"Content-Type": "application/sdp"})
        assert refused.status_code == 503
        first.over.set()
        with _Camera(url, numbered):
            after = next(frame for frame in frames if frame.wall_ns and source.stats.live.reconnects)
        live = source.stats.live
    assert after.pts_ns > before.pts_ns and live.gaps == 1


def test_viewers_see_and_hear_what_is_written(
    aiortc: Any, numbered: Numbered, read_number: ReadNumber
) -> None:
    port = _free_port()
    target = f"webrtc://127.0.0.1:{port}"
    sink = open_sink(
        target, width=160, height=96, fps=25, sample_rate=_RATE, metadata={"title": "AI-dubbed (es)"}
    )
    assert isinstance(sink, LiveSink)
    over = threading.Event()

    def play() -> None:
        with sink:
            began_s, number = time.monotonic(), 0
            while not over.is_set():
                sink.write(numbered(number), pts_ns=number * 40_000_000)
                sink.write_audio(_tone(number * 1920, 1920))
                number += 1
                time.sleep(max(0.0, began_s + number / 25 - time.monotonic()))

    async def watch() -> tuple[list[int], npt.NDArray[Any], str]:
        peer = _peer()
        lines = [peer.addTransceiver(kind, direction="recvonly") for kind in ("video", "audio")]
        answer = await _call(peer, f"http://127.0.0.1:{port}/whep")
        numbers, heard = [], []
        for _ in range(20):
            frame = await asyncio.wait_for(lines[0].receiver.track.recv(), 20)
            numbers.append(read_number(frame.to_ndarray(format="rgb24")))
        for _ in range(50):
            frame = await asyncio.wait_for(lines[1].receiver.track.recv(), 20)
            heard.append(frame.to_ndarray().reshape(-1, 2)[:, 0])
        await peer.close()
        return numbers, np.concatenate(heard) / 32768, answer.text

    player = threading.Thread(target=play, name="test player")
    player.start()
    try:
        said = _page_once_up(port)
        numbers, heard, description = asyncio.run(watch())
    finally:
        over.set()
        player.join(20)
    assert not player.is_alive()
    assert "<title>AI-dubbed (es)</title>" in said and '"whep"' in said
    assert "\ns=AI-dubbed (es)\r\n" in description and "VP8/90000" in description
    assert numbers == sorted(numbers) and len(set(numbers)) > 10
    assert _loudest_hz(heard[-24_000:], _RATE) == pytest.approx(440, abs=4)
    assert sink.stats.received == sink.stats.written + sink.stats.dropped
    assert not [t.name for t in threading.enumerate() if t.name.startswith("webrtc")]


def _page_once_up(port: int) -> str:
    for _ in range(100):
        try:
            return httpx.get(f"http://127.0.0.1:{port}/").text
        except httpx.ConnectError:
            time.sleep(0.1)
    raise AssertionError("nothing listens")


def test_what_is_no_offer_is_refused(aiortc: Any) -> None:
    sdp = {"Content-Type": "application/sdp"}
    with open_sink("webrtc://127.0.0.1:0", width=16, height=16, fps=5) as sink:
        url = f"http://127.0.0.1:{sink._writer.endpoint.port}/whep"  # type: ignore[union-attr]
        assert httpx.post(url, content="v=0").status_code == 415
        assert httpx.post(url, content="x" * 70_000, headers=sdp).status_code == 413
        assert httpx.post(url, content="v=0", headers={**sdp, "Host": "evil.example"}).status_code == 403
        for wrong in ("", "v=0", "nonsense", "v=0\r\no=- 1 1 IN IP4 0\r\ns=-\r\nt=0 0\r\nm=video", b"\xff\0"):
            answer = httpx.post(url, content=wrong, headers=sdp)
            assert answer.status_code in (201, 400) and len(answer.text.splitlines()) < 20
        assert httpx.delete(f"{url}/nobody").status_code == 404
        assert httpx.get(url).status_code == 405


def test_an_offer_that_does_not_come_whole(
    aiortc: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edgevid.media.webrtc.endpoint._OFFER_S", 0.2)
    lines = ("POST /whep HTTP/1.1", "Host: localhost", "Content-Type: application/sdp", "Content-Length: 9")
    head = "\r\n".join([*lines, "", "v=0"])
    with open_sink("webrtc://127.0.0.1:0", width=16, height=16, fps=5) as sink:
        port = sink._writer.endpoint.port  # type: ignore[union-attr]
        _page_once_up(port)
        with socket.create_connection(("127.0.0.1", port)) as leaving:
            leaving.sendall(head.encode())
        with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
            slow.sendall(head.encode())
            assert b" 408 " in slow.recv(4096)
        for wrong in ("[", "[::1"):
            answer = httpx.post(f"http://127.0.0.1:{port}/whep", headers={"Host": wrong})
            assert answer.status_code == 403
    assert not caplog.records


def test_offers_that_fail_or_never_connect_leave_nothing(
    aiortc: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from edgevid.media.webrtc.source import WebRtcReceiver

    async def offered() -> str:
        peer = _peer()
        for kind in ("video", "audio"):
            peer.addTransceiver(kind)
        await peer.setLocalDescription(await peer.createOffer())
        await peer.close()
        return str(peer.localDescription.sdp)

    monkeypatch.setattr("edgevid.media.webrtc.endpoint._CONNECT_S", 0.1)
    offer, sdp = asyncio.run(offered()), {"Content-Type": "application/sdp"}
    receiver = WebRtcReceiver(
        parse_uri("webrtc://127.0.0.1:0"), Intake(ReadStats(live=LiveStats())), limits=MediaLimits()
    )
    receiver.start()
    _page_once_up(receiver.endpoint.port)
    url = httpx.URL(f"http://127.0.0.1:{receiver.endpoint.port}/whip")
    for _ in range(3):
        assert httpx.post(url, content=offer.replace("a=mid:0\r\n", ""), headers=sdp).status_code == 400
        answer = httpx.post(url, content=offer, headers=sdp)
        assert answer.status_code == 201
        assert httpx.delete(url.join(answer.headers["location"])).status_code == 200
    for _ in range(100):
        if not receiver.endpoint._tasks:
            break
        time.sleep(0.1)
    assert not receiver.endpoint._tasks and not receiver.endpoint._peers
    assert not [record for record in caplog.records if record.name != "aioice.ice"]
    receiver.close()


def test_nobody_comes_and_closing_while_waiting(aiortc: Any) -> None:
    from edgevid.media.webrtc.source import WebRtcReceiver

    uri = parse_uri("webrtc://127.0.0.1:0")
    receiver = WebRtcReceiver(uri, Intake(ReadStats(live=LiveStats())), limits=MediaLimits())
    receiver.start()
    with pytest.raises(BadInputError, match="nobody came") as raised:
        receiver.wait_ready(0.3)
    assert "in a browser" in str(raised.value.fix)
    threading.Timer(0.3, receiver.close).start()
    with pytest.raises(BadInputError, match="was closed"):
        receiver.wait_ready()
    receiver.close()


def test_pictures_over_the_limit_end_it(aiortc: Any, numbered: Numbered) -> None:
    port = _free_port()
    with _Camera(f"http://127.0.0.1:{port}/whip", numbered), pytest.raises(LimitError, match="webrtc://"):
        open_source(f"webrtc://127.0.0.1:{port}", limits=MediaLimits(max_pixels=1000))


def test_an_address_that_is_taken(aiortc: Any) -> None:
    with open_sink("webrtc://127.0.0.1:0", width=16, height=16, fps=5) as sink:
        taken = f"webrtc://127.0.0.1:{sink._writer.endpoint.port}"  # type: ignore[union-attr]
        with pytest.raises(UsageError, match="cannot be listened on"):
            open_source(taken)


@pytest.mark.parametrize(
    "text", ["webrtc:x", "webrtc://", "webrtc://host", "webrtc://h:99999", "webrtc://h:1/x"]
)
def test_addresses_that_are_none(aiortc: Any, text: str) -> None:
    with pytest.raises(UsageError, match="no place to wait"):
        open_source(text)
    with pytest.raises(UsageError, match="no place to wait"):
        open_sink(text, width=16, height=16, fps=5)


def test_addresses() -> None:
    assert host_and_port("webrtc://0.0.0.0:8889/") == ("0.0.0.0", 8889)
    assert page("webrtc://0.0.0.0:8889") == "http://localhost:8889/"
    assert page("webrtc://[::1]:80") == "http://[::1]:80/"
    assert trusted("10.0.0.7:8889", "0.0.0.0") and trusted("localhost", "x") and trusted("[::1]:1", "x")
    assert trusted("Cam.local:1", "cam.local") and not trusted("evil.example", "cam.local")
    assert not any(trusted(header, "cam.local") for header in ("", "[", "[::1", "[x]"))


def test_without_aiortc_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "aiortc", None)
    for make in (
        lambda: open_source("webrtc://127.0.0.1:0"),
        lambda: open_sink("webrtc://127.0.0.1:0", width=16, height=16, fps=5),
    ):
        with pytest.raises(MissingPartError, match="aiortc") as raised:
            make()
        assert raised.value.fix == "pip install 'edgevid[webrtc]'"
