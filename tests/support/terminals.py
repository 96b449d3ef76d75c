"""kedge on a real terminal (a pseudo-terminal), so that it asks questions, and is interrupted.

::

    with on_terminal(kedge, "install", "demo") as session:
        session.answer("User for", "ana")
        session.answer("Password", "secret")
        session.ended().succeeded()

For POSIX only: mark such tests with :data:`needs_terminals`.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.venvs import Kedge, Outcome

needs_terminals = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX's")


class TerminalSession:
    """A child whose stdin, stdout and stderr are one terminal, and who types there."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, words: list[str]) -> None:
        self._process = process
        self._master = master
        self._words = tuple(words)
        self._read = b""
        self._told = 0  # how far the answers so far have been looked for

    @property
    def raw(self) -> str:
        """All that was shown, as the terminal got it."""
        return self._read.decode("utf-8", "replace")

    @property
    def screen(self) -> str:
        """All that was shown, without the escape sequences of colours and lines."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw)

    def wait_for(self, text: str, *, timeout: float = 60) -> None:
        """Returns once the text is shown, below what was waited for before."""
        end = time.monotonic() + timeout
        while text not in self.screen[self._told :]:
            assert time.monotonic() < end, f"no {text!r} in:\n{self.screen}"
            if not self._more(0.2) and self._process.poll() is not None:
                assert text in self.screen[self._told :], f"no {text!r} in:\n{self.screen}"
        self._told = self.screen.index(text, self._told) + len(text)

    def wait_until_hidden(self, *, timeout: float = 20) -> None:
        """Returns once the terminal does not show what is typed."""
        end = time.monotonic() + timeout
        while self.echoes:
            assert time.monotonic() < end, f"what is typed is shown:\n{self.screen}"
            time.sleep(0.02)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def answer(self, question: str, text: str) -> None:
        """Waits for the question, and types the answer and a newline."""
        self.wait_for(question)
        if question.startswith(("Pass", "pass")):
            self.wait_until_hidden()  # what is typed before is flushed
        self.type(f"{text}\n")

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed."""
        import termios

        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    def ended(self, *, timeout: float = 60) -> Outcome:
        """How it ended; everything that was shown counts as stderr."""
        end = time.monotonic() + timeout
        while self._process.poll() is None:
            assert time.monotonic() < end, f"still running:\n{self.screen}"
            self._more(0.2)
        # To the end of it, which does not come where the other end is kept open (see below).
        while self._more(0.5 if sys.platform == "darwin" else 10):
            pass
        return Outcome(self._words, self._process.returncode, "", self.screen)

    def _more(self, patience: float) -> bool:
        if not select.select([self._master], [], [], patience)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux: the other end is closed
            return False
        self._read += data
        return bool(data)


@contextmanager
def on_terminal(
    kedge: Kedge, command: str, *words: str | Path, hide: tuple[int, ...] = ()
) -> Iterator[TerminalSession]:
    """Starts kedge on a terminal of its own; what still runs at the end is killed.

    ``hide`` are descriptors (0 stdin, 2 stderr) that are the null device instead.
    """
    import fcntl
    import pty
    import termios

    master, slave = pty.openpty()
    line = kedge.line(command, *words)
    null = os.open(os.devnull, os.O_RDWR)
    files = {number: null if number in hide else slave for number in (0, 1, 2)}
    process = subprocess.Popen(
        line,
        env={**kedge.environ, "TERM": "xterm", "COLUMNS": "200"},
        cwd=kedge.cwd,
        stdin=files[0],
        stdout=files[1],
        stderr=files[2],
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0) and None,
        pass_fds=(slave,),
    )
    os.close(slave if sys.platform != "darwin" else null)
    try:
        yield TerminalSession(process, master, line[len(kedge.program) :])
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        os.close(master)
