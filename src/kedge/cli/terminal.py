"""Questions to a person at a terminal: one line each, shown while it is typed or not.

A question may be asked on any thread and given up from another, which a blocking ``read`` does not
allow: Ctrl-C reaches the main thread alone. So the terminal is watched, a fifth of a second at a
time. It is left as it was found, whatever happens.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TextIO

from kedge.cli.console import Console

_PATIENCE = 0.2


class TerminalPrompt:
    """Asks on stderr, reads from stdin; both are terminals. Thread-safe."""

    def __init__(self, console: Console, stdin: TextIO) -> None:
        self._console = console
        self._stdin = stdin
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._passphrases: dict[str, str] = {}

    def ask(
        self, question: str, *, secret: bool = False, abandoned: Callable[[], bool]
    ) -> str | None:
        """The line that was typed; ``None`` at the end of input, and once abandoned."""

        def given_up() -> bool:
            return self._closed.is_set() or abandoned()

        with self._lock, self._console.interrupted() as write:
            write(question)
            answer = _read_line(self._stdin, given_up, secret=secret)
            if secret or answer is None:
                write("\n")  # what was typed to end the line was not shown
            return answer

    def passphrase(self, path: str, *, again: bool, abandoned: Callable[[], bool]) -> str | None:
        """What opens the key in a file; remembered, for whoever needs it later in the run."""
        if again:
            self._passphrases.pop(path, None)
        known = self._passphrases.get(path)
        if known is not None:
            return known
        head = "That is not it.\n" if again else ""
        answer = self.ask(f"{head}Passphrase of {path}: ", secret=True, abandoned=abandoned)
        if answer is not None:
            self._passphrases[path] = answer
        return answer

    def close(self) -> None:
        """Give up a question that waits on another thread, and leave the terminal as it was."""
        self._closed.set()
        if self._lock.acquire(timeout=25 * _PATIENCE):  # on a busy machine, too
            self._lock.release()


def find_terminal(console: Console) -> TerminalPrompt | None:
    """Somebody to ask, if kedge was started by hand: both ends have to be a terminal."""
    stdin = sys.stdin
    try:
        if stdin is not None and stdin.isatty() and console.stderr.isatty():
            return TerminalPrompt(console, stdin)
    except ValueError:  # a closed stream
        pass
    return None


if sys.platform == "win32":

    def _read_line(stdin: TextIO, given_up: Callable[[], bool], *, secret: bool) -> str | None:
        import _thread
        import msvcrt
        import time

        typed = ""
        while not given_up():
            if not msvcrt.kbhit():
                time.sleep(_PATIENCE / 4)
                continue
            letter = msvcrt.getwch()
            if letter in "\r\n":
                if not secret:
                    msvcrt.putwch("\n")
                return typed
            if letter == "\x03":
                _thread.interrupt_main()
                return None
            if letter in "\x00\xe0":
                msvcrt.getwch()  # the second half of a function key
            elif letter == "\b":
                if typed and not secret:
                    for each in "\b \b":
                        msvcrt.putwch(each)
                typed = typed[:-1]
            elif letter == "\x1a" and not typed:
                return None
            else:
                typed += letter
                if not secret:
                    msvcrt.putwch(letter)
        return None

else:

    def _read_line(stdin: TextIO, given_up: Callable[[], bool], *, secret: bool) -> str | None:
        import os
        import select

        descriptor = stdin.fileno()
        typed = b""
        with _silent(descriptor) if secret else nullcontext():
            while not given_up():
                if not select.select([descriptor], [], [], _PATIENCE)[0]:
                    continue
                more = os.read(descriptor, 4096)
                typed += more
                if not more or typed.endswith(b"\n"):
                    break
        if not typed.endswith(b"\n"):
            return None
        return typed.rstrip(b"\r\n").decode(stdin.encoding or "utf-8", "replace")

    @contextmanager
    def _silent(descriptor: int) -> Iterator[None]:
        """What is typed is not shown, as long as this lasts."""
        import termios

        before = termios.tcgetattr(descriptor)
        changed = termios.tcgetattr(descriptor)
        changed[3] &= ~termios.ECHO
        try:
            # FLUSH: what was typed before the question is no answer to it.
            termios.tcsetattr(descriptor, termios.TCSAFLUSH, changed)
            yield
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
