"""One budget: hard work runs at once, soft work shares what is free, background gets the rest."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevid.runtime.budget import WORKLOADS, CpuBudget, Workload


class Taker:
    """Takes cores in a thread; ``order`` notes who got them when."""

    def __init__(
        self,
        budget: CpuBudget,
        workload: Workload,
        order: list[str],
        name: str,
        threads: int,
        deadline_ns: int,
    ) -> None:
        self.got = threading.Event()
        self._release = threading.Event()

        def run() -> None:
            cores = budget.take(workload, threads, deadline_ns=deadline_ns)
            order.append(name)
            self.got.set()
            self._release.wait(30)
            budget.give_back(workload, cores)

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def release(self) -> None:
        self._release.set()
        self.thread.join(30)


class Desk:
    """A budget with takers that can be told apart."""

    def __init__(self, cores: int, hard_cores: int = 0) -> None:
        self.budget = CpuBudget(cores=cores, hard_cores=hard_cores)
        self.order: list[str] = []

    def ask(self, workload: Workload, name: str, threads: int = 1, deadline_ns: int = 0) -> Taker:
        return Taker(self.budget, workload, self.order, name, threads, deadline_ns)

    def ask_and_wait(self, workload: Workload, name: str, **more: int) -> Taker:
        """Asks, and returns once the request is queued."""
        queued = len(self.budget._queue)
        taker = self.ask(workload, name, **more)
        while len(self.budget._queue) == queued:
            time.sleep(0.001)
        return taker


def test_hard_work_never_waits() -> None:
    desk = Desk(cores=1)
    takers = [desk.ask(w, w) for w in ("background", "hard", "hard")]
    for taker in takers:
        assert taker.got.wait(30)
    assert desk.budget.running == {"hard": 2, "soft": 0, "background": 1}
    for taker in takers:
        taker.release()
    assert desk.budget.running == dict.fromkeys(WORKLOADS, 0)


def test_soft_goes_before_background_and_the_earliest_deadline_first() -> None:
    desk = Desk(cores=1)
    first = desk.ask("soft", "first")
    assert first.got.wait(30)
    waiting = [
        desk.ask_and_wait("background", "rest"),
        desk.ask_and_wait("soft", "later", deadline_ns=200),
        desk.ask_and_wait("soft", "sooner", deadline_ns=100),
    ]
    first.release()
    for name in ("sooner", "later", "rest"):
        taker = {"sooner": waiting[2], "later": waiting[1], "rest": waiting[0]}[name]
        assert taker.got.wait(30)
        taker.release()
    assert desk.order == ["first", "sooner", "later", "rest"]


def test_background_takes_only_what_is_left() -> None:
    desk = Desk(cores=3)
    soft = desk.ask("soft", "soft", threads=2)
    assert soft.got.wait(30)
    one = desk.ask("background", "one")
    assert one.got.wait(30)
    two = desk.ask_and_wait("background", "two")
    assert not two.got.wait(0.05)
    soft.release()
    assert two.got.wait(30)
    one.release()
    two.release()


def test_soft_work_does_not_wait_for_background() -> None:
    desk = Desk(cores=2)
    rest = desk.ask("background", "rest", threads=2)
    assert rest.got.wait(30)
    soft = desk.ask("soft", "soft", threads=2)
    assert soft.got.wait(30)
    soft.release()
    rest.release()


def test_cores_kept_for_hard_work_are_not_given_to_soft() -> None:
    desk = Desk(cores=2, hard_cores=1)
    one = desk.ask("soft", "one", threads=2)  # clipped to the one core it may use
    assert one.got.wait(30)
    assert desk.budget.running["soft"] == 1
    two = desk.ask_and_wait("soft", "two")
    assert not two.got.wait(0.05)
    one.release()
    assert two.got.wait(30)
    two.release()


@pytest.mark.parametrize(
    ("cores", "hard_cores", "expected"),
    [(8, 0, (8, 8, 8)), (8, 2, (2, 6, 6)), (2, 1, (1, 1, 1)), (1, 1, (1, 1, 1))],
)
def test_how_many_threads_each_class_opens_its_networks_with(
    cores: int, hard_cores: int, expected: tuple[int, int, int]
) -> None:
    budget = CpuBudget(cores=cores, hard_cores=hard_cores)
    assert tuple(budget.threads(workload) for workload in WORKLOADS) == expected
    assert all(budget.threads(workload, 1) == 1 for workload in WORKLOADS)


@given(st.lists(st.tuples(st.sampled_from(WORKLOADS[1:]), st.integers(1, 4)), max_size=12))
def test_no_class_but_hard_takes_more_than_there_is(asked: list[tuple[Workload, int]]) -> None:
    budget = CpuBudget(cores=3)
    most = 0
    lock = threading.Lock()

    def use(workload: Workload, threads: int) -> None:
        nonlocal most
        cores = budget.take(workload, threads)
        with lock:
            most = max(most, *budget.running.values())
        budget.give_back(workload, cores)

    workers = [threading.Thread(target=use, args=request) for request in asked]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
        assert not worker.is_alive()
    assert most <= 3
    assert budget.running == dict.fromkeys(WORKLOADS, 0)


def test_bad_budgets_are_refused() -> None:
    with pytest.raises(ValueError, match="cores is 0"):
        CpuBudget(cores=0)
    with pytest.raises(ValueError, match="hard_cores is 3"):
        CpuBudget(cores=2, hard_cores=3)
