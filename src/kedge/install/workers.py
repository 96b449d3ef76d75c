"""Processes that unpack wheels: begun early, fed through pipes, and never missed.

zlib and the file system are most of unpacking, and the rest holds the interpreter's lock, which
the resolver and the downloads need. A wheel that a process cannot do, because it does not start
or was killed, is unpacked here instead: processes make this faster and nothing else.

How each begins is :mod:`kedge.install.processes`'s to say. It ends when its input does, so it
survives neither this process nor :meth:`Workers.close`.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kedge.cache import UnpackedWheel, WheelStore
from kedge.cache.atomic import write_all
from kedge.errors import CacheError, WheelError
from kedge.install import processes
from kedge.install.processes import Process

if TYPE_CHECKING:
    from kedge.install.arriving import Ahead

_SECONDS_TO_END = 5.0
_PIECE = 1 << 16


class Workers:
    """At most so many processes; for several threads; to be closed."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._lock = threading.Lock()
        self._all: list[Process] = []
        self._idle: list[Process] = []
        self._begun = 0
        self._closed = False

    def begin(self, number: int | None = None) -> None:
        """Have so many running, or all, without waiting for them; one that ended stays away."""
        wanted = self._number if number is None else min(number, self._number)
        with self._lock:
            while self._begun < wanted and not self._closed:
                self._begun += 1
                processes.begin(self._keep)

    def _keep(self, process: Process) -> None:
        self._all.append(process)
        self._idle.append(process)

    def unpack(
        self,
        store: WheelStore,
        sha256: str,
        archive: Path,
        *,
        filename: str,
        ahead: Sequence[Ahead] = (),
    ) -> UnpackedWheel:
        """As :func:`kedge.install.unpack.unpack_into`, in one of the processes if there is one.

        Raises what that raises, :class:`~kedge.errors.WheelError` and
        :class:`~kedge.errors.CacheError`.
        """
        process = self._take()
        if process is not None:
            outcome = _ask(process, _job(store, sha256, archive, filename, ahead))
            if outcome is not None:
                self._give_back(process)
                _raise_failure(outcome)
                wheel = store.get(sha256)
                if wheel is not None:
                    return wheel
            elif self._closed:
                raise CacheError(f"{filename} was not unpacked: kedge was interrupted.")
            else:
                self._bury(process)
        from kedge.install.unpack import unpack_into  # the processes have it, as a rule

        return unpack_into(
            store, sha256, archive, filename=filename, threads=self._number, ahead=ahead
        )

    def rest(self) -> None:
        """Have those that are idle end, without waiting for it; :meth:`begin` begins others."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._begun -= len(idle)
        for process in idle:
            _end_input(process)

    def close(self) -> None:
        """End them all, whatever they are doing; what they were making is taken back."""
        with self._lock:
            self._closed = True
            every, self._all, self._idle = self._all, [], []
        for process in every:
            _end_input(process)
        for process in every:
            _reap(process)

    def _take(self) -> Process | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _give_back(self, process: Process) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(process)

    def _bury(self, process: Process) -> None:
        with self._lock:
            if process in self._all:
                self._all.remove(process)
        _end_input(process)
        _reap(process)


def _job(
    store: WheelStore, sha256: str, archive: Path, filename: str, ahead: Sequence[Ahead]
) -> dict[str, object]:
    return {
        "folder": str(store.folder.absolute()),
        "scratch": str(store.scratch.folder.absolute()),
        "sha256": sha256,
        "archive": str(archive.absolute()),
        "filename": filename,
        "ahead": ahead,
    }


def _ask(process: Process, job: dict[str, object]) -> dict[str, Any] | None:
    """What came of the job; ``None`` when the process does not answer any more."""
    if process.stdin is None or process.stdout is None:
        raise AssertionError("both are pipes")
    try:
        write_all(process.stdin.fileno(), json.dumps(job).encode() + b"\n")
        line = _line(process.stdout)
        outcome: dict[str, Any] | None = json.loads(line) if line.endswith(b"\n") else None
    except (OSError, ValueError):  # it is gone, or the pipe was closed at the end of the run
        return None
    return outcome


def _line(pipe: IO[bytes]) -> bytes:
    """The next; there is nothing behind it yet. An unbuffered ``readline`` reads byte by byte."""
    line = b""
    while piece := os.read(pipe.fileno(), _PIECE):
        line += piece
        if line.endswith(b"\n"):
            break
    return line


def _raise_failure(outcome: dict[str, Any]) -> None:
    if "refused" in outcome:
        raise WheelError(
            outcome["refused"],
            wheel=outcome["wheel"],
            problems=outcome["problems"],
            hint=outcome["hint"],
        )
    if "failed" in outcome:
        raise CacheError(outcome["failed"], hint=outcome["hint"])


def _end_input(process: Process) -> None:
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()


def _reap(process: Process) -> None:
    try:
        process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
