"""The runtime's bench: its arithmetic, its parts on short runs, and that a missing peer is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgevid.app import bench_cli
from edgevid.bench import report, runtime, runtime_hops, runtime_mix
from edgevid.bench.runtime_mix import PERIOD_S, WORK_S, Hashing, Mix
from edgevid.core.errors import MissingPartError, UsageError
from edgevid.runtime import Workload


def test_frames_late_or_never_begun_are_missed() -> None:
    mix = Mix(seconds=10 * PERIOD_S)
    mix.late_s = [WORK_S] * 7 + [PERIOD_S + 1e-3]  # 8 of 10 begun, one of them late
    assert mix.missed == pytest.approx(0.3)


def test_a_frame_more_hides_no_miss() -> None:
    mix = Mix(seconds=10 * PERIOD_S)
    mix.late_s = [WORK_S] * 10 + [PERIOD_S + 1e-3]
    assert mix.missed == pytest.approx(1 / 11)


def test_a_timer_misses_when_no_time_is_left_for_the_work() -> None:
    mix = Mix(seconds=10 * PERIOD_S)
    mix.timer_late_s = [0.0] * 8 + [PERIOD_S - WORK_S + 1e-3]
    assert mix.timer_missed == pytest.approx(0.2)


def test_shares_are_in_cores() -> None:
    mix = Mix(seconds=2.0)
    mix.count("hard", 0.5)
    mix.count("hard", 0.5)
    assert (mix.share("hard"), mix.share("soft")) == (0.5, 0.0)


@pytest.mark.parametrize(("executor", "seconds"), [("thread", 2.0), ("process", 5.0)])
def test_the_mix_runs_all_three_classes(executor: runtime_mix.Executor, seconds: float) -> None:
    """A process needs time to start, on a busy machine seconds."""
    mix = runtime_mix.run_pipeline(seconds, Hashing(), background=runtime_mix.spin, executor=executor)
    assert 1 <= len(mix.late_s) <= mix.frames
    assert len(mix.timer_late_s) >= 1
    assert mix.soft_runs >= 1
    assert all(mix.share(workload) > 0 for workload in ("hard", "soft", "background"))
    assert mix.share("hard") + mix.share("soft") < runtime_mix.CORES


def test_the_thread_pool_does_the_same_work() -> None:
    mix = runtime_mix.run_thread_pool(1.0, Hashing())
    assert 1 <= len(mix.late_s) <= mix.frames == 25
    assert 1 <= mix.soft_runs <= 2
    assert mix.share("background") > 0


@pytest.mark.parametrize("workload", ["hard", "soft"])
def test_every_frame_passes_every_hop(workload: Workload) -> None:
    ours, theirs = runtime_hops.pipeline_hops(0.5, workload), runtime_hops.asyncio_hops(0.5)
    assert len(ours.end_to_end_ns) == len(theirs.end_to_end_ns) == 15
    assert len(ours.hop_ns) == 15 * runtime_hops.STAGES
    assert min(ours.hop_ns) > 0
    assert ours.cpu_share > 0 < theirs.cpu_share


def test_gstreamer_passes_every_frame_too() -> None:
    try:
        hops, version = runtime_hops.gstreamer_hops(0.5)
    except MissingPartError as error:
        pytest.skip(str(error))
    assert len(hops.end_to_end_ns) == 15
    assert version.startswith("1.")


def test_without_gstreamer_its_rows_stay_and_say_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(runtime_hops, "SYSTEM_PYTHON", str(tmp_path / "python3"))
    rows = {row.measure: row for row in runtime._hop_rows(0.3)}
    for measure in ("overhead of GStreamer", "through all hops, GStreamer"):
        assert (rows[measure].value, rows[measure].passed) == (None, None)
        assert "apt-get install" in rows[measure].method
    for workload in ("hard", "soft"):
        assert rows[f"scheduling overhead of {workload} stages"].goal == runtime.OVERHEAD_GOAL_PERCENT
        assert rows[f"added latency per hop of {workload} stages, p99"].passed in (True, False)


def test_a_busy_machine_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report.os, "getloadavg", lambda: (1e4, 0.0, 0.0))
    result = CliRunner().invoke(bench_cli.command, ["runtime", "--json"])
    assert isinstance(result.exception, UsageError)
    assert "timings would mean nothing" in str(result.exception)


def test_all_rows_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "QUICK", runtime.Seconds(line=0.3, contended=0.2, mix=1.0, peer=0.6))
    result = CliRunner().invoke(bench_cli.command, ["runtime", "--json", "--quick", "--force"])
    rows = {row["measure"]: row for row in json.loads(result.output)["rows"]}
    assert {name for name, row in rows.items() if row["goal"] is not None} == {
        *(f"scheduling overhead of {workload} stages" for workload in ("hard", "soft")),
        *(f"added latency per hop of {workload} stages, p99" for workload in ("hard", "soft")),
        "missed beyond the bare timer",
    }
    assert all(row["method"] for row in rows.values())
