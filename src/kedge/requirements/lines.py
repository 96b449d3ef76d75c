"""The text of a requirements file, from bytes to logical lines (pip's ``req_file.py``).

Pure: bytes and an environment in, numbered lines out. In this order: decode, join continued lines,
strip comments, put in ``${VARIABLES}``. The order matters: a comment never ends in a continuation,
and a variable's value may hold a ``#``.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Mapping

#: A line's number, counted from 1, of its first physical line, and its text.
Numbered = Iterable[tuple[int, str]]

# UTF-32 before UTF-16: the one's little-endian mark begins with the other's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CODING = re.compile(rb"coding[:=]\s*([-\w.]+)")
_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")


class UndecodableError(ValueError):
    """The bytes are not text in the encoding they should have; the message says which."""


def decode(data: bytes, *, fallback: str) -> str:
    """The text: by its byte-order mark, else its PEP 263 comment, else UTF-8, else ``fallback``.

    ``fallback`` is the locale's encoding. Raises :class:`UndecodableError`.

    >>> decode(b"# -*- coding: latin-1 -*-\\n# \\xe9", fallback="ascii")[-1]
    'é'
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decode(data[len(mark) :], encoding)
    for line in data.split(b"\n")[:2]:
        declared = _CODING.search(line) if line.startswith(b"#") else None
        if declared:
            return _decode(data, declared.group(1).decode("ascii"))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _decode(data, fallback)


def _decode(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as exc:
        raise UndecodableError(f"byte {exc.start} is not {encoding} text") from exc
    except LookupError as exc:
        raise UndecodableError(f"{encoding!r} is not an encoding") from exc


def logical_lines(text: str, environ: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """The lines that say something, each with the number of its first physical line.

    >>> list(logical_lines("spam \\\\\\n  >= 1  # why\\n\\n${INDEX}", {"INDEX": "-i x"}))
    [(1, 'spam   >= 1'), (4, '-i x')]
    """
    numbered = enumerate(text.splitlines(), start=1)
    for number, line in _uncommented(_joined(numbered)):
        yield number, expand(line, environ)


def _joined(lines: Numbered) -> Iterator[tuple[int, str]]:
    """A line that ends in a backslash goes on in the next, unless it is a comment."""
    parts: list[str] = []
    first = 0
    for number, line in lines:
        comment = _COMMENT.match(line)
        if line.endswith("\\") and not comment:
            first = first if parts else number
            parts.append(line.strip("\\"))
            continue
        # A space in front, or joining would make the "#" a part of the word before it.
        last = f" {line}" if comment else line
        yield (first if parts else number), "".join([*parts, last])
        parts = []
    if parts:
        yield first, "".join(parts)


def _uncommented(lines: Numbered) -> Iterator[tuple[int, str]]:
    for number, line in lines:
        bare = _COMMENT.sub("", line).strip()
        if bare:
            yield number, bare


def expand(line: str, environ: Mapping[str, str]) -> str:
    """``${NAME}`` replaced where ``NAME`` is capitals, digits and underscores, and set and not
    empty; everything else with a ``$`` stays (pypa/pip#3514).
    """
    return _VARIABLE.sub(lambda found: environ.get(found.group(1)) or found.group(0), line)
