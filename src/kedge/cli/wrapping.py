"""A line of a report as rows of a terminal: wrapped, with its label and its commands painted.

Words are wrapped to hang below where they begin; a command is pasted and stays in one row,
whatever the width; a fingerprint is compared and goes on after a colon. Where nobody looks at a
terminal nothing is wrapped: what reads a log searches it by line.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kedge.cli.console import BOLD, CYAN, Console

if TYPE_CHECKING:
    from kedge.diagnose import Line

#: Rows that are longer are hard to read, however wide the terminal; shorter ones hold nothing.
_WIDEST, _NARROWEST = 100, 40
#: A text hangs no deeper than this share of the row.
_DEEPEST = 0.4


def shown(line: Line, console: Console) -> Iterator[str]:
    """The rows of one line, for this console."""
    from kedge.diagnose import LineKind

    indent = " " * line.indent
    heads = line.label.endswith((":", ": "))
    label = console.paint(line.label, BOLD) if heads else line.label
    width = console.width
    if line.kind is LineKind.COMMAND:
        yield f"{indent}{label}{console.paint(line.text, CYAN)}"
    elif width is None:
        yield f"{indent}{label}{line.text}"
    else:
        taken = line.indent + len(line.label)
        widest = width if line.kind is LineKind.FINGERPRINT else _WIDEST
        width = max(min(width, widest), _NARROWEST)
        hang = taken if taken <= width * _DEEPEST else line.indent + 2
        rows = _wrapped(line, width, hang)
        # The label has no colour while the width is counted.
        yield indent + label + rows[0][taken:]
        yield from rows[1:]


def _wrapped(line: Line, width: int, hang: int) -> list[str]:
    from kedge.diagnose import LineKind

    first = " " * line.indent + line.label
    if line.kind is LineKind.FINGERPRINT:
        return _at_colons(line.text, first, width, hang)
    found = textwrap.wrap(
        line.text,
        width,
        initial_indent=first,
        subsequent_indent=" " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return found or [first]


def _at_colons(fingerprint: str, first: str, width: int, hang: int) -> list[str]:
    pairs = fingerprint.split(":")
    room = width - len(first)
    number = next((each for each in (32, 16, 8) if each * 3 <= room), 4)
    rows = [":".join(pairs[at : at + number]) for at in range(0, len(pairs), number)]
    return [first + f":\n{' ' * hang}".join(rows)]
