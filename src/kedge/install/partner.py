"""A second process that links along: two processors make the same files in little more than half
of the time, and threads do not, which take turns at the interpreter's lock.

It takes wheels from the end of the list, several small ones at a time, while this process works
from the beginning, and does what is plain: a file that is as the manifest says is hard-linked to
where nothing is. All else it leaves to :class:`~kedge.install.link.Linker`, and what it cannot do
at all is done without it.

It holds the lock of the environment too: were this process killed, the next one waits until the
partner, which finds nobody to answer to, has ended.
"""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
from collections import deque
from contextlib import suppress
from itertools import islice
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Generic, NamedTuple, TypeVar

from kedge.cache import Row
from kedge.processors import processors

Key = TypeVar("Key")

#: Fewer files than this are linked before a process has started.
WORTH_IT = 4000

#: Files of one job, at least: each costs both processes a word with the other.
_JOB = 400

# What a number of bytes is written with, before them: marshal reads a pipe piece by piece.
_LENGTH = 8

# Runs in kedge's own Python: a job in, the numbers of the files that it left out.
_PARTNER = f"""\
import marshal, os, sys
def run(parts, plain, executable):
    left = []
    for number, (source, destination, folders, rows) in enumerate(parts):
        from_, to = os.open(source, os.O_RDONLY), os.open(destination, os.O_RDONLY)
        for folder in folders:
            try:
                os.mkdir(folder, dir_fd=to)
            except FileExistsError:
                pass
        for place, (path, size, _, permissions, mtime_ns) in enumerate(rows):
            try:
                status = os.stat(path, dir_fd=from_, follow_symlinks=False)
                mode = executable if permissions & 0o111 else plain
                if (status.st_size, status.st_mtime_ns, status.st_mode) == (size, mtime_ns, mode):
                    os.link(path, path, src_dir_fd=from_, dst_dir_fd=to)
                    continue
            except OSError:
                pass
            left.append((number, place))
        os.close(from_)
        os.close(to)
    return left
pipe, answers = sys.stdin.buffer, sys.stdout.buffer
while length := pipe.read({_LENGTH}):
    answer = marshal.dumps(run(*marshal.loads(pipe.read(int.from_bytes(length, "little")))))
    answers.write(len(answer).to_bytes({_LENGTH}, "little") + answer)
    answers.flush()
"""


class Part(NamedTuple):
    """Files from below one folder to below another, both absolute; see :class:`Linked`."""

    source: str
    destination: str
    folders: tuple[str, ...]
    rows: tuple[Row, ...]


class Partner(Generic[Key]):
    """Takes jobs from the right end of ``waiting``; whoever made it takes them from the left.

    ``modes`` are the whole modes that plain files and programs must have. ``lock`` is an open
    descriptor that the process inherits. A context manager: at its end nothing is linked any more.
    """

    def __init__(
        self, waiting: deque[tuple[Key, tuple[Part, ...]]], *, modes: tuple[int, int], lock: int
    ) -> None:
        self._waiting = waiting
        self._modes = modes
        self._done: SimpleQueue[tuple[Key, list[Part]] | None] = SimpleQueue()
        self._ended = False
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _PARTNER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(lock,),
            start_new_session=True,
        )
        self._thread = Thread(target=self._work)

    def __enter__(self) -> Partner[Key]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._waiting.clear()
        self._process.kill()
        if self._thread.ident is not None:
            self._thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self._process.wait()

    def begin(self) -> None:
        """From now on it takes jobs."""
        self._thread.start()

    def done(self, *, wait: bool) -> tuple[Key, list[Part]] | None:
        """A job that it did, and the files that it left, if there is one; with ``wait`` until it
        has done what it took. There are none after that.
        """
        if self._ended or self._thread.ident is None:
            return None
        try:
            found = self._done.get(block=wait)
        except Empty:
            return None
        self._ended = found is None
        return found

    def _work(self) -> None:
        try:
            while jobs := self._take():
                left = iter(self._ask(tuple(part for _, parts in jobs for part in parts)))
                for key, parts in jobs:
                    self._done.put((key, [one for one in islice(left, len(parts)) if one.rows]))
        finally:
            self._done.put(None)

    def _take(self) -> list[tuple[Key, tuple[Part, ...]]]:
        """So much that asking is worth it, and never so much that the other runs out of it."""
        jobs: list[tuple[Key, tuple[Part, ...]]] = []
        size = 0
        most = 1 + len(self._waiting) // 8
        while size < _JOB and len(jobs) < most:
            try:
                job = self._waiting.pop()
            except IndexError:
                break
            jobs.append(job)
            size += sum(len(part.rows) for part in job[1])
        return jobs

    def _ask(self, parts: tuple[Part, ...]) -> list[Part]:
        """The same parts with those of their files that the process left."""
        pipe, answers = self._process.stdin, self._process.stdout
        if pipe is None or answers is None:
            raise AssertionError("started with pipes")
        plain = [(*part[:3], tuple(map(tuple, part.rows))) for part in parts]
        job = marshal.dumps((plain, *self._modes))
        try:
            pipe.write(len(job).to_bytes(_LENGTH, "little") + job)
            pipe.flush()
            answer = answers.read(int.from_bytes(answers.read(_LENGTH), "little"))
            left = marshal.loads(answer)  # noqa: S302 - of a process of our own
            rows: list[list[Row]] = [[] for _ in parts]
            for number, place in left:
                rows[number].append(parts[number].rows[place])
        except (OSError, EOFError, ValueError, TypeError, LookupError):
            return list(parts)
        return [part._replace(rows=tuple(some)) for part, some in zip(parts, rows, strict=True)]


def is_possible() -> bool:
    """Whether a partner can be had here, and is of use."""
    return os.name == "posix" and bool(sys.executable) and processors() > 1
