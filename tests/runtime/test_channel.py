"""Channels: what each policy keeps, and that the counts add up whatever is done in whatever order."""

from __future__ import annotations

import threading
import time
from collections import deque

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edgevid.runtime.channel import POLICIES, Channel, Closed, Policy
from edgevid.runtime.message import Generations, Message, now_ns


def message(n: int, *, generation: int = 0, age_s: float = 0.0) -> Message[int]:
    return Message(n, n, n, "camera", generation, now_ns() - int(age_s * 1e9))


def drained(channel: Channel[int]) -> list[int]:
    found = []
    while (got := channel.get(0)) is not None:
        found.append(got.payload)
    return found


@pytest.mark.parametrize(
    ("policy", "kept"), [("block", [0, 1, 2]), ("drop-oldest", [2, 3, 4]), ("latest-only", [4])]
)
def test_what_a_full_channel_keeps(policy: Policy, kept: list[int]) -> None:
    channel = Channel[int]("c", capacity=3, policy=policy)
    taken = [channel.put(message(n), timeout_s=0) for n in range(5)]
    assert drained(channel) == kept
    assert taken == ([True] * 3 + [False] * 2 if policy == "block" else [True] * 5)


def test_a_writer_waits_for_room() -> None:
    channel = Channel[int]("c", capacity=1)
    channel.put(message(0))
    writer = threading.Thread(target=channel.put, args=(message(1),))
    writer.start()
    assert channel.metrics().depth == 1
    assert [channel.get(5).payload, channel.get(5).payload] == [0, 1]  # type: ignore[union-attr]
    writer.join(5)
    assert not writer.is_alive()


def test_closing_wakes_reader_and_writer() -> None:
    full, empty = Channel[int]("full", capacity=1), Channel[int]("empty")
    full.put(message(0))
    put: list[bool] = []

    def read() -> None:
        with pytest.raises(Closed):
            empty.get()

    threads = [
        threading.Thread(target=lambda: put.append(full.put(message(1)))),
        threading.Thread(target=read),
    ]
    for thread in threads:
        thread.start()
    full.close()
    empty.close()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert put == [False]
    assert full.metrics().dropped == 2


def test_the_end_comes_after_the_last_writer_and_the_last_message() -> None:
    channel = Channel[int]("c", writers=2)
    channel.put(message(0))
    channel.end()
    channel.end()
    assert channel.get(0) is not None
    with pytest.raises(Closed):
        channel.get(0)


def test_nothing_in_time_is_none() -> None:
    began = time.monotonic()
    assert Channel[int]("c").get(0.05) is None
    assert time.monotonic() - began >= 0.05


def test_wakings_for_others_do_not_prolong_a_wait() -> None:
    generations, over = Generations(), threading.Event()
    channel = Channel[int]("c", generations=generations)

    def keep_cancelling() -> None:
        while not over.wait(0.02):
            generations.bump(["camera"])

    canceller = threading.Thread(target=keep_cancelling)
    canceller.start()
    threading.Timer(20, over.set).start()
    assert channel.get(0.2) is None
    assert not over.is_set()
    over.set()
    canceller.join()


def test_cancelling_drops_what_waits_and_what_comes_late() -> None:
    generations = Generations()
    channel = Channel[int]("c", generations=generations)
    channel.put(message(0))
    channel.put(message(1))
    generations.bump(["camera"])
    assert not channel.put(message(2))
    channel.put(message(3, generation=1))
    assert drained(channel) == [3]
    found = channel.metrics()
    assert (found.dropped, found.stale) == (3, 3)


def test_cancelling_frees_a_writer_that_waits() -> None:
    generations = Generations()
    channel = Channel[int]("c", capacity=1, generations=generations)
    channel.put(message(0, generation=1))  # read after the cancel to come
    writer = threading.Thread(target=channel.put, args=(message(1),))
    writer.start()
    generations.bump(["camera"])
    writer.join(5)
    assert not writer.is_alive()
    assert drained(channel) == [0]


def test_another_stream_is_left_alone() -> None:
    generations = Generations()
    channel = Channel[int]("c", generations=generations)
    channel.put(message(0))
    generations.bump(["microphone"])
    assert drained(channel) == [0]


def test_messages_past_their_deadline_are_left_out() -> None:
    channel = Channel[int]("c", max_age_s=30.0)
    channel.put(message(0, age_s=31))
    channel.put(message(1))
    assert drained(channel) == [1]
    found = channel.metrics()
    assert (found.entered, found.left, found.dropped, found.expired) == (2, 1, 1, 1)


def test_ages_are_those_of_what_left() -> None:
    channel = Channel[int]("c")
    channel.put(message(0, age_s=2))
    channel.get(0)
    found = channel.metrics()
    assert 2000 <= found.age_p50_ms < 10_000
    assert 0 <= found.wait_p99_ms < 5000


class ChannelMachine(RuleBasedStateMachine):
    """Puts, takes, cancels and closes at random; a list says what the channel should hold."""

    @initialize(policy=st.sampled_from(POLICIES), capacity=st.integers(1, 4))
    def build(self, policy: Policy, capacity: int) -> None:
        self.generations = Generations()
        self.channel = Channel[int]("c", capacity=capacity, policy=policy, generations=self.generations)
        self.expected: deque[tuple[int, int]] = deque()
        self.closed = False
        self.next = self.generation = self.put_count = self.got_count = 0

    @rule(behind=st.integers(0, 1))
    def put(self, behind: int) -> None:
        generation = max(0, self.generation - behind)
        entered = self.channel.put(message(self.next, generation=generation), timeout_s=0)
        self.put_count += 1
        room = len(self.expected) < self.channel.capacity
        fits = not self.closed and generation == self.generation and (room or self.channel.policy != "block")
        assert entered is fits
        if fits:
            if not room:
                self.expected.popleft()
            self.expected.append((self.next, generation))
        self.next += 1

    @rule()
    def get(self) -> None:
        if self.closed:
            with pytest.raises(Closed):
                self.channel.get(0)
            return
        got = self.channel.get(0)
        if not self.expected:
            assert got is None
            return
        self.got_count += 1
        assert got is not None
        assert (got.payload, got.generation) == self.expected.popleft()

    @rule()
    def cancel(self) -> None:
        self.generations.bump(["camera"])
        self.generation += 1
        self.expected.clear()

    @rule()
    def close(self) -> None:
        self.channel.close()
        self.closed = True
        self.expected.clear()

    @invariant()
    def counts_add_up(self) -> None:
        if not hasattr(self, "channel"):
            return
        m = self.channel.metrics()
        assert m.entered == m.left + m.dropped + m.depth == self.put_count
        assert (m.left, m.depth) == (self.got_count, len(self.expected))
        assert m.stale + m.expired <= m.dropped
        assert m.depth <= m.most <= m.capacity


TestChannelMachine = ChannelMachine.TestCase


@pytest.mark.parametrize("policy", POLICIES)
def test_counts_add_up_at_every_moment_under_threads(policy: Policy) -> None:
    channel = Channel[int]("c", capacity=3, policy=policy, writers=3)
    got: list[int] = []
    stop = threading.Event()
    broken: list[object] = []

    def write() -> None:
        for n in range(300):
            channel.put(message(n))
        channel.end()

    def read() -> None:
        try:
            while True:
                taken = channel.get()
                assert taken is not None
                got.append(taken.payload)
        except Closed:
            stop.set()

    def check() -> None:
        while not stop.is_set():
            m = channel.metrics()
            if m.entered != m.left + m.dropped + m.depth:
                broken.append(m)

    threads = [threading.Thread(target=f) for f in (write, write, write, read, check)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    m = channel.metrics()
    assert broken == []
    assert (m.entered, m.left, m.depth) == (900, len(got), 0)
    assert m.entered == m.left + m.dropped
    assert m.dropped == 0 or policy != "block"
