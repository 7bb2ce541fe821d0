"""SIGTERM at any moment, with a stage that hangs: the process is gone within 3 s, every time."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

_LIMIT_S = 3.0
_PROGRAM = """
import time
from edgevid.runtime import Pipeline, sigterm_exits

def work(n):
    time.sleep(0.001)
    return n

with sigterm_exits(), Pipeline() as pipeline:
    worked = pipeline.stage("work", work, after=pipeline.source("endless", iter(int, 1)))
    pipeline.stage("hang", lambda n: time.sleep(600), after=worked, policy="latest-only")
    out = pipeline.output("out", after=worked, policy="latest-only")
    pipeline.start()
    print("up", flush=True)
    for message in out:
        pass
"""


def terminate(after_s: float) -> tuple[int, float]:
    """Exit code, and seconds from the signal to the exit."""
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        time.sleep(after_s)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        return process.returncode, time.monotonic() - began


def assert_all_leave(times: int) -> None:
    rng = random.Random(3)
    with ThreadPoolExecutor(4) as pool:
        left = list(pool.map(terminate, [rng.uniform(0, 0.5) for _ in range(times)]))
    assert [code for code, _ in left] == [143] * times
    assert max(took_s for _, took_s in left) <= _LIMIT_S


def test_terminated_processes_leave_in_time() -> None:
    assert_all_leave(4)


@pytest.mark.soak
def test_a_hundred_of_a_hundred_leave_in_time() -> None:
    assert_all_leave(100)
