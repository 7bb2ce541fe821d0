"""What Prometheus reads at /metrics: counts kept here, and the state of sessions and lanes at that moment."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edgevid.stream.stats import BOUNDS_MS, rss_mb

if TYPE_CHECKING:
    from edgevid.app.server.service import Service
    from edgevid.app.server.session import ServedSession

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_STATES = ("loading", "watching", "done", "stopped", "failed")


class Metrics:
    """Counters and histograms of one server."""

    def __init__(self, service: Service) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Moment(service))
        self._requests = Counter(
            "edgevid_http_requests_total",
            "Answers by route and status",
            ["route", "status"],
            registry=self._registry,
        )
        self._first_byte = Histogram(
            "edgevid_http_seconds",
            "Request to first byte",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._asks = Histogram(
            "edgevid_ask_seconds", "Question to answer", ["by"], buckets=_SECONDS, registry=self._registry
        )
        self._tokens = Counter(
            "edgevid_chat_tokens_total", "Tokens read and written", ["kind"], registry=self._registry
        )
        self._first_token = Histogram(
            "edgevid_chat_first_token_seconds",
            "Chat request to first token",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.streams = Gauge("edgevid_streams", "Open event and reply streams", registry=self._registry)

    def text(self) -> bytes:
        """The exposition format, version 0.0.4."""
        return generate_latest(self._registry)

    @contextmanager
    def asking(self, by: str) -> Iterator[None]:
        """Time one question answered ``by`` timeline, decoder or picture."""
        with self._asks.labels(by).time():
            yield

    def replied(self, *, prompt: int, completion: int) -> None:
        """Count the tokens of one chat."""
        self._tokens.labels("prompt").inc(prompt)
        self._tokens.labels("completion").inc(completion)

    def first_token(self, seconds: float) -> None:
        """Record how long a chat waited for its first token."""
        self._first_token.observe(seconds)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._requests.labels(route, str(status)).inc()
        self._first_byte.labels(route).observe(seconds)


class Counting:
    """ASGI middleware that counts answers; routes by the name of their handler, so labels stay few."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("endpoint"), "__name__", "none")
                self._metrics.answered(route, message["status"], time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, counted)


class _Moment:
    """Reads sessions and lanes when scraped."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def describe(self) -> list[Metric]:
        return []  # nothing to say before the service is whole

    def collect(self) -> Iterator[Metric]:
        sessions = self._service.sessions.listed()
        yield GaugeMetricFamily("edgevid_rss_bytes", "Resident memory", value=rss_mb() * 1e6)
        by_state = GaugeMetricFamily("edgevid_sessions", "Listed sessions by state", labels=["state"])
        for state in _STATES:
            by_state.add_metric([state], sum(s.state == state for s in sessions))
        yield by_state
        depth = GaugeMetricFamily("edgevid_queue_depth", "Calls that wait for a thread", labels=["lane"])
        running = GaugeMetricFamily("edgevid_lane_running", "Calls that have a thread", labels=["lane"])
        for lane in self._service.lanes.values():
            depth.add_metric([lane.name], lane.depth)
            running.add_metric([lane.name], lane.running)
        yield depth
        yield running
        frames = CounterMetricFamily("edgevid_frames", "Frames looked at", labels=["session"])
        events = CounterMetricFamily("edgevid_events", "Rows begun", labels=["session"])
        for session in sessions:
            frames.add_metric([session.id], session.frames)
            events.add_metric([session.id], session.journal.written)
        yield frames
        yield events
        stats = {session.id: session.stats() for session in sessions}
        yield from _stages(sessions)
        yield from _channels(stats)
        yield from _live(stats)


def _stages(sessions: Sequence[ServedSession]) -> Iterator[Metric]:
    """Latencies of the stages of every session, since its beginning."""
    seconds = HistogramMetricFamily(
        "edgevid_stage_seconds", "Time a stage takes", labels=["session", "stage"]
    )
    for session in sessions:
        for stage, (counts, sum_s) in session.histograms().items():
            ends = [*(str(bound / 1e3) for bound in BOUNDS_MS), "+Inf"]
            buckets = list(zip(ends, accumulate(counts), strict=True))
            seconds.add_metric([session.id, stage], buckets, sum_s)
    yield seconds


def _channels(stats: Mapping[str, dict[str, Any]]) -> Iterator[Metric]:
    """What waits between the stages, what was dropped there, and how old it was when it left."""
    names = ["session", "channel"]
    entered = CounterMetricFamily("edgevid_channel_entered", "Messages that came in", labels=names)
    dropped = CounterMetricFamily("edgevid_channel_dropped", "Messages dropped", labels=names)
    depth = GaugeMetricFamily("edgevid_channel_depth", "Messages that wait", labels=names)
    age = GaugeMetricFamily("edgevid_channel_age_seconds", "Age when leaving", labels=[*names, "quantile"])
    for session, line in stats.items():
        for channel, counts in line.get("channels", {}).items():
            entered.add_metric([session, channel], counts["entered"])
            dropped.add_metric([session, channel], counts["dropped"])
            depth.add_metric([session, channel], counts["depth"])
            age.add_metric([session, channel, "0.5"], counts["age_p50_ms"] / 1e3)
            age.add_metric([session, channel, "0.99"], counts["age_p99_ms"] / 1e3)
    yield from (entered, dropped, depth, age)


def _live(stats: Mapping[str, dict[str, Any]]) -> Iterator[Metric]:
    """What happened to live sources."""
    up = GaugeMetricFamily("edgevid_live_connected", "1 while packets come", labels=["session"])
    back = CounterMetricFamily("edgevid_live_reconnects", "Times it came back", labels=["session"])
    dropped = CounterMetricFamily("edgevid_live_dropped", "Pictures a newer one replaced", labels=["session"])
    for session, line in stats.items():
        if live := line.get("live"):
            up.add_metric([session], float(live["connected"]))
            back.add_metric([session], live["reconnects"])
            dropped.add_metric([session], live["dropped"])
    yield from (up, back, dropped)
