"""The trace: valid Trace Event Format, bounded, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgevid.runtime import Pipeline
from tests.runtime.bodies import double


def test_a_trace_can_be_opened_by_chrome(tmp_path: Path) -> None:
    with Pipeline(trace=1000) as pipeline:
        numbers = pipeline.source("numbers", range(10))
        pipeline.stage("after", double, after=pipeline.stage("double", double, after=numbers))
        pipeline.run()
        pipeline.cancel(numbers)
    pipeline.trace.save(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    spans = [e for e in events if e["ph"] == "X"]
    for stage in ("double", "after"):
        mine = [e for e in spans if e["name"] == stage and e["args"]["stream"] == "numbers"]
        assert [e["args"]["seq"] for e in mine] == list(range(10))
        assert len({e["tid"] for e in mine}) == 1
        ends = [e["ts"] + e["dur"] for e in mine]
        assert all(end <= later["ts"] + 1e-3 for end, later in zip(ends, mine[1:]))
    assert {e["args"]["name"] for e in events if e["ph"] == "M"} == {"double", "after"}
    assert [e["args"]["streams"] for e in events if e["ph"] == "i"] == [["numbers"]]
    assert list(tmp_path.iterdir()) == [tmp_path / "trace.json"]


@pytest.mark.parametrize("capacity", [0, 7])
def test_a_trace_is_bounded(capacity: int) -> None:
    with Pipeline(trace=capacity) as pipeline:
        pipeline.stage("double", double, after=pipeline.source("numbers", range(100)))
        pipeline.run()
    spans = [e for e in pipeline.trace.to_json()["traceEvents"] if e["ph"] != "M"]
    assert len(spans) == capacity
    assert all(e["args"]["seq"] >= 93 for e in spans)


def test_a_trace_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        Pipeline(trace=10).trace.save(tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
