"""Change one value in the text of a configuration file, and leave every other byte as it is.

Pure: text in, text out. Comments, blank lines, the order, the spelling of names and the kind of
line ends stay. What comes out is read again and compared before anyone writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from kedge.settings.ini import Entry, Ini, IniError, parse_ini
from kedge.settings.layers import normalise_name

Values = dict[tuple[str, str], str]


class EditError(ValueError):
    """The change cannot be made so that only it is made; the message is a clause."""


def set_value(text: str, section: str, name: str, value: str) -> str:
    """The text with ``name = value`` in ``[section]``; raises ``EditError``, ``IniError``.

    >>> print(set_value("[global]\\n# ours\\ncert = a.pem\\n", "global", "timeout", "60"), end="")
    [global]
    # ours
    cert = a.pem
    timeout = 60
    """
    ini = parse_ini(text)
    lines = _lines(text)
    newline = _newline(lines)
    content = _stripped(value)
    found = _entries(ini, section, name)
    if found:
        _replace(lines, found[-1], content, newline)
    elif section in ini.sections:
        _append(lines, ini, section, _written(f"{name} = ", content), newline)
    else:
        if not section or "\n" in section:
            raise EditError(f"{section!r} cannot be the name of a section")
        _end_last_line(lines, newline)
        if lines and lines[-1].strip():
            lines.append(newline)
        added = [f"[{section}]", *_written(f"{name} = ", content)]
        lines += [line + newline for line in added]
    expected = _values(ini)
    expected[section, found[-1].name if found else name] = "\n".join(content)
    return _checked("".join(lines), expected)


def unset_value(text: str, section: str, name: str) -> str:
    """The text without that name in ``[section]``; raises ``KeyError`` if it is not there.

    A section that holds nothing any more, no comment either, goes with it.
    """
    ini = parse_ini(text)
    found = _entries(ini, section, name)
    if not found:
        raise KeyError(name)
    lines = _lines(text)
    expected = _values(ini)
    for entry in reversed(found):
        span = lines[entry.line - 1 : entry.end]
        lines[entry.line - 1 : entry.end] = _comments(span[1:])
        del expected[entry.section, entry.name]
    if not any(known == section for known, _ in expected):
        try:
            return _checked("".join(_without_empty_section(lines, section)), expected)
        except EditError:
            pass  # what follows its header would become part of the value before
    return _checked("".join(lines), expected)


# --------------------------------------------------------------------------------------------
# The lines of one value


def _replace(lines: list[str], entry: Entry, content: list[str], newline: str) -> None:
    span = lines[entry.line - 1 : entry.end]
    before = re.match(r"\s*[^=:]*[=:][ \t]*", span[0])
    assert before is not None  # noqa: S101 - the parser found a delimiter there
    ended = span[-1].endswith(("\n", "\r"))
    prefix = before[0].rstrip("\r\n")
    if prefix[-2:-1].isspace():
        prefix += " "
    written = [line + newline for line in _written(prefix, content)]
    written += _comments(span[1:])
    if not ended:
        written[-1] = written[-1].rstrip("\r\n")
    lines[entry.line - 1 : entry.end] = written


def _append(lines: list[str], ini: Ini, section: str, written: list[str], newline: str) -> None:
    """After the section's last entry, as deep as that one; else after its header."""
    entries = [entry for entry in ini.entries if entry.section == section]
    if entries:
        last = max(entries, key=lambda entry: entry.line)
        index, line = last.end, lines[last.line - 1]
    else:
        index = next(number for name, number in ini.headers if name == section)
        line = lines[index - 1]
    indent = line[: len(line) - len(line.lstrip())]
    if index == len(lines):
        _end_last_line(lines, newline)
    lines[index:index] = [f"{indent}{one}{newline}" for one in written]


def _written(prefix: str, content: list[str]) -> list[str]:
    """The lines of an entry; the value's further lines stand deeper than the first."""
    indent = prefix[: len(prefix) - len(prefix.lstrip())] + "    "
    first = (prefix + content[0]).rstrip()
    return [first, *(indent + line if line else "" for line in content[1:])]


def _comments(lines: Iterable[str]) -> list[str]:
    return [line for line in lines if line.lstrip().startswith(("#", ";"))]


def _without_empty_section(lines: list[str], section: str) -> list[str]:
    """Without its header, if nothing but blank lines follows until the next one."""
    headers = parse_ini("".join(lines)).headers
    starts = [number - 1 for _, number in headers] + [len(lines)]
    for index, (name, number) in enumerate(headers):
        body = lines[number : starts[index + 1]]
        if name == section and not any(line.strip() for line in body):
            left = lines[: number - 1] + lines[starts[index + 1] :]
            if number - 1 == len(left):
                while left and not left[-1].strip():
                    left.pop()
            return left
    return lines


# --------------------------------------------------------------------------------------------
# The text as lines, and what it holds


def _entries(ini: Ini, section: str, name: str) -> list[Entry]:
    return [
        entry
        for entry in ini.entries
        if entry.section == section and normalise_name(entry.name) == name
    ]


def _values(ini: Ini) -> Values:
    return {(entry.section, entry.name): entry.value for entry in ini.entries}


def _lines(text: str) -> list[str]:
    """The lines with their ends."""
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z", text)


def _newline(lines: list[str]) -> str:
    ends = [line[len(line.rstrip("\r\n")) :] for line in lines[:1]]
    return ends[0] if ends and ends[0] else "\n"


def _end_last_line(lines: list[str], newline: str) -> None:
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += newline


def _stripped(value: str) -> list[str]:
    """The value's lines as they come back when they are read."""
    return "\n".join(line.strip() for line in re.split(r"\r\n|\r|\n", value)).rstrip().split("\n")


def _checked(text: str, expected: Values) -> str:
    """The text, after making sure that it says what it should and nothing else."""
    try:
        values = _values(parse_ini(text))
    except IniError as error:
        raise EditError(f"the file could not be read afterwards: {error.reason}") from error
    if values != expected:
        raise EditError("the value would not come back as it is written")
    return text
