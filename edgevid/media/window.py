"""A window on the desktop as a place for pictures, through SDL as the pygame-ce wheel brings it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgevid.core.errors import MissingPartError

if TYPE_CHECKING:
    from pygame import Surface

_TITLE = "edgevid"
_UNSEEN = ("dummy", "offscreen", "evdev")  # what SDL falls back to where no display can be reached
_ELSEWHERE = "write NAME.m3u8 or push to rtsp://, and open that in a player"


def press_ctrl_c() -> None:
    """Interrupt the main thread as Ctrl-C at the terminal does."""
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)


class Window:
    """Shows pictures, each as large as the window allows, its shape kept; sound is not played.

    A context manager, used from one thread. After the user has closed it, pictures go nowhere.

    Args:
        width, height: of the pictures; the window opens at this size, or smaller on a small screen.
        title: of the window.
        on_closed: called once when the user closes the window.

    Raises:
        MissingPartError: pygame-ce is not installed, or there is no display.
    """

    def __init__(
        self,
        *,
        width: int,
        height: int,
        title: str | None = None,
        on_closed: Callable[[], None] = press_ctrl_c,
    ) -> None:
        # SDL reads these when it is loaded: no greeting on stdout, and signals stay with the program.
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        os.environ.setdefault("SDL_NO_SIGNAL_HANDLERS", "1")
        try:
            import pygame
        except ModuleNotFoundError as error:
            raise MissingPartError("window: needs pygame-ce", fix="pip install 'edgevid[window]'") from error
        if not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")):
            raise MissingPartError("window: there is no display here", fix=_ELSEWHERE)
        self._pygame = pygame
        self._size = width, height
        self._title = title or _TITLE
        self._on_closed = on_closed
        self._screen: Surface | None = None

    def __enter__(self) -> Window:
        pygame = self._pygame
        try:
            pygame.display.init()
            if pygame.display.get_driver() in _UNSEEN and not os.environ.get("SDL_VIDEODRIVER"):
                raise pygame.error("the display does not answer")
            most_wide, most_high = pygame.display.get_desktop_sizes()[0]
            width, height = self._size
            self._screen = pygame.display.set_mode(
                fitted(width, height, min(width, most_wide), min(height, most_high)), pygame.RESIZABLE
            )
        except pygame.error as error:
            pygame.display.quit()
            raise MissingPartError(f"window: cannot be opened: {error}", fix=_ELSEWHERE) from None
        pygame.display.set_caption(self._title)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._screen = None
        self._pygame.display.quit()

    def tend(self) -> None:
        """Answer the desktop; to be called some times a second, or it takes the window for hung."""
        if self._screen is None:
            return
        if any(event.type == self._pygame.QUIT for event in self._pygame.event.get()):
            self._screen = None
            self._pygame.display.quit()
            self._on_closed()

    def write(self, image: npt.NDArray[np.uint8], *, pts_ns: int | None = None) -> None:
        """Show uint8 [height, width, 3] RGB now, whatever its time."""
        if self._screen is None:
            return
        pygame = self._pygame
        screen = pygame.display.get_surface()  # another one after the user has changed its size
        height, width = image.shape[:2]
        picture = pygame.image.frombuffer(np.ascontiguousarray(image), (width, height), "RGB")
        size = fitted(width, height, *screen.get_size())
        if size != (width, height):
            picture = pygame.transform.smoothscale(picture, size)
        screen.fill((0, 0, 0))
        screen.blit(picture, picture.get_rect(center=screen.get_rect().center))
        pygame.display.flip()

    def write_audio(self, samples: npt.NDArray[np.float32]) -> None:
        """Take float32 [n] samples and play nothing."""


def fitted(width: int, height: int, most_wide: int, most_high: int) -> tuple[int, int]:
    """The largest size within ``most_wide`` x ``most_high`` that has the shape of ``width`` x ``height``."""
    factor = min(most_wide / width, most_high / height)
    return max(1, round(width * factor)), max(1, round(height * factor))
