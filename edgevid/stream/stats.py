"""What a session measured of itself."""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgevid.runtime.metrics import PipelineMetrics

_KEPT = 2048  # newest durations per stage; enough for a p95, bounded for streams of hours
BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""Upper ends of the buckets of ``StageTimes.histograms``; one more holds what is longer."""


class StageTimes:
    """Durations of named stages; thread-safe and bounded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ms: dict[str, deque[float]] = {}
        self._counts: dict[str, list[int]] = {}
        self._sums_s: dict[str, float] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Time the block and record it under ``stage``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.record(stage, time.perf_counter() - start)

    def record(self, stage: str, seconds: float) -> None:
        """Record one run of ``stage``."""
        bucket = bisect_left(BOUNDS_MS, seconds * 1e3)
        with self._lock:
            self._ms.setdefault(stage, deque(maxlen=_KEPT)).append(seconds * 1e3)
            self._counts.setdefault(stage, [0] * (len(BOUNDS_MS) + 1))[bucket] += 1
            self._sums_s[stage] = self._sums_s.get(stage, 0.0) + seconds

    def histograms(self) -> dict[str, tuple[tuple[int, ...], float]]:
        """``{stage: (runs per bucket of BOUNDS_MS, seconds in all)}`` since the beginning."""
        with self._lock:
            return {stage: (tuple(counts), self._sums_s[stage]) for stage, counts in self._counts.items()}

    def summary(self) -> dict[str, dict[str, float]]:
        """``{stage: {"p50_ms", "p95_ms", "runs"}}`` of the newest runs, in order of first use."""
        with self._lock:
            stages = {name: sorted(values) for name, values in self._ms.items()}
        return {
            name: {
                "p50_ms": round(_quantile(values, 0.5), 3),
                "p95_ms": round(_quantile(values, 0.95), 3),
                "runs": len(values),
            }
            for name, values in stages.items()
        }


def _quantile(ordered: list[float], q: float) -> float:
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def rss_mb() -> float:
    """Resident memory of this process in MB (10^6 bytes); 0.0 where /proc is missing."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def channels_json(metrics: PipelineMetrics) -> dict[str, dict[str, Any]]:
    """Per channel of a watch's pipeline: what waits in it, what was dropped, how old its messages were."""
    return {
        channel.name: {
            "policy": channel.policy,
            "capacity": channel.capacity,
            "depth": channel.depth,
            "entered": channel.entered,
            "dropped": channel.dropped,
            "age_p50_ms": round(channel.age_p50_ms, 3),
            "age_p99_ms": round(channel.age_p99_ms, 3),
        }
        for channel in metrics.channels
    }


def stats_json(
    *, frames: int, media_s: float, elapsed_s: float, kv_tokens: int, stages: StageTimes, **more: Any
) -> dict[str, Any]:
    """The ``stats`` line of ``edgevid watch --json``."""
    return {
        "type": "stats",
        "frames": frames,
        "fps": round(frames / elapsed_s, 2) if elapsed_s > 0 else 0.0,
        "media_s": round(media_s, 3),
        "elapsed_s": round(elapsed_s, 3),
        "realtime": round(media_s / elapsed_s, 2) if elapsed_s > 0 else 0.0,
        "kv_tokens": kv_tokens,
        "rss_mb": rss_mb(),
        "stages": stages.summary(),
        **more,
    }
