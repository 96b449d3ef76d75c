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


def wait_until_idle(pid: int) -> None:
    """Returns once the main thread of a process waits for something, or the process has ended.

    For a signal that is to end a wait: one that comes right before it does not, as Python has
    looked for signals by then. Who waits for Python's lock alone has a turn every few milliseconds.
    Where Linux does not tell, there is nothing to go by.
    """
    alike = 0
    before: tuple[int, ...] = ()

    def idle() -> bool:
        nonlocal alike, before
        turns = _turns(pid)
        alike = alike + 1 if turns and turns == before else 0
        before = turns
        return alike > 25 or is_gone(pid)

    if Path("/proc/self/status").is_file():
        wait_until(idle)


def _turns(pid: int) -> tuple[int, ...]:
    """How often the main thread got a processor and gave it up; nothing unless it sleeps."""
    try:
        lines = Path(f"/proc/{pid}/task/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return ()
    told = dict(line.partition(":")[::2] for line in lines)
    if told["State"].split()[0] != "S":
        return ()
    return tuple(int(told[name]) for name in told if name.endswith("voluntary_ctxt_switches"))


def _fields(pid: int) -> list[str]:
    """What ``stat`` says from the state on (proc(5)); nothing of a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
