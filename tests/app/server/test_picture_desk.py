"""Pictures in chats: whatever fails, no file stays open and nothing stays in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgevid.app.server import pictures
from edgevid.app.server.pictures import Picture, PictureDesk
from edgevid.core.errors import BadInputError, MissingPartError, UsageError
from edgevid.media.png import encode_png
from edgevid.media.source import Source
from edgevid.models.store import ModelStore
from edgevid.stream.session import StreamSession

GREY = Picture("png", encode_png(np.full((48, 64, 3), 128, np.uint8)))


@pytest.fixture
def desk() -> PictureDesk:
    return PictureDesk(ModelStore(), threads=1)


def test_models_that_are_missing_leave_no_file_open(
    desk: PictureDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Source] = []

    def load() -> StreamSession:
        raise MissingPartError("no eyes")

    def open_(path: Path) -> Source:
        opened.append(_open(path))
        return opened[0]

    _open = pictures._open
    monkeypatch.setattr(pictures, "_open", open_)
    monkeypatch.setattr(desk, "_load", load)
    with pytest.raises(MissingPartError):
        desk.ask(GREY, "What is it?")
    with pytest.raises(UsageError, match="closed"):
        opened[0].read()


def test_a_picture_that_breaks_while_it_is_looked_at_is_forgotten(
    desk: PictureDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(video_id: int, end_ns: int) -> None:
        raise BadInputError("broken")

    with StreamSession(channels=("cut",), threads=1) as session:
        monkeypatch.setattr(desk, "_load", lambda: session)
        with monkeypatch.context() as patch, pytest.raises(BadInputError):
            patch.setattr(session.memory, "set_watched", broken)
            desk.ask(GREY, "What is it?")
        assert session.memory.videos() == []
        answer, seen = desk.ask(GREY, "What is it?")
        assert answer.text
        assert seen == []
        assert session.memory.videos() == []
    desk.close()
