"""Lines of real programs: cat answers what it is told, sleep never, false at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edgevid.core.errors import CancelledError, EdgevidError, MissingPartError
from edgevid.lipsync.process_line import LineDiedError, LineHungError, Pool, ProcessLine


def ends_with_newline(answer: bytearray) -> bool:
    return answer.endswith(b"\n")


def cats() -> ProcessLine:
    return ProcessLine([["cat"], ["cat"]])


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_a_line_answers_again_and_again() -> None:
    line = cats()
    assert [line.ask(text, ends_with_newline, timeout_s=10) for text in (b"a\n", b"b\n")] == [b"a\n", b"b\n"]
    line.close()
    assert all(is_gone(pid) for pid in line.pids)


def test_more_than_the_pipes_hold_goes_through() -> None:
    line, text = cats(), b"x" * 1_000_000 + b"\n"
    assert line.ask(text, ends_with_newline, timeout_s=30) == text
    line.close()


def test_no_program_is_said() -> None:
    with pytest.raises(MissingPartError, match="no-such-program"):
        ProcessLine([["cat"], ["no-such-program"]])


def test_a_line_that_ends_died_and_one_that_waits_hung() -> None:
    ended, silent = ProcessLine([["false"]]), ProcessLine([["sleep", "60"]])
    with pytest.raises(LineDiedError):
        ended.ask(b"a\n", ends_with_newline, timeout_s=10)
    with pytest.raises(LineHungError, match=r"0\.05 s"):
        silent.ask(b"a\n", ends_with_newline, timeout_s=0.05)
    ended.close()
    silent.close()
    silent.close()
    with pytest.raises(LineDiedError):
        silent.ask(b"a\n", ends_with_newline, timeout_s=10)


def test_the_pool_replaces_a_dead_line_and_asks_again() -> None:
    pool = Pool("cat", cats, timeout_s=10)
    for victim in (0, 1):
        os.kill(pool.pids[victim], signal.SIGKILL)
        assert pool.ask(b"a\n", ends_with_newline) == b"a\n"
    assert pool.restarts == 2
    pool.close()


def test_restarts_leave_nothing_behind() -> None:
    pool = Pool("cat", cats, timeout_s=10)
    before, seen = len(list(Path("/proc/self/fd").iterdir())), set(pool.pids)
    for _ in range(50):
        os.kill(pool.pids[0], signal.SIGKILL)
        assert pool.ask(b"a\n", ends_with_newline) == b"a\n"
        seen |= set(pool.pids)
    assert pool.restarts == 50
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    pool.close()
    assert all(is_gone(pid) for pid in seen)


def test_a_request_that_always_kills_is_given_up() -> None:
    pool = Pool("deadly", lambda: ProcessLine([["head", "-c", "1"]]), timeout_s=10)
    with pytest.raises(EdgevidError, match="deadly failed and was restarted"):
        pool.ask(b"a\n", ends_with_newline)
    assert pool.restarts == 2
    pool.close()


def test_a_hung_line_is_replaced_but_not_asked_again() -> None:
    pool = Pool("slow", lambda: ProcessLine([["sleep", "60"]]), timeout_s=0.05)
    first = pool.pids
    with pytest.raises(EdgevidError, match="no answer within"):
        pool.ask(b"a\n", ends_with_newline)
    assert pool.restarts == 1
    assert all(is_gone(pid) for pid in first)
    pool.close()


def test_lines_that_start_end_with_one_that_does_not() -> None:
    started: list[ProcessLine] = []

    def start() -> ProcessLine:
        started.append(ProcessLine([["cat" if not started else "no-such-program"]]))
        return started[-1]

    with pytest.raises(MissingPartError):
        Pool("cat", start, size=2, timeout_s=10)
    assert len(started) == 1
    assert is_gone(started[0].pids[0])


def test_closing_frees_who_waits() -> None:
    pool = Pool("slow", lambda: ProcessLine([["sleep", "60"]]), timeout_s=60)
    errors: list[Exception] = []

    def ask() -> None:
        try:
            pool.ask(b"a\n", ends_with_newline)
        except CancelledError as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]  # one is answered, one waits for its turn
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    pool.close()
    pool.close()
    for thread in threads:
        thread.join(30)
    assert len(errors) == 2
    assert all(is_gone(pid) for pid in pool.pids)
    with pytest.raises(CancelledError):
        pool.ask(b"a\n", ends_with_newline)


def test_many_threads_share_the_lines() -> None:
    pool = Pool("cat", cats, size=2, timeout_s=30)
    wrong: list[int] = []

    def ask(number: int) -> None:
        for _ in range(20):
            text = b"%d\n" % number
            if pool.ask(text, ends_with_newline) != text:
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert len(pool.pids) == 4
    pool.close()


def test_no_program_outlives_a_killed_parent() -> None:
    script = (
        "import time\n"
        "from edgevid.lipsync.process_line import Pool, ProcessLine\n"
        "pool = Pool('cat', lambda: ProcessLine([['cat'], ['cat']]), size=2, timeout_s=10)\n"
        "print(*pool.pids, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 4
    assert not any(has_ended(pid) for pid in pids)
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 30
    while not all(has_ended(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert all(has_ended(pid) for pid in pids)


def has_ended(pid: int) -> bool:
    """Gone, or dead and not yet taken note of by whoever adopted it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
