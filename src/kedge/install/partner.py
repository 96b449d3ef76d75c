"""A second process that links along: two processors make the same files in little more than half
of the time, and threads do not, which take turns at the interpreter's lock.

It takes wheels from the end of the list while this process works from the beginning, and does
what is plain: a file that is as the manifest says is hard-linked to where nothing is. All else it
leaves to :class:`~kedge.install.link.Linker`, and what it cannot do at all is done without it.

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
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Generic, NamedTuple, TypeVar

from kedge.cache import Row

Key = TypeVar("Key")

#: Fewer files than this are linked before a process has started.
WORTH_IT = 4000

# Runs in kedge's own Python: a job in, the numbers of the files that it left out.
_PARTNER = """\
import marshal, os, sys
def run(parts, plain, executable):
    left = []
    for number, (source, destination, folders, rows) in enumerate(parts):
        for folder in folders:
            try:
                os.mkdir(destination + "/" + folder)
            except FileExistsError:
                pass
        from_, to = os.open(source, os.O_RDONLY), os.open(destination, os.O_RDONLY)
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
while True:
    try:
        job = marshal.load(sys.stdin.buffer)
    except EOFError:
        break
    sys.stdout.buffer.write(marshal.dumps(run(*job)))
    sys.stdout.buffer.flush()
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
            while True:
                try:
                    key, parts = self._waiting.pop()
                except IndexError:
                    return
                self._done.put((key, self._ask(parts)))
        finally:
            self._done.put(None)

    def _ask(self, parts: tuple[Part, ...]) -> list[Part]:
        pipe, answers = self._process.stdin, self._process.stdout
        if pipe is None or answers is None:
            raise AssertionError("started with pipes")
        try:
            plain = [(*part[:3], tuple(map(tuple, part.rows))) for part in parts]
            pipe.write(marshal.dumps((plain, *self._modes)))
            pipe.flush()
            left = marshal.load(answers)  # noqa: S302 - of a process of our own
        except (OSError, EOFError, ValueError, TypeError):
            return list(parts)
        found: dict[int, list[Row]] = {}
        for number, place in left:
            found.setdefault(number, []).append(parts[number].rows[place])
        return [parts[number]._replace(rows=tuple(rows)) for number, rows in found.items()]


def is_possible() -> bool:
    """Whether a partner can be had here, and is of use."""
    return os.name == "posix" and bool(sys.executable) and (os.cpu_count() or 1) > 1
