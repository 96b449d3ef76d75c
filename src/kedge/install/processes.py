"""A process to unpack in: a copy of this one where that is safe, else a new interpreter.

A new interpreter is isolated from the user's folder and variables, and finds kedge where this one
found it; until it has imported that, a small wheel would be unpacked. A copy has everything
already and takes a quarter of the time. Copying is for Linux alone (on macOS the system's own
libraries may not survive it), and only while this process has a single thread: what another one
holds would stay locked in the copy for good.

Either ends when its input does, and has a session of its own, so that Ctrl-C reaches kedge alone.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol

import kedge

_BEGIN = "import sys; sys.path += {path}; from kedge.install.worker import work; work()"

_OWN = "/proc/self"
_LONGEST_PAUSE = 0.02


class Process(Protocol):
    """What is used of it, as :class:`subprocess.Popen` has it; both pipes are unbuffered."""

    @property
    def pid(self) -> int: ...
    @property
    def stdin(self) -> IO[bytes] | None: ...
    @property
    def stdout(self) -> IO[bytes] | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def kill(self) -> None: ...


def begin(keep: Callable[[Process], object]) -> None:
    """Give one more to ``keep``, which does :func:`kedge.install.worker.work`, if it can be had."""
    if _may_copy():
        with suppress(OSError):  # it may take too much memory, where a new one does not
            _copy(keep)
            return
    if sys.executable and not getattr(sys, "frozen", False):  # a frozen program is no Python
        with suppress(OSError):
            keep(_started())


# --------------------------------------------------------------------------------------------
# A copy


def _may_copy() -> bool:
    """Whether this is Linux, and there is no other thread, be it Python's or a library's."""
    if sys.platform != "linux":
        return False
    try:
        return len(os.listdir(f"{_OWN}/task")) == 1
    except OSError:
        return False


class _Copy:
    """A process that was forked, for whoever would have started it. Safe for several threads."""

    def __init__(self, pid: int, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self._status: int | None = None
        self._lock = threading.Lock()

    def wait(self, timeout: float | None = None) -> int:
        end = None if timeout is None else time.monotonic() + timeout
        pause = 0.0005
        while (status := self._look()) is None:
            if end is not None and time.monotonic() >= end:
                raise subprocess.TimeoutExpired("kedge", timeout or 0.0)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return status

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            if self._look() is None:  # else the number may be another's by now
                os.kill(self.pid, signal.SIGKILL)

    def _look(self) -> int | None:
        """How it ended, if it has."""
        with self._lock:
            if self._status is None:
                try:
                    pid, status = os.waitpid(self.pid, os.WNOHANG)
                except ChildProcessError:  # the system was told to wait for the children itself
                    pid, status = self.pid, 0
                if pid:
                    self._status = os.waitstatus_to_exitcode(status)
            return self._status


def _copy(keep: Callable[[Process], object]) -> None:
    """No signal comes in between: neither has the copy go on as if it were this process, nor is
    one made that nobody knows of.

    :raises OSError: there are no more to be had.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        keep(_forked(mask))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _forked(mask: set[int | signal.Signals]) -> Process:
    """:raises OSError: there are no more to be had."""
    jobs, stdin = os.pipe()
    try:
        stdout, outcomes = os.pipe()
    except OSError:
        os.close(jobs)
        os.close(stdin)
        raise
    try:
        pid = os.fork()
    except OSError:
        os.close(stdin)
        os.close(stdout)
        raise
    else:
        if pid == 0:
            try:
                _be_copy(jobs, outcomes, mask)
            finally:
                os._exit(1)
    finally:
        os.close(jobs)
        os.close(outcomes)
    return _Copy(pid, open(stdin, "wb", buffering=0), open(stdout, "rb", buffering=0))


def _be_copy(jobs: int, outcomes: int, mask: set[int | signal.Signals]) -> None:
    """Leave behind all that is the other process's: its files, its folder, its signals."""
    gc.freeze()  # nor is its garbage this one's to collect
    sys.stdout = sys.stderr = None  # whose buffers are not this one's to write
    os.setsid()
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_WRONLY)
    for number, descriptor in enumerate((jobs, outcomes, nothing)):
        os.dup2(descriptor, number)
    for name in os.listdir(f"{_OWN}/fd"):
        if int(name) > 2:
            with suppress(OSError):  # that of the listing
                os.close(int(name))
    for each in signal.valid_signals():
        if callable(signal.getsignal(each)):
            signal.signal(each, signal.SIG_DFL)
    from kedge.install.worker import work

    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    work()


# --------------------------------------------------------------------------------------------
# A new interpreter


def _started() -> Process:
    """:raises OSError: it cannot be started."""
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    return subprocess.Popen(
        [sys.executable, "-I", "-S", *_options(), "-c", _BEGIN.format(path=ascii(_path()))],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(sys.executable).anchor or None,
        creationflags=flags,
        start_new_session=os.name == "posix",
    )


def _options() -> list[str]:
    """What of this interpreter's options a variable may have set, which the processes ignore.

    They keep the bytecode of what they import where this one would: much of it nothing else
    imports, and compiling it each time would be a third of their start.
    """
    options = ["-X", "utf8"] if sys.flags.utf8_mode else []
    if sys.dont_write_bytecode:
        options.append("-B")
    if sys.pycache_prefix is not None:
        options += ["-X", f"pycache_prefix={sys.pycache_prefix}"]
    return options


def _path() -> list[str]:
    """Where a process finds kedge and what it needs of others, each where it is found here."""
    from importlib.util import find_spec

    import packaging  # which versions that are spelled in an unusual way are compared with

    faster = find_spec("zlib_ng")  # the processes load it, see kedge.inflate
    places = [kedge.__file__, packaging.__file__, faster.origin if faster is not None else None]
    # Each is a package's __init__: two above it is the folder, or zip file, that it comes from.
    homes = [str(Path(place).absolute().parent.parent) for place in places if place is not None]
    return list(dict.fromkeys(homes))
