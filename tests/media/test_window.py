from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.core.errors import MissingPartError
from edgevid.media.sink import LiveSink, open_sink
from edgevid.media.source import open_source
from edgevid.media.window import Window, fitted

Picture = npt.NDArray[np.uint8]
Numbered = Callable[[int], Picture]
ReadNumber = Callable[[Picture], int]

_NAMES = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")


@pytest.fixture
def pygame_ce() -> None:
    pytest.importorskip("pygame", reason="needs pygame-ce: pip install 'edgevid[window]'")


@pytest.fixture
def in_memory(pygame_ce: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """SDL's own driver without a screen."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


@pytest.fixture
def display(pygame_ce: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Name of an X display of 320x240 pixels, black, and SDL pointed at it."""
    program = shutil.which("Xvfb")
    if program is None:
        pytest.skip("needs Xvfb: apt-get install xvfb")
    with subprocess.Popen(
        [program, "-br", "-displayfd", "1", "-screen", "0", "320x240x24"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            assert server.stdout is not None
            name = f":{server.stdout.readline().decode().strip()}"
            for variable in _NAMES:
                monkeypatch.delenv(variable, raising=False)
            monkeypatch.setenv("DISPLAY", name)
            yield name
        finally:
            server.terminate()


def _lit(screen: Picture) -> Picture:
    """What is not black of a screen."""
    rows, columns = (np.flatnonzero((screen > 16).any(axis=(axis, 2))) for axis in (1, 0))
    if not rows.size:
        return screen[:0, :0]
    return screen[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _alike(a: Picture, b: Picture) -> bool:
    """Equal but for the pointer, which lies over the middle of the screen."""
    return a.shape == b.shape and float((a == b).mean()) > 0.97


def test_the_screen_shows_the_newest_picture(display: str, numbered: Numbered) -> None:
    with open_sink("window:", width=160, height=96, fps=25) as sink, open_source(f"screen:{display}") as eye:
        assert isinstance(sink, LiveSink)
        for number in (5, 341, 682):
            sink.write(numbered(number))
            looks = (_lit(frame.image) for frame, _ in zip(eye.frames(), range(200)))
            assert any(_alike(picture, numbered(number)) for picture in looks)
    assert sink.stats.received == 3 == sink.stats.written + sink.stats.dropped


def test_a_picture_larger_than_the_screen_is_made_smaller(display: str) -> None:
    with open_sink("window:", width=960, height=480, fps=25) as sink, open_source(f"screen:{display}") as eye:
        sink.write(np.full((480, 960, 3), 200, np.uint8))
        looks = (_lit(frame.image) for frame, _ in zip(eye.frames(), range(200)))
        assert any(picture.shape == (160, 320, 3) for picture in looks)


def test_the_window_has_the_title_it_is_given(in_memory: None) -> None:
    import pygame

    for title, shown in (("AI-dubbed (es)", "AI-dubbed (es)"), (None, "edgevid")):
        with Window(width=160, height=96, title=title):
            assert pygame.display.get_caption()[0] == shown


def test_closing_the_window_is_ctrl_c(in_memory: None, numbered: Numbered) -> None:
    import pygame

    def close() -> None:
        while not pygame.display.get_init():
            time.sleep(0.01)
        pygame.event.post(pygame.event.Event(pygame.QUIT))

    with (
        pytest.raises(KeyboardInterrupt),
        open_sink("window:", width=160, height=96, fps=25, sample_rate=16_000) as sink,
    ):
        threading.Thread(target=close, name="test user").start()
        for number in range(1000):
            sink.write(numbered(number))
            sink.write_audio(np.zeros(160, np.float32))
            time.sleep(0.01)
    assert not pygame.display.get_init()


class SlowWindow(Window):
    """Takes as long as five pictures."""

    def __init__(self) -> None:
        super().__init__(width=160, height=96)
        self.shown: list[Picture] = []

    def write(self, image: Picture, *, pts_ns: int | None = None) -> None:
        super().write(image, pts_ns=pts_ns)
        self.shown.append(image)
        time.sleep(0.1)


def test_a_slow_screen_costs_pictures_and_shows_the_newest(
    in_memory: None, numbered: Numbered, read_number: ReadNumber
) -> None:
    window = SlowWindow()
    with LiveSink(window, "window:", sample_rate=None, tend=window.tend) as sink:
        for number in range(50):
            sink.write(numbered(number))
            time.sleep(0.02)
    numbers = [read_number(picture) for picture in window.shown]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 49
    assert sink.stats.received == 50 == sink.stats.written + sink.stats.dropped
    assert sink.stats.dropped > 10


def test_without_a_display(pygame_ce: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in _NAMES:
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(MissingPartError, match="window: there is no display here"):
        open_sink("window:", width=8, height=8, fps=1)
    monkeypatch.setenv("DISPLAY", ":65000")
    with (
        pytest.raises(MissingPartError, match="window: cannot be opened"),
        open_sink("window:", width=8, height=8, fps=1) as sink,
    ):
        for _ in range(1000):
            sink.write(np.zeros((8, 8, 3), np.uint8))
            time.sleep(0.01)


def test_without_pygame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(MissingPartError, match="needs pygame-ce") as caught:
        open_sink("window:", width=8, height=8, fps=1)
    assert caught.value.fix == "pip install 'edgevid[window]'"


def test_fitted_keeps_the_shape() -> None:
    assert fitted(1920, 1080, 960, 960) == (960, 540)
    assert fitted(160, 96, 320, 240) == (320, 192)
    assert fitted(4000, 1, 100, 100) == (100, 1)
