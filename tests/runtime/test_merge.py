"""Fan-in: in order of time when all inputs speak, and not held up for ever by one that does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevid.runtime import Pipeline
from edgevid.runtime.channel import Channel, Closed
from edgevid.runtime.merge import PtsMerge
from edgevid.runtime.message import Message, now_ns


@dataclass(frozen=True)
class Item:
    pts_ns: int
    who: str = ""


def merge_of(*inputs: list[int], wait_s: float = 60.0, end: bool = True) -> PtsMerge:
    condition = threading.Condition(threading.Lock())
    channels = [Channel[int](f"{n}", capacity=1000, condition=condition) for n in range(len(inputs))]
    for n, (channel, pts) in enumerate(zip(channels, inputs)):
        for seq, p in enumerate(pts):
            channel.put(Message(n, p, seq, str(n), 0, now_ns()))
        if end:
            channel.end()
    return PtsMerge(channels, condition, wait_s=wait_s)


def drained(merge: PtsMerge) -> Iterator[Message[int]]:
    while True:
        try:
            taken = merge.take(10)
        except Closed:
            return
        assert taken is not None
        yield taken[0]


@given(st.lists(st.lists(st.integers(0, 100)).map(sorted), min_size=1, max_size=4))
def test_sorted_inputs_come_out_sorted_and_complete(inputs: list[list[int]]) -> None:
    given_ = [(m.pts_ns, m.payload) for m in drained(merge_of(*inputs))]
    assert given_ == sorted((pts, n) for n, list_ in enumerate(inputs) for pts in list_)


def test_nothing_comes_before_its_turn() -> None:
    merge = merge_of([1, 2], [], end=False)
    assert merge.take(0.05) is None


def test_a_silent_input_holds_the_others_up_no_longer_than_said() -> None:
    began = time.monotonic()
    merge = merge_of([1, 2, 3], [], wait_s=0.1, end=False)
    assert [taken[0].pts_ns for _ in range(3) if (taken := merge.take(5))] == [1, 2, 3]
    assert time.monotonic() - began >= 0.1
    assert merge.take(0.01) is None


def test_a_message_that_expires_while_it_is_looked_at_is_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    condition = threading.Condition(threading.Lock())
    open_, dying = (
        Channel[int](name, condition=condition, max_age_s=age) for name, age in (("a", None), ("b", 9))
    )
    merge = PtsMerge([open_, dying], condition, wait_s=0.0)
    now = now_ns()
    dying.put(Message(0, 0, 0, "b", 0, now))
    clock = iter([now])
    monkeypatch.setattr("edgevid.runtime.channel.now_ns", lambda: next(clock, now + 10**10))
    assert merge.take() is None
    open_.put(Message(1, 1, 1, "a", 0, now))
    taken = merge.take()
    assert taken is not None and taken[0].payload == 1


def test_a_pipeline_merges_by_time_however_late_one_branch_is() -> None:
    def slow(item: Item) -> Item:
        time.sleep(0.005)
        return Item(item.pts_ns, "slow")

    with Pipeline() as pipeline:
        frames = pipeline.source("frames", (Item(n) for n in range(30)))
        late = pipeline.stage("late", slow, after=frames)
        fast = pipeline.stage("fast", lambda item: Item(item.pts_ns, "fast"), after=frames)
        out = pipeline.output(
            "out", after=pipeline.stage("mux", lambda i: i, after=[fast, late], by_pts=True)
        )
        pipeline.start()
        items = [m.payload for m in out]
    assert items == [Item(n, who) for n in range(30) for who in ("fast", "slow")]


@pytest.mark.parametrize("by_pts", [False, True])
def test_two_sources_into_one_stage_lose_nothing(by_pts: bool) -> None:
    with Pipeline() as pipeline:
        a = pipeline.source("a", (Item(2 * n, "a") for n in range(50)))
        b = pipeline.source("b", (Item(2 * n + 1, "b") for n in range(50)))
        out = pipeline.output("out", after=pipeline.stage("both", lambda i: i, after=[a, b], by_pts=by_pts))
        pipeline.start()
        messages = list(out)
    assert {m.payload.pts_ns for m in messages} == set(range(100))
    assert {(m.stream, m.payload.who) for m in messages} == {("a", "a"), ("b", "b")}
    if by_pts:
        assert [m.pts_ns for m in messages] == list(range(100))
