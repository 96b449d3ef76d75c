"""Several files at a time, until all are there or the first cannot be had."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

#: Downloads at a time: enough to fill a line, few enough for the server and the memory.
_DOWNLOADS = 8

Item = TypeVar("Item")
Result = TypeVar("Result")


def fetch_each(
    work: Callable[[Item], Result], items: Iterable[Item], end: Callable[[], object]
) -> list[Result]:
    """``work`` of each item, in their order; the first failure ends the rest and is raised.

    ``end`` is called then: it has to end what the other threads are waiting for.
    """
    from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait  # imports logging

    pool = ThreadPoolExecutor(_DOWNLOADS, thread_name_prefix="kedge-fetch")
    try:
        futures = [pool.submit(work, item) for item in items]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        failed = next((future for future in done if future.exception()), None)
        if failed is not None:
            failed.result()
        return [future.result() for future in futures]
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        end()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
