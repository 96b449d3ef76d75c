"""The text of a configuration file, as pip's ``RawConfigParser`` reads it, with line numbers.

Pure: text in, entries out. What the sections and names mean is not known here. The rules are
those of :class:`configparser.RawConfigParser` with its defaults (strict; ``#`` and ``;`` begin a
comment only at the beginning of a line; deeper lines continue a value, blank ones inside it
count), which a property test compares.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

DEFAULT_SECTION = "DEFAULT"


class Entry(NamedTuple):
    """One name and its value. Lines count from 1; ``end`` is the last line with text of it.

    ``name`` is lower case, as ``RawConfigParser`` makes it; ``written`` is as in the file.
    ``value`` joins its lines with ``\\n``.
    """

    section: str
    name: str
    written: str
    value: str
    line: int
    end: int


class Ini(NamedTuple):
    """A file that could be read: its section headers with their lines, and its entries."""

    headers: tuple[tuple[str, int], ...] = ()
    entries: tuple[Entry, ...] = ()

    @property
    def sections(self) -> tuple[str, ...]:
        """Names in the order of the file, without ``DEFAULT``."""
        names = dict.fromkeys(name for name, _ in self.headers)
        return tuple(name for name in names if name != DEFAULT_SECTION)

    def items(self, section: str) -> tuple[Entry, ...]:
        """What holds in a section: its own entries, over those of ``[DEFAULT]``."""
        found = {entry.name: entry for entry in self.entries if entry.section == DEFAULT_SECTION}
        for entry in self.entries:
            if entry.section == section:
                found[entry.name] = entry
        return tuple(found.values())


class IniError(ValueError):
    """The text is no configuration file; ``line`` counts from 1."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


def parse_ini(text: str) -> Ini:
    """Read a whole file; raises ``IniError`` for the first line that is wrong.

    >>> ini = parse_ini("[global]\\ntimeout = 60\\nfind-links =\\n    a\\n    b\\n")
    >>> [(entry.name, entry.value, entry.line) for entry in ini.entries]
    [('timeout', '60', 2), ('find-links', '\\na\\nb', 3)]
    """
    reader = _Reader()
    for number, line in enumerate(lines_of(text), start=1):
        reader.feed(number, line)
    return reader.finish()


def lines_of(text: str) -> list[str]:
    """The lines as a text file gives them: split at ``\\n``, ``\\r\\n`` and ``\\r`` only."""
    return re.split(r"\r\n|\r|\n", text)


class _Reader:
    """What has been read so far, and how deep the current value stands."""

    def __init__(self) -> None:
        self.headers: list[tuple[str, int]] = []
        self.section: str | None = None
        self.indent = 0
        self.open: _Draft | None = None
        self.drafts: dict[tuple[str, str], _Draft] = {}

    def feed(self, number: int, line: str) -> None:
        content = line.strip()
        if content.startswith(("#", ";")):
            return
        if not content:
            if self.open is not None:
                self.open.lines.append("")
            return
        depth = len(line) - len(line.lstrip())
        if self.open is not None and depth > self.indent:
            self.open.lines.append(content)
            self.open.end = number
            return
        self.indent = depth
        header = re.match(r"\[(.+)\]", content)
        if header:
            self._begin_section(header[1], number)
        elif self.section is None:
            raise IniError("a value stands before the first [section]", number)
        else:
            self._begin_entry(self.section, content, number)

    def _begin_section(self, name: str, number: int) -> None:
        if name != DEFAULT_SECTION and any(known == name for known, _ in self.headers):
            raise IniError(f"the section [{name}] is there twice", number)
        self.headers.append((name, number))
        self.section = name
        self.open = None

    def _begin_entry(self, section: str, content: str, number: int) -> None:
        match = re.match(r"(.*?)\s*[=:]\s*(.*)", content)
        if not match or not match[1]:
            raise IniError("neither a [section] nor a 'name = value'", number)
        written = match[1].rstrip()
        key = (section, written.lower())
        if key in self.drafts:
            raise IniError(f"{written!r} is there twice in [{section}]", number)
        self.open = self.drafts[key] = _Draft(written, number, [match[2].strip()])

    def finish(self) -> Ini:
        return Ini(tuple(self.headers), tuple(self._entries()))

    def _entries(self) -> Iterator[Entry]:
        for (section, name), draft in self.drafts.items():
            value = "\n".join(draft.lines).rstrip()
            yield Entry(section, name, draft.written, value, draft.line, draft.end)


class _Draft:
    """An entry whose value may go on."""

    def __init__(self, written: str, line: int, lines: list[str]) -> None:
        self.written = written
        self.line = line
        self.end = line
        self.lines = lines
