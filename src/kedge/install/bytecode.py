"""Compiling the modules of wheels, with the Python that they are installed for.

Costs ten times all the rest of an installation, so it is done only when asked for, in as many
processes as there are processors, once a wheel: the result is kept beside it in the cache, and
linked along from then on. What does not compile (templates, code of another Python) is left
uncompiled, as pip leaves it.

Bytecode holds the time and size of its source, which are the same in every environment since
installing keeps the time of the cached file; the path in it Python corrects as it loads it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Semaphore, Thread
from types import TracebackType
from typing import TypeAlias

from kedge.cache import Bytecode, Linked, ManifestEntry, UnpackedWheel, WheelStore
from kedge.environment.interpreter import Interpreter
from kedge.errors import InstallError
from kedge.install.plan import InstallReporter
from kedge.install.ready import made_ready
from kedge.processors import processors

# Runs in the target's Python, 3.8 or newer: a line of jobs in, a line of what was made out. The
# files are as py_compile writes them (PEP 552), whose own way costs three times the calls.
_WORKER = """\
import gc, json, marshal, os, sys
from importlib.util import MAGIC_NUMBER

def pyc(source, target, shown):
    with open(source, "rb", 0) as file:
        data, status = file.read(), os.fstat(file.fileno())
    try:
        code = compile(data, shown, "exec", dont_inherit=True)
    except Exception:
        return None
    mode = status.st_mode & 0o777 | 0o200
    stamps = (int(status.st_mtime), status.st_size)
    head = b"".join((n & 0xFFFFFFFF).to_bytes(4, "little") for n in (0, *stamps))
    with open(os.open(target, NEW, mode), "wb") as file:
        file.write(MAGIC_NUMBER + head + marshal.dumps(code))
        file.flush()
        status = os.fstat(file.fileno())
    return status.st_size, status.st_mode & 0o777, status.st_mtime_ns

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
gc.set_threshold(50000)
for line in sys.stdin.buffer:
    source, target, jobs = json.loads(line)
    try:
        made = [pyc(source + job[0], target + job[1], job[0]) for job in jobs]
    except OSError as exc:
        sys.exit(str(exc))
    sys.stdout.write(json.dumps(made) + "\\n")
    sys.stdout.flush()
"""

# So much source, in bytes, is handed to a process at a time: enough to make handing over cheap,
# and little enough that all processes end together.
_PORTION = 1 << 18


class Compiling:
    """Makes the bytecode of wheels and keeps it in the store, while others are still fetched.

    A context manager; leaving it ends what is not done. Nothing is started before there is
    something to do.
    """

    def __init__(self, interpreter: Interpreter, store: WheelStore) -> None:
        self._interpreter = interpreter
        self._store = store
        self._lock = Lock()
        self._processes: _Processes | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._error: InstallError | None = None
        self._closed = False
        self._under_way: dict[str, tuple[UnpackedWheel, Future[Bytecode]]] = {}

    def __enter__(self) -> Compiling:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._closed = True
        if self._processes is None or self._threads is None:
            return
        if not all(future.done() for _, future in self._under_way.values()):
            self._processes.kill()
        self._threads.shutdown(cancel_futures=True)
        self._processes.close()

    def add(self, wheel: UnpackedWheel) -> None:
        """Begin with that wheel, unless its bytecode is there. From any thread; never raises."""
        tag = self._interpreter.cache_tag
        if tag is None or self._store.has_bytecode(wheel, tag):
            return
        with self._lock:
            if self._closed or self._error is not None or wheel.sha256 in self._under_way:
                return
            if self._processes is None:
                try:
                    self._processes = _Processes(self._interpreter)
                except InstallError as exc:
                    self._error = exc
                    return
                # More at a time than there are processes, so that none of them waits.
                self._threads = ThreadPoolExecutor(2 * self._processes.count)
            if self._threads is not None:
                work = partial(_build, wheel, tag, processes=self._processes)
                future = self._threads.submit(self._store.add_bytecode, wheel, tag, work)
                self._under_way[wheel.sha256] = wheel, future

    def finish(
        self, wheels: Iterable[UnpackedWheel], reporter: InstallReporter
    ) -> dict[str, Bytecode]:
        """The bytecode of all that were begun, by their SHA-256; begins with these, too.

        :raises InstallError: the target's Python cannot be run, or ended meanwhile.
        :raises CacheError: its bytecode could not be stored.
        """
        for wheel in sorted(wheels, key=lambda wheel: wheel.manifest.size, reverse=True):
            self.add(wheel)
        if self._error is not None:
            raise self._error
        with self._lock:
            under_way = list(self._under_way.values())
        found = {}
        for wheel, future in under_way:
            found[wheel.sha256] = future.result()
            reporter.compiling(wheel.manifest.name)
        return found


def _build(wheel: UnpackedWheel, tag: str, tree: Path, *, processes: _Processes) -> Linked:
    """Compile the wheel into the folder."""
    place = os.fspath(tree) + os.sep
    made: set[str] = set()
    portions: list[list[_Job]] = [[]]
    size = 0
    for path, bytes_, *_ in wheel.manifest.linked.rows:
        if not path.endswith(".py"):
            continue
        folder, _, name = path.rpartition("/")
        folder = f"{folder}/__pycache__" if folder else "__pycache__"
        if folder not in made:
            os.makedirs(place + folder)
            made.add(folder)
        portions[-1].append((path, f"{folder}/{name[:-3]}.{tag}.pyc"))
        size += bytes_
        if size > _PORTION:
            portions.append([])
            size = 0
    source = os.fspath(wheel.tree) + os.sep
    asked = [(jobs, processes.compile(source, place, jobs)) for jobs in portions if jobs]
    return made_ready(
        (
            ManifestEntry(job[1], size, "", mode, mtime_ns)
            for jobs, answer in asked
            for job, row in zip(jobs, answer.result(), strict=True)
            if row is not None
            for size, mode, mtime_ns in [row]
        ),
        with_digests=False,
    )


# Paths of a source and of what it becomes, below their folders; size, permissions and time of
# what was made, or nothing where it does not compile.
_Job = tuple[str, str]
_Made = tuple[int, int, int] | None
_Sent: TypeAlias = "SimpleQueue[Future[list[_Made]] | None]"


class _Processes:
    """Processes of the target's Python that compile; started at once, stopped at the end."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._executable = os.fspath(interpreter.executable)
        command = [self._executable, "-I", "-S", "-W", "ignore", "-c", _WORKER]
        self.count = processors()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._threads: list[Thread] = []
        self._jobs: SimpleQueue[tuple[bytes, Future[list[_Made]]] | None] = SimpleQueue()
        try:
            for _ in range(self.count):
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
                self._processes.append(process)
        except OSError as exc:
            self.kill()
            self.close()
            raise InstallError(
                f"{self._executable} cannot be run to compile: {exc.strerror}."
            ) from exc
        self._threads = [
            Thread(target=self._send, args=(each, SimpleQueue())) for each in self._processes
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Let them end, and wait for that."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        for process in self._processes:
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    if pipe is not None:
                        pipe.close()
            process.wait()

    def kill(self) -> None:
        """What is not done yet fails."""
        for process in self._processes:
            process.kill()

    def compile(self, source: str, target: str, jobs: list[_Job]) -> Future[list[_Made]]:
        """Have them compiled by the first process that is free; the folders exist."""
        answer: Future[list[_Made]] = Future()
        self._jobs.put((json.dumps((source, target, jobs)).encode() + b"\n", answer))
        return answer

    def _send(self, process: subprocess.Popen[bytes], sent: _Sent) -> None:
        """One process's jobs, until there are no more: one beforehand, so that it never waits."""
        room = Semaphore(2)
        receiver = Thread(target=self._receive, args=(process, sent, room))
        receiver.start()
        while (job := self._jobs.get()) is not None:
            line, answer = job
            room.acquire()
            try:
                if process.stdin is not None:
                    process.stdin.write(line)
                    process.stdin.flush()
            except OSError:
                pass  # then there is no answer either
            sent.put(answer)
        sent.put(None)
        receiver.join()

    def _receive(self, process: subprocess.Popen[bytes], sent: _Sent, room: Semaphore) -> None:
        """Its answers; when it has ended, all that was to come fails."""
        while (answer := sent.get()) is not None:
            try:
                line = process.stdout.readline() if process.stdout is not None else b""
                answer.set_result(json.loads(line))
            except (OSError, ValueError):
                answer.set_exception(
                    InstallError(
                        f"{self._executable} ended while it was compiling.",
                        hint="Is the disk full? Without --compile the modules are compiled when "
                        "first used.",
                    )
                )
            room.release()
