"""Several things at a time: files until the first cannot be had, and work by its weight."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

from kedge.index.shared import wait_for

#: Downloads at a time: enough to fill a line, few enough for the server and the memory.
DOWNLOADS = 16

Item = TypeVar("Item")
Result = TypeVar("Result")


def fetch_each(
    work: Callable[[Item], Result], items: Iterable[Item], end: Callable[[], object]
) -> list[Result]:
    """``work`` of each item, in their order; the first failure ends the rest and is raised.

    ``end`` is called then: it has to end what the other threads are waiting for.
    """
    from concurrent.futures import ThreadPoolExecutor  # imports logging

    pool = ThreadPoolExecutor(DOWNLOADS, thread_name_prefix="kedge-fetch")
    try:
        futures = [pool.submit(work, item) for item in items]
        wait_for(futures)
        return [future.result() for future in futures]
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        end()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class Lane:
    """Work for a few threads, of what waits the heaviest first. Threads begin as they are needed.

    Where what waits weighs more than ``room``, whoever brings more waits too: so much may lie
    about and no more. Work takes care of its own errors.
    """

    def __init__(self, threads: int, name: str, *, room: int | None = None) -> None:
        self._limit = threads
        self._name = name
        self._room = room
        self._lock = threading.Lock()
        self._more = threading.Condition(self._lock)  # work for a thread that has none
        self._less = threading.Condition(self._lock)  # room for more
        self._waiting: list[tuple[int, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._threads: list[threading.Thread] = []
        self._load = 0
        self._idle = 0
        self._closed = False

    def put(self, weight: int, work: Callable[[], object]) -> None:
        """Have it done; when the lane is closed it is not."""
        with self._lock:
            while self._room is not None and self._load > self._room and not self._closed:
                self._less.wait()
            if self._closed:
                return
            self._load += weight
            heapq.heappush(self._waiting, (-weight, next(self._order), work))
            if self._idle < len(self._waiting) and len(self._threads) < self._limit:
                name = f"{self._name}-{len(self._threads)}"
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
            self._more.notify()

    def close(self) -> None:
        """Begin nothing more."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            self._more.notify_all()
            self._less.notify_all()

    def join(self) -> None:
        """Wait until what was begun is done; to be closed before."""
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
                while not self._waiting and not self._closed:
                    self._more.wait()
                self._idle -= 1
                if not self._waiting:
                    return
                negative, _, work = heapq.heappop(self._waiting)
                self._load += negative
                if self._room is not None:
                    self._less.notify_all()
            work()
