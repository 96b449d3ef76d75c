"""Work that several threads ask for and that is done once; and the threads that do it ahead.

Knows nothing of pages. Waiting is interruptible, and no thread outlives the process: a Ctrl-C must
not wait for answers that nobody needs any more (``concurrent.futures`` joins its threads at exit).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection, Hashable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

#: Seconds of a wait until it is begun anew. A signal does not end a wait that begins just as it
#: comes: Python looks for one, lets other threads run, and sleeps.
_GLANCE = 0.2

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Once(Generic[Key, Value]):
    """Each key's value, computed by whoever asks first; everybody else waits for that.

    An error is a value, too: it is raised for everyone who asks (transport has retried already).
    Whoever waits for a thread that was interrupted gets a ``CancelledError``.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._futures: dict[Key, Future[Value]] = {}

    def get(self, key: Key, compute: Callable[[], Value]) -> Value:
        """The value of ``key``, from ``compute()`` if nobody has begun."""
        future, mine = self._claim(key)
        if mine:
            self._fill(key, future, compute)
        if not future.done():
            wait_for([future])
        return future.result()

    def ahead(self, key: Key, compute: Callable[[], Value]) -> None:
        """Compute it unless somebody has begun; never waits for another, never raises."""
        future, mine = self._claim(key)
        if mine:
            self._fill(key, future, compute)

    def known(self, key: Key) -> bool:
        """Whether somebody has begun."""
        with self._lock:
            return key in self._futures

    def _claim(self, key: Key) -> tuple[Future[Value], bool]:
        from concurrent.futures import Future  # it imports logging

        with self._lock:
            future = self._futures.get(key)
            if future is not None:
                return future, False
            future = self._futures[key] = Future()
            return future, True

    def _fill(self, key: Key, future: Future[Value], compute: Callable[[], Value]) -> None:
        try:
            future.set_result(compute())
        except Exception as exc:
            future.set_exception(exc)
        except BaseException:  # Ctrl-C says nothing about the key, and is this thread's alone
            with self._lock:
                self._futures.pop(key, None)
            future.cancel()
            future.set_running_or_notify_cancel()  # wait() counts it as done only then
            raise


def wait_for(futures: Collection[Future[Any]]) -> None:
    """Wait until all are done; the first failure is raised at once. Ctrl-C ends it."""
    from concurrent.futures import FIRST_EXCEPTION, wait

    others: Collection[Future[Any]] = futures
    while others:
        done, others = wait(futures, _GLANCE, FIRST_EXCEPTION)
        for each in done:
            each.result()


class Workers:
    """Up to ``count`` daemon threads, started as work comes in, that do jobs in their order."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._outstanding = 0  # submitted and not done yet
        self._closed = False

    def submit(self, job: Callable[[], None]) -> None:
        """Have it done, unless closed. A job must not raise, and must not submit and wait."""
        with self._lock:
            if self._closed:
                return
            self._jobs.put(job)
            self._outstanding += 1
            if self._threads < min(self._outstanding, self._count):
                self._threads += 1
                name = f"kedge-index-{self._threads}"
                threading.Thread(target=self._run, name=name, daemon=True).start()

    def close(self) -> None:
        """Drop what has not begun; what has begun is left to end by itself."""
        with self._lock:
            self._closed = True
            for _ in range(self._threads):
                self._jobs.put(None)

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None or self._closed:
                return
            try:
                job()
            finally:
                with self._lock:
                    self._outstanding -= 1
