"""Programs that a build starts: run with their output read, and ended when the run ends.

Each gets a session of its own, so that Ctrl-C reaches kedge alone, which then ends the child with
everything that it started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

#: What is kept of a child's output, in lines: enough to find the reason of any failure.
_KEPT_LINES = 10_000
#: What is kept of one line, in bytes.
_LONGEST_LINE = 16 << 10
_GRACE_SECONDS = 3.0


class ChildFailed(Exception):  # noqa: N818 - what happened, not a mistake of ours
    """A child ended with another code than 0; ``lines`` is what it printed."""

    def __init__(self, code: int, lines: Sequence[str]) -> None:
        super().__init__(f"exit code {code}")
        self.code = code
        self.lines = tuple(lines)


class Children:
    """The children of one run. Thread-safe: several builds run at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def run(
        self,
        command: Sequence[str],
        *,
        cwd: Path | str | None,
        environ: Mapping[str, str],
        heard: Callable[[str], object],
    ) -> list[str]:
        """Run to the end; what it printed, line by line, each told to ``heard`` as it comes.

        :raises ChildFailed: it did not end with 0.
        :raises OSError: it cannot be started.
        """
        with self._lock:
            if self._stopped:
                raise ChildFailed(-int(signal.SIGTERM), [])
            child = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=os.name == "posix",
            )
            self._running.add(child)
        lines: list[str] = []
        try:
            if child.stdout is None:
                raise AssertionError("the child's output is a pipe")
            with child.stdout as pipe:
                for line in _lines(pipe):
                    lines.append(line)
                    del lines[:-_KEPT_LINES]
                    heard(line)
            code = child.wait()
        finally:
            with self._lock:
                self._running.discard(child)
            if child.poll() is None:
                _end(child)
        if code != 0:
            raise ChildFailed(code, lines)
        return lines

    def stop(self) -> None:
        """End every child that runs, and start none from now on."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for child in running:
            _end(child)


def _lines(pipe: IO[bytes]) -> Iterator[str]:
    """What is printed, line by line; the end of an endless one is left out, and counted."""
    while raw := pipe.readline(_LONGEST_LINE):
        more, left_out = raw, 0
        while not more.endswith(b"\n") and (more := pipe.readline(_LONGEST_LINE)):
            left_out += len(more.rstrip())
        line = raw.decode("utf-8", "backslashreplace").rstrip()
        yield f"{line} [{left_out} bytes more]" if left_out else line


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ask the child and all that it started to end; then make them."""
    _signal(child, signal.SIGTERM)
    try:
        child.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        _signal(child, getattr(signal, "SIGKILL", signal.SIGTERM))
        with suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE_SECONDS)


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    with suppress(OSError):
        if os.name == "posix":
            os.killpg(child.pid, number)
        else:
            child.terminate()
