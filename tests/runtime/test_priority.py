"""What the operating system is told about threads of each class, and that a refusal is no error."""

from __future__ import annotations

import os
import threading
import time

import pytest

from edgevid.runtime import Pipeline, Workload, priority


def policy_of_a_stage(workload: Workload) -> tuple[int, int]:
    """Scheduling policy and niceness seen by a stage's body."""
    seen: list[tuple[int, int]] = []

    def look(n: int) -> None:
        thread = threading.get_native_id()
        seen.append((os.sched_getscheduler(thread), os.getpriority(os.PRIO_PROCESS, thread)))

    with Pipeline() as pipeline:
        pipeline.stage("look", look, after=pipeline.source("one", [1]), workload=workload)
        pipeline.run()
    return seen[0]


def test_background_steps_back_and_soft_stays() -> None:
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    assert policy_of_a_stage("soft") == (os.sched_getscheduler(0), mine)
    policy, nice = policy_of_a_stage("background")
    assert policy == os.SCHED_BATCH
    assert nice >= max(mine, 10)


def test_hard_goes_first_where_it_may() -> None:
    policy, nice = policy_of_a_stage("hard")
    permitted = policy == os.SCHED_RR
    if not permitted and nice != -10:
        pytest.skip("no right to raise priorities: needs CAP_SYS_NICE or RLIMIT_RTPRIO")
    assert permitted or nice == -10


def test_a_refusal_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    monkeypatch.setattr(os, "setpriority", refuse)
    for workload in ("hard", "soft", "background"):
        priority.apply(workload)


def test_a_thread_that_was_given_up_is_put_last() -> None:
    release = threading.Event()
    hung: list[int] = []

    def hang(n: int) -> None:
        if n == 0:
            hung.append(threading.get_native_id())
            release.wait(30)

    with Pipeline() as pipeline:
        stage = pipeline.stage("hang", hang, after=pipeline.source("two", [0, 1]), hang_s=0.1)
        pipeline.stage("keep", print, after=stage)
        pipeline.start()
        while pipeline.metrics().stage("hang").abandoned == 0:
            time.sleep(0.01)
        time.sleep(0.05)
        assert os.sched_getscheduler(hung[0]) == os.SCHED_IDLE
        release.set()
