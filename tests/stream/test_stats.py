from __future__ import annotations

from edgevid.stream.stats import BOUNDS_MS, StageTimes, rss_mb, stats_json


def test_quantiles_of_known_durations() -> None:
    stages = StageTimes()
    for ms in range(1, 101):
        stages.record("see", ms / 1e3)
    summary = stages.summary()["see"]
    assert (summary["p50_ms"], summary["p95_ms"], summary["runs"]) == (51.0, 96.0, 100)


def test_history_is_bounded() -> None:
    stages = StageTimes()
    for _ in range(10_000):
        stages.record("see", 1.0)
    assert stages.summary()["see"]["runs"] == 2048


def test_rates_are_safe_before_anything_ran() -> None:
    line = stats_json(frames=0, media_s=0.0, elapsed_s=0.0, kv_tokens=0, stages=StageTimes(), note=1)
    assert (line["type"], line["fps"], line["realtime"], line["stages"], line["note"]) == (
        "stats",
        0.0,
        0.0,
        {},
        1,
    )
    assert rss_mb() > 1


def test_histograms_add_up_over_the_whole_session() -> None:
    stages = StageTimes()
    for ms in (0.5, 1.0, 3.0, 9999.0):
        stages.record("see", ms / 1e3)
    counts, seconds = stages.histograms()["see"]
    assert len(counts) == len(BOUNDS_MS) + 1
    assert (counts[0], counts[2], counts[-1], sum(counts)) == (2, 1, 1, 4)
    assert round(seconds, 4) == 10.0035
