"""How an error reads: one sentence, what belongs to it, then what to do.

The tree in :mod:`kedge.errors` carries values; this is the only module that makes them text.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from kedge import errors
from kedge.cli.console import ERROR, Console
from kedge.cli.wrapping import shown

if TYPE_CHECKING:
    from kedge.diagnose import Line

#: How much of a failed build's output is shown: a traceback and what led to it.
OUTPUT_LINES = 40


def show_error(
    error: errors.KedgeError, console: Console, *, diagnosis: Iterable[Line] = ()
) -> None:
    """Print the error on stderr: the sentence, then a diagnosis, or else its details and hint."""
    console.error(error.message)
    diagnosed = False
    for line in diagnosis:
        if not diagnosed:
            console.say("", level=ERROR)
        diagnosed = True
        for row in shown(line, console):
            console.say(row, level=ERROR)
    for detail in () if diagnosed else details(error):
        console.say(f"  {detail}", level=ERROR)
    if error.hint and not diagnosed:
        console.hint(error.hint)
    cause = error.__cause__
    if cause is not None:
        console.debug(f"  caused by {type(cause).__name__}: {cause}")


def details(error: errors.KedgeError) -> Iterator[str]:
    """The lines that go below the sentence, by kind of error."""
    match error:
        case errors.TlsError():
            yield f"{error.hop.value}: {error.peer}"
            yield f"OpenSSL: {error.reason}"
            yield f"trusted: {error.decision}"
        case errors.RequirementError() if str(error.origin) not in error.message:
            yield f"in {error.origin}"
        case errors.HashMismatchError():
            for algorithm, digest in error.expected:
                yield f"expected {algorithm} {digest}"
            for algorithm, digest in error.actual:
                yield f"     got {algorithm} {digest}"
        case errors.ConflictError():
            yield from error.explanation
        case errors.WheelError():
            yield from error.problems
        case errors.BuildError():
            yield from _output(error)
        case errors.EmptySystemStoreError():
            for place in error.looked_in:
                yield f"looked in {place}"
        case _:
            pass


def _output(error: errors.BuildError) -> Iterator[str]:
    left_out = len(error.output) - OUTPUT_LINES
    if left_out > 0:
        yield f"({left_out} lines are left out; -v shows them)"
    for line in error.output[-OUTPUT_LINES:]:
        yield f"| {line}"


def show_unexpected(error: Exception, console: Console, *, traceback: bool) -> None:
    """What no layer expected: the operating system's refusals in its words, the rest as a bug."""
    if isinstance(error, OSError) and error.errno is not None:
        place = f": {error.filename}" if error.filename else ""
        console.error(f"{error.strerror}{place}.")
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            console.hint("Make room on the disk, and run the command again.")
    elif isinstance(error, UnicodeEncodeError) and sys.getfilesystemencoding() != "utf-8":
        console.error(
            f"{error.object!r} cannot be a file's name here: the encoding of names is "
            f"{sys.getfilesystemencoding()}."
        )
        console.hint("Choose a locale of UTF-8, or set PYTHONUTF8=1.")
    elif isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("kedge"):
        console.error(f"kedge cannot go on: the module {error.name}, which it needs, is missing.")
        console.hint(f"Install kedge again where it lives, in {sys.prefix}.")
    else:
        console.error(f"Unexpected {type(error).__name__}: {error}")
        console.hint("This is a bug in kedge. Run the command again with --debug for a traceback.")
    import traceback as tracebacks

    text = "".join(tracebacks.format_exception(error)).rstrip()
    if traceback:
        console.say(text, level=ERROR)
    else:
        console.debug(text)
