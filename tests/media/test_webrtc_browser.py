"""The page of WebRTC in a real browser: headless Chromium with the camera it makes up, no other network."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.core.nouns import AudioChunk, Frame
from edgevid.media.sink import open_sink
from edgevid.media.source import open_source

webdriver = pytest.importorskip("selenium.webdriver", reason="pip install 'edgevid[dev]'")
pytest.importorskip("aiortc", reason="pip install 'edgevid[webrtc]'")
_CHROMIUM, _DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not (_CHROMIUM and _DRIVER), reason="needs Chromium: apt-get install chromium chromium-driver"
)


@pytest.fixture
def browser() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = _CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        "--autoplay-policy=no-user-gesture-required",
        "--disable-features=WebRtcHideLocalIpsWithMdns",
    ):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(_DRIVER))
    yield driver
    driver.quit()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _until(holds: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited in vain: {what}")


def _open(browser: Any, port: int) -> None:
    def opened() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    _until(opened, "the server")
    browser.get(f"http://127.0.0.1:{port}/")
    browser.find_element("css selector", "button").click()


def test_a_browser_sends_its_camera(browser: Any) -> None:
    port = _free_port()
    caller = threading.Thread(target=_open, args=(browser, port), name="test caller")
    caller.start()
    frames = chunks = 0
    with open_source(f"webrtc://127.0.0.1:{port}") as source:
        caller.join()
        assert source.info.width > 100 and source.info.has_audio
        for item in source.read(chunk_s=0.1):
            frames += isinstance(item, Frame) and int(np.ptp(item.image)) > 50
            chunks += isinstance(item, AudioChunk)
            if frames >= 10 and chunks >= 10:
                break
    assert browser.find_element("css selector", "#state").text == "connected"


def test_a_browser_watches(browser: Any) -> None:
    port, over = _free_port(), threading.Event()

    def play() -> None:
        sink = open_sink(
            f"webrtc://127.0.0.1:{port}",
            width=160,
            height=96,
            fps=25,
            sample_rate=48_000,
            metadata={"title": "AI-dubbed (es)"},
        )
        image: npt.NDArray[np.uint8] = np.full((96, 160, 3), (250, 20, 20), np.uint8)
        with sink:
            number = 0
            while not over.is_set():
                sink.write(image.copy(), pts_ns=number * 40_000_000)
                sink.write_audio(np.zeros(1920, np.float32))
                number += 1
                over.wait(0.04)

    player = threading.Thread(target=play, name="test player")
    player.start()
    try:
        _open(browser, port)
        assert browser.title == "AI-dubbed (es)"
        size = "const v = document.querySelector('video'); return [v.videoWidth, v.videoHeight]"
        _until(lambda: browser.execute_script(size) == [160, 96], "a picture of this size")
        colour = browser.execute_script(
            "const c = document.createElement('canvas').getContext('2d');"
            "c.drawImage(document.querySelector('video'), 0, 0);"
            "return Array.from(c.getImageData(80, 48, 1, 1).data)"
        )
        assert colour[0] > 200 and colour[1] < 80 and colour[2] < 80
        kinds = "return document.querySelector('video').srcObject.getTracks().map(t => t.kind).sort()"
        assert browser.execute_script(kinds) == ["audio", "video"]
        said = [line["message"] for line in browser.get_log("browser") if "favicon" not in line["message"]]
        assert said == []
    finally:
        over.set()
        player.join(20)
    assert not player.is_alive()
