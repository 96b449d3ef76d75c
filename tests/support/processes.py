"""The processes that run beside a test, as Linux lists them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

listed = pytest.mark.skipif(
    not Path("/proc/self/stat").is_file(), reason="looks for processes where Linux lists them"
)


def children(pid: int) -> list[int]:
    """The children of a process, by whichever of its threads: those nobody waited for, too.

    By their parent, not by the lists of the threads: a thread that ends hands its children on, and
    they are seen twice or not at all.
    """
    every = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    return [each for each in every if (fields := _fields(each)) and int(fields[1]) == pid]


def is_gone(pid: int) -> bool:
    """Whether it has ended; where Linux lists it, be it that nobody asked for its end yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return _fields(pid)[:1] == ["Z"]


def wait_until(happens: Callable[[], object]) -> None:
    """Look again and again; a minute is more than anything takes."""
    end = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.002)


def _fields(pid: int) -> list[str]:
    """What ``stat`` says from the state on (proc(5)); nothing of a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
