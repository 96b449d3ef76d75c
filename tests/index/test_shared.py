from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest

from kedge.index.shared import Once, Workers
from support.processes import wait_until


def test_work_is_done_once_however_many_ask() -> None:
    once: Once[str, int] = Once()
    calls: list[int] = []
    gate = threading.Event()

    def compute() -> int:
        calls.append(1)
        gate.wait(60)
        return 7

    answers: list[int] = []
    asking = [
        threading.Thread(target=lambda: answers.append(once.get("key", compute))) for _ in range(8)
    ]
    for thread in asking:
        thread.start()
    gate.set()
    for thread in asking:
        thread.join(60)
    assert answers == [7] * 8
    assert len(calls) == 1


def test_an_error_is_raised_for_everyone_and_the_work_not_repeated() -> None:
    once: Once[str, int] = Once()
    calls: list[int] = []

    def fail() -> int:
        calls.append(1)
        raise OSError("no")

    once.ahead("key", fail)  # does not raise
    for _ in range(2):
        with pytest.raises(OSError, match="no"):
            once.get("key", fail)
    assert len(calls) == 1
    assert once.known("key")


def test_an_interrupted_computation_says_nothing_about_the_key() -> None:
    once: Once[str, int] = Once()

    def interrupted() -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        once.get("key", interrupted)
    assert once.get("key", lambda: 3) == 3


def test_an_interruption_is_of_one_thread_alone() -> None:
    """One that nobody catches is printed by the thread, with a traceback."""
    once: Once[str, int] = Once()
    begun, gate = threading.Event(), threading.Event()
    caught: list[BaseException] = []

    def interrupted() -> int:
        begun.set()
        gate.wait()
        raise KeyboardInterrupt

    def take(compute: Callable[[], int]) -> None:
        try:
            once.get("key", compute)
        except BaseException as error:
            caught.append(error)

    first = threading.Thread(target=take, args=(interrupted,))
    first.start()
    begun.wait()
    others = [threading.Thread(target=take, args=(lambda: 1,)) for _ in range(2)]
    for other in others:
        other.start()
    gate.set()
    for each in (first, *others):
        each.join()
    assert [type(error) for error in caught if not isinstance(error, Exception)] == [
        KeyboardInterrupt
    ]


def test_ahead_does_not_wait_for_whoever_is_at_it() -> None:
    once: Once[str, int] = Once()
    begun, gate = threading.Event(), threading.Event()

    def compute() -> int:
        begun.set()
        gate.wait()
        return 1

    thread = threading.Thread(target=partial(once.get, "key", compute), daemon=True)
    thread.start()
    assert begun.wait(60)
    ahead = threading.Thread(target=partial(once.ahead, "key", lambda: 2), daemon=True)
    ahead.start()
    ahead.join(60)
    assert not ahead.is_alive(), "it waits, and the gate is shut"
    gate.set()
    thread.join(60)
    assert once.get("key", lambda: 3) == 1


def test_jobs_run_side_by_side_up_to_the_count() -> None:
    workers = Workers(3)
    together = threading.Barrier(4, timeout=60)  # three jobs and this test

    def meet() -> None:
        together.wait()

    for _ in range(3):
        workers.submit(meet)
    together.wait()
    workers.close()


def test_no_more_threads_than_the_count() -> None:
    workers = Workers(2)
    gate = threading.Event()
    seen: set[int] = set()
    done = threading.Semaphore(0)

    def job() -> None:
        gate.wait(60)
        seen.add(threading.get_ident())
        done.release()

    for _ in range(10):
        workers.submit(job)
    gate.set()
    for _ in range(10):
        assert done.acquire(timeout=60)
    workers.close()
    assert len(seen) <= 2


def test_closing_drops_what_has_not_begun_and_ends_the_threads() -> None:
    before = set(threading.enumerate())
    workers = Workers(1)
    begun, gate = threading.Event(), threading.Event()
    ran: list[int] = []

    def first() -> None:
        begun.set()
        gate.wait(60)

    workers.submit(first)
    workers.submit(lambda: ran.append(2))
    assert begun.wait(60)
    workers.close()
    workers.submit(lambda: ran.append(3))
    gate.set()
    wait_until(lambda: not set(threading.enumerate()) - before)
    assert ran == []


def test_the_threads_do_not_keep_the_process_alive() -> None:
    workers = Workers(1)
    daemon: list[bool] = []
    done = threading.Event()

    def job() -> None:
        daemon.append(threading.current_thread().daemon)
        done.set()

    workers.submit(job)
    assert done.wait(60)
    workers.close()
    assert daemon == [True]
