"""Where words go: stdout for what can be piped, stderr for everything else, a log for all of it.

The console knows verbosity, colour and the log file. It decides no wording of its own beyond the
labels ``error:``, ``warning:`` and ``hint:``, which read the same without colour.
"""

from __future__ import annotations

import io
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

from kedge.errors import UsageError

if TYPE_CHECKING:
    from kedge.cli.terminal import TerminalPrompt

RED, YELLOW, CYAN, BOLD, RESET = "\x1b[31;1m", "\x1b[33;1m", "\x1b[36m", "\x1b[1m", "\x1b[0m"

#: Verbosity at which a line appears: each ``-v`` adds one, each ``-q`` takes one away.
ERROR, WARNING, NORMAL, DETAIL, DEBUG = -2, -1, 0, 1, 2


class _Nowhere(io.TextIOBase):
    """In the place of a stream that was closed before kedge began (``2>&-``)."""

    def write(self, text: str) -> int:
        return len(text)


_NOWHERE = cast("TextIO", _Nowhere())


def wants_color(stream: TextIO | None, environ: Mapping[str, str], *, no_color: bool) -> bool:
    """Colour is for terminals whose user has not declined it (https://no-color.org)."""
    if stream is None or no_color or environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    return bool(environ.get("FORCE_COLOR")) or stream.isatty()


def columns_of(stream: TextIO | None, environ: Mapping[str, str]) -> int | None:
    """How wide the terminal is; ``None`` where the stream is none. ``COLUMNS`` is stronger.

    >>> columns_of(None, {"COLUMNS": "72"})
    72
    """
    named = environ.get("COLUMNS", "")
    if named.isascii() and named.isdecimal() and int(named):
        return int(named)
    if stream is None or not stream.isatty():
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


class Console:
    """Thread-safe output of whole lines; ``close`` ends the log.

    ``width`` is that of the terminal in columns, ``None`` where nobody looks at one.
    """

    def __init__(
        self,
        *,
        verbosity: int = 0,
        color: bool = False,
        width: int | None = None,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self.verbosity = verbosity
        self.color = color
        self.width = width
        self._out = out
        self._err = err
        self._lock = threading.RLock()
        self._warned: set[str] = set()
        self._log: TextIO | None = None
        #: Prints a line on stderr while something else holds its last line (a progress bar).
        self.holder: Callable[[str], object] | None = None
        #: Takes that something aside while a question is asked.
        self.aside: Callable[[], AbstractContextManager[None]] = nullcontext
        #: Who can be asked; nobody where kedge was not started from a terminal.
        self.prompt: TerminalPrompt | None = None

    def configure(self, *, verbosity: int, color: bool, log: Path | None) -> None:
        """What the settings say, once they are known; raises ``UsageError`` for a bad log."""
        self.verbosity = verbosity
        self.color = color
        self._log = _open_log(log) if log else None

    @property
    def stdout(self) -> TextIO:
        return self._out or sys.stdout or _NOWHERE

    @property
    def stderr(self) -> TextIO:
        return self._err or sys.stderr or _NOWHERE

    def result(self, text: str) -> None:
        """Text for stdout: what a pipe may consume. Never suppressed, and not painted here."""
        with self._lock:
            self._write(self.stdout, text)
            self._record(text)

    def say(self, text: str, *, level: int = NORMAL) -> None:
        """A line of narration on stderr, from ``level`` of verbosity on."""
        text = tamed(text)
        with self._lock:
            if self.verbosity >= level:
                if self.holder:
                    self.holder(_without_color(text))
                else:
                    self._narrate(text)
            self._record(text)

    def detail(self, text: str) -> None:
        self.say(text, level=DETAIL)

    def debug(self, text: str) -> None:
        self.say(text, level=DEBUG)

    def warn(self, text: str) -> None:
        """A warning, once for each text."""
        with self._lock:
            if text not in self._warned:
                self._warned.add(text)
                self.say(f"{self.paint('warning:', YELLOW)} {sentence(text)}", level=WARNING)

    def error(self, text: str) -> None:
        """An error is shown at every verbosity but ``-qqq``."""
        self.say(f"{self.paint('error:', RED)} {sentence(text)}", level=ERROR)

    def hint(self, text: str) -> None:
        self.say(f"\n{self.paint('hint:', CYAN)} {text}", level=ERROR)

    @contextmanager
    def interrupted(self) -> Iterator[Callable[[str], None]]:
        """The terminal for a question: other threads' words wait. Yields how to write to it."""

        def write(text: str) -> None:
            with suppress(OSError):
                self.stderr.write(text)
                self.stderr.flush()

        with self.aside(), self._lock:
            yield write

    def paint(self, text: str, code: str = BOLD) -> str:
        return f"{code}{text}{RESET}" if self.color else text

    def close(self) -> None:
        if self.prompt is not None:
            self.prompt.close()
        if self._log:
            self._log.close()
            self._log = None

    def _narrate(self, text: str) -> None:
        """What cannot be told (a full disk, a pipe whose reader has gone) must not decide what is
        done: from the first failure on, narration goes nowhere.
        """
        try:
            self._write(self.stderr, text)
        except OSError:
            if self._err is None:
                # Python flushes the stream once more when it ends, and would exit with 120.
                with suppress(OSError, ValueError, AttributeError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
            self._err = _NOWHERE

    def _write(self, stream: TextIO, text: str) -> None:
        stream.write(f"{encodable(text, stream.encoding or 'utf-8')}\n")
        stream.flush()

    def _record(self, text: str) -> None:
        if self._log:
            # A full disk under the log must not end the install that it describes.
            with suppress(OSError):
                self._log.write(_without_color(text) + "\n")
                self._log.flush()


def sentence(text: str) -> str:
    """The text with a full stop, unless it ends a sentence already.

    >>> sentence("The bundle a.pem does not exist"), sentence("Proceed?")
    ('The bundle a.pem does not exist.', 'Proceed?')
    """
    return text if text.endswith((".", "?", "!", ":")) else f"{text}."


#: What a terminal obeys, but for line ends, tabs, and the five colours above: a server's words, a
#: file's name or a certificate's may be in what is told.
_OBEYED = re.compile(
    r"\x1b(?!\[(?:31;1|33;1|36|1|0)m)"
    r"|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def tamed(text: str) -> str:
    """The text without what a terminal would obey.

    >>> tamed("answered 403 \\x1b[2JForbidden")
    'answered 403 �[2JForbidden'
    """
    return _OBEYED.sub("\N{REPLACEMENT CHARACTER}", text)


#: What reads the same without it, where a terminal has no such characters.
_PLAIN = {"“": '"', "”": '"', "…": "..."}


def encodable(text: str, encoding: str) -> str:
    """The text in characters that the encoding has.

    >>> encodable("“Größe” …", "latin-1"), encodable("“Größe”", "ascii")
    ('"Größe" ...', '"Gr\\\\xf6\\\\xdfe"')
    """
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        shown = (_PLAIN.get(each, each) for each in text)
        return "".join(shown).encode(encoding, "backslashreplace").decode(encoding)
    return text


def _open_log(path: Path) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a", encoding="utf-8")
    except OSError as exc:
        raise UsageError(
            f"The log file {path} cannot be written: {exc.strerror}.",
            hint="Choose another path with --log.",
        ) from exc


def _without_color(text: str) -> str:
    for code in (RED, YELLOW, CYAN, BOLD, RESET):
        text = text.replace(code, "")
    return text
