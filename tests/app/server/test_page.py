"""The page in a real browser: headless Chromium, no network but 127.0.0.1, no error in its console.

The pictures in docs/ are taken anew by
``EDGEVID_SCREENSHOTS=docs/images python -m pytest tests/app/server/test_page.py -k screenshots``.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from edgevid.app.server.settings import Settings
from edgevid.media.encode import VideoWriter
from edgevid.models.store import ModelStore
from tests.app.server.conftest import serving

webdriver = pytest.importorskip("selenium.webdriver", reason="pip install 'edgevid[dev]'")
StaleElementReferenceException = pytest.importorskip("selenium.common").StaleElementReferenceException
_CHROMIUM, _DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
_SIZE = (1280, 1100)

pytestmark = pytest.mark.skipif(
    not (_CHROMIUM and _DRIVER), reason="needs Chromium: apt-get install chromium chromium-driver"
)


class Browser:
    """Chromium on one page; finds things by CSS selector and waits for them."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def all(self, css: str) -> list[Any]:
        found: list[Any] = self.driver.find_elements("css selector", css)
        return found

    def one(self, css: str) -> Any:
        """The first match, once there is one that can be seen."""
        return self.until(lambda: next((e for e in self.all(css) if e.is_displayed()), None), css)

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(StaleElementReferenceException):  # the page has just drawn it anew
                if found := holds():
                    return found
            time.sleep(0.05)
        raise AssertionError(f"waited in vain: {what}")

    def click(self, css: str) -> None:
        """Click the first match that can be seen."""

        def clicked() -> bool:
            self.one(css).click()
            return True

        self.until(clicked, f"a click on {css}")

    def text(self, css: str) -> str:
        """What one reads there, even if nothing."""
        return str(self.run(f"return document.querySelector({css!r})?.innerText ?? ''"))

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def watch(self, name: str) -> None:
        """Start a session by hand and wait for its end."""
        field = self.one("#source")
        field.clear()
        field.send_keys(name)
        self.click("#watch button")
        self.until(lambda: self.text("#now") == name, f"{name} is chosen")
        self.until(lambda: self.text("#state") == "done", f"{name} is watched")

    def ask(self, question: str) -> str:
        """Ask and wait for the answer."""
        known = len(self.all("#answers > li:not(.waiting)"))
        self.until(lambda: self.one("#question").is_enabled(), "one may ask")
        self.one("#question").send_keys(question)
        self.click("#ask button")
        self.until(lambda: len(self.all("#answers > li:not(.waiting)")) > known, "an answer")
        return self.text("#answers > li:last-child")

    def hosts(self) -> set[str]:
        """Every host that anything was asked of since the test began."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return {urlsplit(url).netloc for url in urls if url.startswith(("http", "ws", "ftp"))}

    def complaints(self) -> list[str]:
        """Errors and warnings in the console."""
        return [e["message"] for e in self.driver.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = _CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",  # Chromium refuses to run as root with it
        "--disable-dev-shm-usage",
        "--disable-gpu",
        f"--window-size={_SIZE[0]},{_SIZE[1]}",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(_DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def browser(chromium: Any) -> Browser:
    """A browser that remembers nothing of earlier tests."""
    chromium.get("about:blank")
    chromium.delete_all_cookies()
    for log in ("browser", "performance"):
        chromium.get_log(log)
    return Browser(chromium)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same two scenes as WebM, which Chromium plays, and as raw Y4M, which it does not."""
    folder = tmp_path_factory.mktemp("films")
    y, x = np.mgrid[0:240, 0:320]
    first = np.stack([x % 256, y, 255 - y], axis=2).astype(np.uint8)
    second = 255 - np.roll(first, 90, axis=1) // 2
    with VideoWriter(folder / "film.webm", width=320, height=240, fps=8) as writer:
        for i in range(64):
            writer.write(np.roll(first if i < 32 else second, i % 24, axis=1))
    with (folder / "raw.y4m").open("wb") as file:
        file.write(b"YUV4MPEG2 W320 H240 F8:1 Ip A1:1 Cmono\n")
        for i in range(32):
            grey = np.roll(first if i < 16 else second, i % 24, axis=1)[:, :, 0]
            file.write(b"FRAME\n" + np.ascontiguousarray(grey).tobytes())
    return folder


def test_one_watches_asks_and_plays_the_evidence(browser: Browser, films: Path) -> None:
    with serving(Settings(roots=(films,))) as served:
        browser.driver.get(served.url)
        browser.until(lambda: "Nothing has been watched" in browser.text("#blank"), "the empty page")
        browser.watch("film.webm")
        browser.until(lambda: "cut" in browser.text("#events"), "events")
        browser.until(
            lambda: browser.all("#live")[0].get_attribute("src").startswith("blob:"), "a live frame"
        )
        assert browser.run("return live.naturalWidth") == 320
        browser.until(lambda: "decode" in browser.text("#stages"), "stage latencies")
        assert "2 scenes" in browser.ask("How many scenes are there?")
        browser.click(".evidence button")
        browser.until(
            lambda: browser.run("return player.readyState >= 2 && player.currentTime >= 3.8"),
            "the recording stands at the evidence",
        )
        assert browser.run("return player.currentTime") < 7
        assert browser.hosts() == {f"127.0.0.1:{served.port}"}
        assert browser.complaints() == []


def test_a_file_the_browser_cannot_play_is_shown_as_pictures(browser: Browser, films: Path) -> None:
    with serving(Settings(roots=(films,))) as served:
        browser.driver.get(served.url)
        browser.watch("raw.y4m")
        browser.click("#events button")
        browser.until(lambda: "cannot play" in browser.text("#caption"), "the still picture")
        browser.until(lambda: browser.run("return live.naturalWidth") == 320, "picture")


def test_what_goes_wrong_is_said_on_the_page(browser: Browser, films: Path) -> None:
    with serving(Settings(roots=(films,))) as served:
        browser.driver.get(served.url)
        browser.one("#source").send_keys("../../etc/passwd")
        browser.click("#watch button")
        browser.until(lambda: "no such media file" in browser.text("#watch-note"), "the refusal")
    browser.until(lambda: browser.text("#link") == "not connected", "the lost server")


def test_words_from_a_video_are_never_markup(browser: Browser, films: Path) -> None:
    name = "<img src=x onerror=alert(1)>.webm"
    shutil.copy(films / "film.webm", films / name)
    try:
        with serving(Settings(roots=(films,))) as served:
            browser.driver.get(served.url)
            browser.watch(name)
            assert browser.run("return document.querySelectorAll('img[src=x]').length") == 0
            assert name in browser.text("#videos")
            assert browser.complaints() == []
    finally:
        (films / name).unlink()


def test_with_a_token_the_page_asks_for_it(browser: Browser, films: Path) -> None:
    token = "0123456789abcdef-correct"
    with serving(Settings(roots=(films,), token=token)) as served:
        browser.driver.get(served.url)
        browser.one("#token").send_keys("wrong")
        browser.click("#login button")
        browser.until(lambda: "not the token" in browser.text("#login-note"), "the refusal")
        browser.one("#token").clear()
        browser.one("#token").send_keys(token)
        browser.click("#login button")
        browser.until(lambda: not browser.all("#login[open]"), "the page opens")
        browser.watch("film.webm")


@pytest.mark.packs
@pytest.mark.skipif("EDGEVID_SCREENSHOTS" not in os.environ, reason="EDGEVID_SCREENSHOTS names no folder")
def test_screenshots_for_the_documentation(browser: Browser, store: ModelStore, test_data: Path) -> None:
    store.where("centernet-coco")
    folder = Path(os.environ["EDGEVID_SCREENSHOTS"])
    with serving(Settings(roots=(test_data / "video",))) as served:
        _scheme(browser, "dark")
        browser.driver.get(served.url)
        _picture(browser, folder / "serve-empty.png")
        browser.one("#source").send_keys("intel_one-by-one-person-detection.mp4")
        browser.click("#watch button")
        browser.until(lambda: len(browser.all("#events button")) >= 8, "events")
        browser.until(lambda: browser.all("#stages tbody tr"), "stages")
        _picture(browser, folder / "serve-live.png")
        browser.click("#stop")
        _scheme(browser, "light")
        browser.watch("bikes.mp4")
        browser.ask("What is on the road?")
        browser.ask("How many cars are there?")
        browser.click("#answers > li:last-child .evidence button")
        browser.until(lambda: browser.run("return player.currentTime > 0 && player.paused"), "it has played")
        _picture(browser, folder / "serve-answer.png")


def _scheme(browser: Browser, name: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": name}]
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def _picture(browser: Browser, path: Path) -> None:
    """The window as it stands, at three quarters of its size."""
    browser.run("scrollTo(0, 0)")
    time.sleep(0.5)
    width, height = browser.run("return [innerWidth, innerHeight]")
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 0.75}
    shot = browser.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "clip": clip})
    path.write_bytes(base64.b64decode(shot["data"]))
    assert path.stat().st_size < 300_000, path
