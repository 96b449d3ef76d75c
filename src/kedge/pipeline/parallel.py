"""Several files at a time, until all are there or the first cannot be had."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from kedge.pipeline.connection import Connection

#: Downloads at a time: enough to fill a line, few enough for the server and the memory.
_DOWNLOADS = 8

Item = TypeVar("Item")
Result = TypeVar("Result")


def fetch_each(
    work: Callable[[Item], Result], items: Iterable[Item], connection: Connection
) -> list[Result]:
    """``work`` of each item, in their order; the first failure ends the rest and is raised."""
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
        # Closing the session ends what the other threads are waiting for.
        pool.shutdown(wait=False, cancel_futures=True)
        connection.close()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
