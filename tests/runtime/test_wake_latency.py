"""Pipelines with a hard stage keep the cores from deep sleep while they run, and no longer."""

from __future__ import annotations

import os
import struct
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from edgevid.runtime import Pipeline, Workload
from edgevid.runtime import pipeline as pipeline_module
from edgevid.runtime.wake_latency import REQUEST, WakeLatency


def open_files(path: Path) -> int:
    """How many descriptors of this process are ``path``."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the descriptor of the listing itself
            found += descriptor.readlink() == path
    return found


@pytest.fixture
def request_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that stands for the kernel's, which needs root."""
    path = tmp_path / "cpu_dma_latency"
    path.touch()
    monkeypatch.setattr(pipeline_module, "WakeLatency", lambda: WakeLatency(path))
    return path


def run(workload: Workload, path: Path) -> tuple[int, int]:
    """Requests while a stage of ``workload`` works, and after the pipeline."""
    during: list[int] = []
    with Pipeline() as pipeline:
        one = pipeline.source("one", [1])
        pipeline.stage(
            "look", lambda n: during.append(open_files(path)), after=one, workload=workload, deadline_s=60
        )
        pipeline.run()
    return during[0], open_files(path)


def test_a_hard_stage_holds_it_while_it_runs(request_file: Path) -> None:
    assert run("hard", request_file) == (1, 0)
    (longest_us,) = struct.unpack("=i", request_file.read_bytes())
    assert 0 <= longest_us <= 100


@pytest.mark.parametrize("workload", ["soft", "background"])
def test_others_let_the_cores_sleep(request_file: Path, workload: Workload) -> None:
    assert run(workload, request_file) == (0, 0)


def test_a_hung_stage_does_not_keep_it(request_file: Path) -> None:
    release = threading.Event()
    with Pipeline() as pipeline:
        one = pipeline.source("one", [1])
        pipeline.stage("hang", lambda n: release.wait(30), after=one, workload="hard", deadline_s=60)
        pipeline.start()
        assert open_files(request_file) == 1
        pipeline.stop(timeout_s=0.1)
        assert open_files(request_file) == 0
        release.set()


def test_a_refusal_is_no_error(tmp_path: Path) -> None:
    latency = WakeLatency(tmp_path / "missing" / "cpu_dma_latency")
    latency.hold()
    assert not latency.held
    latency.release()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_refused_write_keeps_nothing_open() -> None:
    latency = WakeLatency(Path("/dev/full"))
    latency.hold()
    assert not latency.held
    assert open_files(Path("/dev/full")) == 0


def test_the_kernel_takes_it_where_it_may() -> None:
    if not os.access(REQUEST, os.W_OK):
        pytest.skip(f"no right to write {REQUEST}: needs root")
    latency = WakeLatency()
    latency.hold()
    if not latency.held:
        pytest.skip(f"{REQUEST} cannot be opened here")
    assert open_files(REQUEST) == 1
    latency.release()
    assert open_files(REQUEST) == 0
