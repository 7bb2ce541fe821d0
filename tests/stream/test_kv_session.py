"""What a decoder has seen, beside the timeline: kept, found again, told what it missed, forgotten."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevid.core.errors import BadInputError
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.core.nouns import NS_PER_S, Frame, Observation, TimeSpan
from edgevid.memory.erasing import Retention
from edgevid.memory.memory import Memory
from edgevid.models.native_llm import NativeLanguageModel
from edgevid.stream.answer.vocabulary import Vocabulary
from edgevid.stream.follower import Follower
from edgevid.stream.kv_session import Point, beside, forget_old, kv_file, kv_files
from tests.models.tiny_gguf import TinyModel, write_tiny

RETRIEVAL = RetrievalConfig(segment=32, recent=16, clusters=8, min_sealed=0)
KV = KVConfig(page_size=16, sinks=16, retrieval=RETRIEVAL)
NOTHING = Vocabulary(objects=(), classes=(), sounds=())


class Rows:
    """Ten rows that depend on the time of the frame."""

    name = "rows"

    def __call__(self, frame: Frame) -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.random.default_rng(frame.pts_ns).standard_normal((10, 256), dtype=np.float32)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf", TinyModel(context=1024))


def follower(tiny: Path, session: Path | None) -> Follower:
    kv = KV if session is None else beside(session, KV)
    return Follower(
        NativeLanguageModel(tiny, kv=kv),
        name="tiny",
        speaks=False,
        encoder=Rows(),
        vocabulary=NOTHING,
        session_file=None if session is None else Path(str(kv.session_file)),
    )


def see(follower: Follower, seconds: range) -> None:
    for second in seconds:
        follower.see(Frame(np.zeros((4, 4, 3), np.uint8), second * NS_PER_S, second))


def video(memory: Memory) -> int:
    return memory.add_video("x", width=4, height=4, has_audio=False, channels=["object"])


def test_points_and_names(tmp_path: Path) -> None:
    point = Point(7, 3_600_123_000_000)
    assert Point.of_mark(point.to_mark()) == point
    day = tmp_path / "day.edgevid"
    assert kv_file(day).name == "day.edgevid.kv"
    assert kv_file(day, "../front door").name == "day.edgevid.___front_door.kv"
    assert beside(day, None).retrieval is not None
    assert beside(day, KVConfig(session_file="own.kv")).session_file == "own.kv"


def test_an_orderly_end_loses_nothing(tiny: Path, memory: Memory, tmp_path: Path) -> None:
    whole = follower(tiny, None)
    whole.begin(memory, video(memory))
    see(whole, range(12))
    want = whole.stats()["seen_tokens"]
    whole.close()
    for seconds in (range(7), range(7, 12)):
        parts = follower(tiny, tmp_path / "day")
        parts.begin(memory, video(memory))
        see(parts, seconds)
        parts.checkpoint()
        assert parts.stats()["seen_tokens"] == (want if seconds.stop == 12 else want - 50)
        parts.close()


def test_a_past_goes_on_from_video_to_video(tiny: Path, memory: Memory, tmp_path: Path) -> None:
    one = follower(tiny, tmp_path / "day")
    one.begin(memory, video(memory))
    see(one, range(5))
    seen = one.stats()["seen_tokens"]
    one.begin(memory, video(memory))
    assert one.stats()["seen_tokens"] == seen
    with pytest.raises(BadInputError, match="in use"):
        follower(tiny, tmp_path / "day").begin(memory, 1)
    one.close()


def test_rows_newer_than_the_past_are_told_again(tiny: Path, memory: Memory, tmp_path: Path) -> None:
    killed = follower(tiny, tmp_path / "day")
    first = video(memory)
    killed.begin(memory, first)
    see(killed, range(30))
    killed.close()  # what is not sealed is lost, as with kill -9
    session = NativeLanguageModel(tiny, kv=KV).new_sequence(session_file=kv_file(tmp_path / "day"))
    kept, last = session.length, Point.of_mark(session.mark)
    session.close()
    assert last.video_id == first
    assert 20 * NS_PER_S <= last.pts_ns < 29 * NS_PER_S
    for second in (3, 29):
        span = TimeSpan(second * NS_PER_S, (second + 1) * NS_PER_S)
        memory.add(first, Observation("object", f"cat{second}", span, 0.5))
    resumed = follower(tiny, tmp_path / "day")
    resumed.begin(memory, video(memory))
    assert resumed.stats()["seen_tokens"] == kept + len("0:29 cat29\n")
    resumed.close()


def test_a_saved_past_can_be_opened(tiny: Path, memory: Memory, tmp_path: Path) -> None:
    one = follower(tiny, None)
    one.begin(memory, video(memory))
    see(one, range(9))
    one.save(kv_file(tmp_path / "day"))
    seen = one.stats()["seen_tokens"]
    one.close()
    two = follower(tiny, tmp_path / "day")
    two.begin(memory, video(memory))
    assert two.stats()["seen_tokens"] == seen
    see(two, range(9, 11))
    two.save(kv_file(tmp_path / "day"))  # its own
    two.close()
    three = follower(tiny, tmp_path / "day")
    three.begin(memory, video(memory))
    assert three.stats()["seen_tokens"] == seen + 20
    three.close()


def test_old_and_large_files_are_not_kept(tmp_path: Path) -> None:
    path = kv_file(tmp_path / "day")
    path.write_bytes(b"x" * 100)
    for keep in (None, Retention(), Retention(max_age_s=60.0), Retention(max_bytes=100)):
        forget_old(path, keep)
        assert kv_files(tmp_path / "day") == [path]
    os.utime(path, (1, 1))
    forget_old(path, Retention(max_age_s=60.0))
    assert not path.exists()
    path.write_bytes(b"x" * 101)
    forget_old(path, Retention(max_bytes=100))
    assert not path.exists()
    forget_old(path, Retention(max_bytes=100))
