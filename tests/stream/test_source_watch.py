"""One watch after the other in one session: refused, stopped, failed, and what is told of each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgevid.core.errors import BadInputError, UsageError
from edgevid.media.source import open_source
from edgevid.memory.memory import Memory
from edgevid.runtime import CpuBudget
from edgevid.stream.session import StreamSession


@pytest.fixture
def session(memory: Memory) -> Iterator[StreamSession]:
    with StreamSession(memory=memory, channels=("cut",), budget=CpuBudget(cores=2)) as opened:
        yield opened


def test_arguments_out_of_range_leave_no_video_behind(session: StreamSession, clip: Path) -> None:
    with pytest.raises(UsageError, match="start_s is nan"):
        list(session.watch(clip, start_s=math.nan))
    assert session.memory.videos() == []
    assert not session.watched


def test_a_watch_that_was_stopped_before_it_began_ends_at_once(session: StreamSession, clip: Path) -> None:
    watching = session.watch(clip)
    session.stop()
    assert list(watching) == []
    assert session.memory.videos() == []
    assert [event.observation.kind for event in session.watch(clip)] == ["cut"]


def test_an_open_source_is_closed_at_the_end(session: StreamSession, clip: Path) -> None:
    source = open_source(clip)
    assert len(list(session.watch(source))) == 1
    with pytest.raises(UsageError, match="closed"):
        source.read()


def test_measurements_outlive_a_source_that_cannot_be_opened_again(
    session: StreamSession, clip: Path, tmp_path: Path
) -> None:
    assert session.stats()["frames"] == 0
    assert len(list(session.watch(clip))) == 1
    before = session.stats()
    assert before["frames"] == 9  # two a second, and the first one of the second shot
    assert before["elapsed_s"] > 0
    with pytest.raises(BadInputError):
        list(session.watch(tmp_path / "none.mp4"))
    after = session.stats()
    assert (after["frames"], after["elapsed_s"]) == (before["frames"], before["elapsed_s"])


def test_a_part_is_as_long_as_it_was_asked_for(memory: Memory, clip: Path) -> None:
    """Frames every 0.7 s: the period of the last one reaches past the end."""
    with StreamSession(memory=memory, channels=("cut",), fps=1 / 0.7) as session:
        list(session.watch(clip, end_s=3.0))
        assert session.stats()["media_s"] == 3.0
        assert memory.videos()[0].duration_ns == 3_000_000_000


def test_a_part_of_a_source_is_told_as_long_as_it_is(session: StreamSession, clip: Path) -> None:
    list(session.watch(clip, end_s=1.2))  # the period of the last frame reaches past it
    assert session.stats()["media_s"] == 1.2
    assert session.memory.videos()[-1].duration_ns == 1_200_000_000
