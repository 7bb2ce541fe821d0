"""Draining works off what was read; stopping is quick whatever hangs; signals drain."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgevid.runtime import Pipeline

LIMIT_S = 3.0  # the bound on leaving

_PROGRAM = """
import json, sys, time
from edgevid.runtime import Pipeline

read, done = [], []

def endless():
    n = 0
    while True:
        read.append(n)
        yield n
        n += 1

def work(n):
    time.sleep(0.01)
    return n

if __name__ == "__main__":
    try:
        with Pipeline() as pipeline:
            worked = pipeline.stage("work", work, after=pipeline.source("endless", endless()))
            pipeline.stage("done", done.append, after=worked)
            {hang}
            print("up", flush=True)
            pipeline.run()
    finally:
        print(json.dumps({{"read": read, "done": done}}), flush=True)
"""
_HANG = 'pipeline.stage("hang", lambda n: time.sleep(600), after=worked, policy="latest-only")'


def test_draining_works_off_all_that_was_read() -> None:
    done: list[int] = []
    read: list[int] = []

    def endless() -> Iterator[int]:
        for n in range(10**9):
            read.append(n)
            yield n

    def work(n: int) -> int:
        time.sleep(0.002)
        return n

    with Pipeline() as pipeline:
        worked = pipeline.stage("work", work, after=pipeline.source("endless", endless()), capacity=50)
        pipeline.stage("done", done.append, after=worked)
        pipeline.start()
        while len(done) < 10:
            time.sleep(0.01)
        assert pipeline.drain(30)
    assert done == read
    assert len(done) >= 50


def test_a_waiting_source_is_interrupted() -> None:
    feed: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    with Pipeline() as pipeline:
        pipeline.source("feed", iter(feed.get, None), interrupt=lambda: feed.put(None))
        pipeline.start()
        assert pipeline.drain(30)


def test_an_error_of_the_block_stops_at_once() -> None:
    with pytest.raises(KeyError), Pipeline() as pipeline:
        pipeline.stage("keep", print, after=pipeline.source("endless", iter(int, 1)))
        raise KeyError("mine")


def test_stopping_takes_no_longer_than_it_may_with_a_hung_stage() -> None:
    hung = threading.Event()
    release = threading.Event()

    def hang(n: int) -> None:
        hung.set()
        release.wait(60)

    pipeline = Pipeline()
    pipeline.stage("hang", hang, after=pipeline.source("endless", iter(int, 1)))
    pipeline.start()
    assert hung.wait(30)
    began = time.monotonic()
    assert not pipeline.drain()
    assert time.monotonic() - began <= LIMIT_S
    assert not pipeline.metrics().running
    assert sum(pipeline.budget.running.values()) == 0
    release.set()


def test_what_is_in_an_output_survives_the_drain() -> None:
    with Pipeline() as pipeline:
        out = pipeline.output("out", after=pipeline.source("numbers", range(5)))
        pipeline.start()
        assert pipeline.wait(30)
        assert [m.payload for m in out] == list(range(5))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)])
@pytest.mark.parametrize("hang", [False, True])
def test_signals_drain_and_exit_in_time(number: int, code: int, hang: bool) -> None:
    program = _PROGRAM.format(hang=_HANG if hang else "")
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        time.sleep(0.3)
        began = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        took_s = time.monotonic() - began
    assert process.returncode == code, err
    assert took_s <= LIMIT_S
    counts = json.loads(out)
    assert counts["done"] == counts["read"]
    assert len(counts["done"]) > 5
