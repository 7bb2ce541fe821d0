"""Several sources in one process: merged, one memory, one budget; one that fails leaves the others alone."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from edgevid.core.errors import EdgevidError
from edgevid.memory.memory import Memory
from edgevid.runtime import CpuBudget
from edgevid.stream.events import Event
from edgevid.stream.session import StreamSession
from edgevid.stream.several import Failed, Job, Several


def job(memory: Memory, label: str, source: Path, budget: CpuBudget) -> Job:
    session = StreamSession(memory=memory, channels=("cut",), label=label, budget=budget)
    return Job(session, source)


def test_events_of_all_sources_come_with_their_labels(clip: Path, tmp_path: Path) -> None:
    budget = CpuBudget(cores=2)
    with Memory(tmp_path / "m.edgevid") as memory:
        several = Several([job(memory, name, clip, budget) for name in "abc"])
        things = list(several)
        assert sorted(event.source for _, event in things if isinstance(event, Event)) == ["a", "b", "c"]
        assert sorted(video.label or "" for video in memory.videos()) == ["a", "b", "c"]
        for one in several.jobs:
            assert one.session.ask("How many cuts?").text.startswith("1 cut")
            assert one.session.stats()["source"] == one.session.label


def test_a_source_that_fails_leaves_the_others_alone(clip: Path, tmp_path: Path) -> None:
    budget = CpuBudget(cores=2)
    with Memory() as memory:
        jobs = [job(memory, "bad", tmp_path / "none.mp4", budget), job(memory, "good", clip, budget)]
        things = {j.session.label: thing for j, thing in Several(jobs) if j is not None}
    assert isinstance(things["bad"], Failed)
    assert isinstance(things["bad"].error, EdgevidError)
    assert isinstance(things["good"], Event)


def test_stop_ends_the_loop_and_posts_come_through(tmp_path: Path) -> None:
    long = tmp_path / "long.y4m"
    with long.open("wb") as file:
        file.write(b"YUV4MPEG2 W64 H48 F8:1 Ip A1:1 Cmono\n")
        for _ in range(20_000):
            file.write(b"FRAME\n" + bytes(64 * 48))
    with Memory() as memory:
        several = Several([job(memory, "long", long, CpuBudget(cores=2))])

        def interrupt() -> None:
            several.post("hello")
            time.sleep(0.2)
            several.stop()

        threading.Thread(target=interrupt).start()
        assert [thing for j, thing in several if j is None] == ["hello"]
        (video,) = memory.videos()
        assert (video.duration_ns or 0) < 2500 * 1_000_000_000
    assert not [t for t in threading.enumerate() if t.name == "edgevid-watch"]


def test_a_camera_that_is_off_is_told_once_and_tried_again(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgevid.stream.several._FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr("edgevid.stream.several._LONGEST_PAUSE_S", 0.1)
    camera = tmp_path / "camera.mp4"
    with Memory() as memory:
        session = StreamSession(memory=memory, channels=("cut",), label="camera", budget=CpuBudget(cores=2))
        things = []
        for _, thing in Several([Job(session, camera, again=True)]):
            things.append(thing)
            if isinstance(thing, Failed):
                time.sleep(0.5)  # some more tries fail
                camera.write_bytes(clip.read_bytes())
    assert [type(thing) for thing in things] == [Failed, Event]


def test_stopping_ends_the_wait_for_a_camera(tmp_path: Path) -> None:
    with Memory() as memory:
        session = StreamSession(memory=memory, channels=("cut",), budget=CpuBudget(cores=2))
        several = Several([Job(session, tmp_path / "none.mp4", again=True)])
        began_s = time.monotonic()
        for _ in several:
            several.stop()
        assert time.monotonic() - began_s < 2
