"""Cancelling drops what was read so far, wherever it is, and nothing else."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import pytest

from edgevid.runtime import Pipeline


def test_what_was_read_before_is_gone_what_is_read_after_flows() -> None:
    feed: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    busy, go_on = threading.Event(), threading.Event()

    def wait(n: int) -> int:
        if n == 0:
            busy.set()
            assert go_on.wait(30)
        return n

    with Pipeline() as pipeline:
        source = pipeline.source("feed", iter(feed.get, None))
        out = pipeline.output("out", after=pipeline.stage("wait", wait, after=source))
        pipeline.start()
        for n in range(4):
            feed.put(n)
        assert busy.wait(30)  # 0 is being worked on; 1 to 3 are queued or not read yet
        while pipeline.metrics().stage("feed").runs < 4:
            threading.Event().wait(0.01)
        pipeline.cancel(source)
        go_on.set()
        feed.put(4)
        feed.put(None)
        assert [(m.payload, m.generation) for m in out] == [(4, 1)]
        waiting = pipeline.metrics().channel("wait")
    assert (waiting.entered, waiting.left, waiting.stale) == (5, 2, 3)


def test_an_answer_is_cut_between_two_of_its_results() -> None:
    closed = threading.Event()

    def sentences(n: int) -> Iterator[int]:
        try:
            for word in range(1000):
                yield word
                yielded.wait(0.01)
        finally:
            closed.set()

    yielded = threading.Event()
    with Pipeline() as pipeline:
        question = pipeline.source("question", [1])
        out = pipeline.output("out", after=pipeline.stage("answer", sentences, after=question), capacity=4)
        pipeline.start()
        assert out.get(30) is not None
        pipeline.cancel()
        assert closed.wait(30)
        left = list(out)
    assert len(left) <= 1  # one may have left the channel before the cancel


@pytest.mark.parametrize("cancelled", ["microphone", "camera"])
def test_one_stream_is_cancelled_the_other_flows(cancelled: str) -> None:
    go_on = threading.Event()

    def hold(item: tuple[str, int]) -> tuple[str, int]:
        assert go_on.wait(30)
        return item

    with Pipeline() as pipeline:
        sources = {
            name: pipeline.source(name, [(name, n) for n in range(5)]) for name in ("microphone", "camera")
        }
        out = pipeline.output(
            "out", after=pipeline.stage("hold", hold, after=list(sources.values()), capacity=20)
        )
        pipeline.start()
        while pipeline.metrics().channel("hold").entered < 10:
            threading.Event().wait(0.01)
        pipeline.cancel(sources[cancelled])
        go_on.set()
        got = [m.payload for m in out]
    other = {"microphone": "camera", "camera": "microphone"}[cancelled]
    assert got == [(other, n) for n in range(5)]
