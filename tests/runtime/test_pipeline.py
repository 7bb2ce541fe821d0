"""Graphs run to their end: order, fan-out, fan-in, results of all kinds, outputs, errors of use."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from edgevid.core.errors import BadInputError, MissingPartError
from edgevid.runtime import Pipeline
from tests.runtime.bodies import Total, double


def test_a_line_of_stages_keeps_the_order() -> None:
    seen: list[int] = []
    with Pipeline() as pipeline:
        numbers = pipeline.source("numbers", range(100))
        doubled = pipeline.stage("double", double, after=numbers)
        plus_one = pipeline.stage("plus one", lambda x: x + 1, after=doubled, executor="sync")
        pipeline.stage("keep", seen.append, after=plus_one)
        pipeline.run()
    assert seen == [2 * n + 1 for n in range(100)]


def test_fan_out_gives_every_follower_all() -> None:
    left: list[int] = []
    right: list[int] = []
    with Pipeline() as pipeline:
        numbers = pipeline.source("numbers", range(50))
        pipeline.stage("left", left.append, after=numbers)
        pipeline.stage("right", right.append, after=numbers)
        pipeline.run()
    assert left == right == list(range(50))


def test_none_one_or_an_iterator() -> None:
    def divisors(n: int) -> Iterator[int]:
        return (d for d in range(1, n + 1) if n % d == 0)

    with Pipeline() as pipeline:
        numbers = pipeline.source("numbers", range(1, 7))
        odd = pipeline.stage("odd", lambda n: n if n % 2 else None, after=numbers)
        out = pipeline.output("out", after=pipeline.stage("divisors", divisors, after=odd))
        pipeline.start()
        messages = list(out)
    assert [m.payload for m in messages] == [1, 1, 3, 1, 5]
    assert [m.seq for m in messages] == [0, 2, 2, 4, 4]
    assert [stamp.stage for stamp in messages[0].stamps] == ["odd", "divisors"]
    for message in messages:
        times = [message.born_ns, *(t for s in message.stamps for t in (s.queued_ns, s.began_ns, s.ended_ns))]
        assert times == sorted(times)


def test_what_is_left_is_flushed_at_the_end() -> None:
    with Pipeline() as pipeline:
        numbers = pipeline.source("numbers", range(10))
        first = pipeline.stage("total", make=Total, after=numbers)
        second = pipeline.stage("total of totals", make=Total, after=first, executor="sync")
        out = pipeline.output("out", after=second)
        pipeline.start()
        assert [m.payload for m in out] == [45]


def test_every_metric_adds_up_at_the_end() -> None:
    with Pipeline("sums") as pipeline:
        numbers = pipeline.source("numbers", range(30))
        pipeline.stage("double", double, after=numbers, capacity=2)
        pipeline.run()
        metrics = pipeline.metrics()
    channel = metrics.channel("double")
    assert (channel.entered, channel.left, channel.dropped, channel.depth) == (30, 30, 0, 0)
    assert channel.most <= 2
    assert (metrics.stage("numbers").runs, metrics.stage("double").runs) == (30, 30)
    assert not metrics.running
    assert metrics.to_json()["channels"][0]["name"] == "double"


def test_a_source_that_cannot_be_reopened_ends_the_pipeline_with_its_error() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise BadInputError("clip.mp4: truncated")

    with Pipeline() as pipeline, pytest.raises(BadInputError, match="truncated"):
        pipeline.stage("double", double, after=pipeline.source("clip", broken()))
        pipeline.run()


def test_a_missing_part_ends_the_pipeline_at_once() -> None:
    def absent() -> type[Total]:
        raise MissingPartError("no such pack", fix="edgevid models pull it")

    with Pipeline() as pipeline, pytest.raises(MissingPartError, match="pull it"):
        pipeline.stage("absent", make=absent, after=pipeline.source("numbers", range(5)))
        pipeline.run()


def test_an_output_tells_what_ended_the_pipeline() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise BadInputError("clip.mp4: truncated")

    with Pipeline() as pipeline:
        out = pipeline.output("out", after=pipeline.source("clip", broken()))
        pipeline.start()
        with pytest.raises(BadInputError, match="truncated"):
            list(out)


def test_leaving_the_block_early_ends_an_endless_source() -> None:
    with Pipeline() as pipeline:
        endless = pipeline.source("endless", iter(int, 1))
        out = pipeline.output("out", after=endless, capacity=2)
        pipeline.start()
        assert next(iter(out)).payload == 0
    assert "edgevid-endless" not in (thread.name for thread in threading.enumerate())


def test_outputs_can_be_awaited() -> None:
    async def collect() -> list[int]:
        with Pipeline() as pipeline:
            out = pipeline.output("out", after=pipeline.source("numbers", range(5)))
            pipeline.start()
            return [message.payload async for message in out]

    assert asyncio.run(collect()) == [0, 1, 2, 3, 4]


def test_what_cannot_be_built_is_said_at_once() -> None:
    pipeline = Pipeline()
    numbers = pipeline.source("numbers", range(5))
    pipeline.stage("double", double, after=numbers)
    with pytest.raises(ValueError, match="'double' already"):
        pipeline.stage("double", double, after=numbers)
    with pytest.raises(ValueError, match="fn or make"):
        pipeline.stage("both", double, make=Total, after=numbers)
    with pytest.raises(ValueError, match="one node before it"):
        pipeline.stage("sync", double, after=[numbers, numbers], executor="sync")
    with pytest.raises(ValueError, match="executor is 'fiber', choose from sync, thread, process"):
        pipeline.stage("fiber", double, after=numbers, executor="fiber")
    with pytest.raises(ValueError, match="capacity is 0"):
        pipeline.stage("narrow", double, after=numbers, capacity=0)
    with pytest.raises(ValueError, match="nothing comes before it"):
        pipeline.stage("orphan", double, after=[])
    with pytest.raises(ValueError, match="not a node of this pipeline"):
        pipeline.stage("stray", double, after=Pipeline().source("other", []))


def test_a_pipeline_runs_once() -> None:
    with Pipeline() as pipeline:
        pipeline.source("numbers", range(5))
        pipeline.run()
        with pytest.raises(RuntimeError, match="started before"):
            pipeline.start()
        with pytest.raises(RuntimeError, match="comes too late"):
            pipeline.source("more", range(5))
