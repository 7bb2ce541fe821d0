"""A picture in a chat: perception looks at it once, and the question is answered from what it saw."""

from __future__ import annotations

import base64
import binascii
import re
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid.app.server.errors import HttpError, bad_request
from edgevid.app.server.settings import PICTURE_LIMITS, HttpLimits
from edgevid.core.errors import EdgevidError
from edgevid.core.nouns import Answer, Kind, Observation
from edgevid.media.source import open_source

if TYPE_CHECKING:
    from edgevid.media.source import Source
    from edgevid.models.store import ModelStore
    from edgevid.stream.session import StreamSession

_DATA_URI = re.compile(r"data:image/(png|jpeg|webp|gif|bmp);base64,")
_VISUAL: tuple[Kind, ...] = ("object", "class", "text")


@dataclass(frozen=True, slots=True)
class Picture:
    """Encoded bytes, not looked into yet; ``kind`` is what the client says they are."""

    kind: str
    data: bytes


def parse_picture(uri: str, limits: HttpLimits, *, param: str) -> Picture:
    """The picture in a ``data:`` URI.

    Raises:
        HttpError: 400 for another address (nothing is fetched) or broken base64, 413 when it is too large.
    """
    head = _DATA_URI.match(uri[:64])
    if head is None:
        raise bad_request(
            "a picture must be a data: URI",
            param=param,
            fix="data:image/png;base64,... (also jpeg, webp, gif, bmp)",
        )
    if (len(uri) - head.end()) * 3 // 4 > limits.picture_bytes + 2:
        raise HttpError(413, "too_large", f"the picture is over {limits.picture_bytes} bytes", param=param)
    try:
        return Picture(head.group(1), base64.b64decode(uri[head.end() :], validate=True))
    except (binascii.Error, ValueError):
        raise bad_request("the picture is no base64", param=param) from None


class PictureDesk:
    """Answers about single pictures, one after the other; models load at the first one."""

    def __init__(self, store: ModelStore, *, threads: int) -> None:
        self._store = store
        self._threads = threads
        self._lock = threading.Lock()
        self._session: StreamSession | None = None

    def ask(self, picture: Picture, question: str) -> tuple[Answer, list[Observation]]:
        """The answer, and all that was seen.

        Raises:
            BadInputError, LimitError: not a picture, or too many pixels.
            MissingPartError: a model pack is not installed.
        """
        with self._lock, tempfile.TemporaryDirectory(prefix="edgevid-") as folder:
            path = Path(folder) / f"picture.{picture.kind}"
            path.write_bytes(picture.data)
            opened = _open(path)
            try:
                session = self._session = self._session or self._load()
                for _ in session.watch(opened, end_s=1.0):  # one frame, were it an animation
                    pass
                rows = session.memory.rows(session.video_id)
                return session.ask(question), [row.observation for row in rows]
            finally:
                opened.close()
                self._forget()

    def close(self) -> None:
        """Give the models back, unless a picture is being looked at."""
        if self._lock.acquire(blocking=False):
            try:
                if self._session is not None:
                    self._session.close()
                    self._session = None
            finally:
                self._lock.release()

    def _forget(self) -> None:
        if self._session is not None:
            for video in self._session.memory.videos():
                self._session.memory.delete_video(video.id)

    def _load(self) -> StreamSession:
        from edgevid.stream.channels import choose
        from edgevid.stream.session import StreamSession

        kinds, _ = choose(self._store, None)
        channels = tuple(kind for kind in kinds if kind in _VISUAL)
        return StreamSession(channels=channels, fps=1.0, threads=self._threads, store=self._store)


def _open(path: Path) -> Source:
    try:
        return open_source(path, limits=PICTURE_LIMITS)
    except EdgevidError as error:
        error.message = error.message.replace(str(path), "the picture")
        raise
