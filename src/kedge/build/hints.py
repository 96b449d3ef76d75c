"""What to do about a build that failed, told from the last things it printed. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple


class _Known(NamedTuple):
    pattern: str
    hint: str


_KNOWN = (
    _Known(
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|SSL certificate problem",
        "The build itself connects to a server, and its certificate was refused. Children are told "
        "what is trusted by the variables that kedge trust env lists; a program that reads none of "
        "them needs a setting of its own.",
    ),
    _Known(
        r"Python\.h: No such file",
        "The headers of Python are missing: python3-dev or python3-devel in most Linux "
        "distributions.",
    ),
    _Known(
        r"(?:fatal error: |error: )\S+\.h(?:pp)?: No such file",
        "A header file of a library is missing: install that library's development package.",
    ),
    _Known(
        r"command '[^']*(?:gcc|cc|clang|g\+\+|c\+\+)[^']*' failed: No such file"
        r"|unable to execute '[^']*(?:gcc|cc|clang)[^']*'|error: Microsoft Visual C\+\+"
        r"|No such file or directory: '(?:gcc|cc|clang|g\+\+|c\+\+)'"
        r"|Unknown compiler\(s\)|CMAKE_C_COMPILER not set",
        "A compiler is needed, and none was found.",
    ),
    _Known(
        r"can't find Rust compiler|rustc(?:, the rust compiler,)? is not installed"
        r"|Cargo, the Rust package manager, is not installed",
        "A Rust compiler is needed, and none was found: https://rustup.rs has one.",
    ),
    _Known(
        r"ModuleNotFoundError: No module named '[^']+'",
        "The build needs a module that the project does not name in requires of [build-system]. "
        "Installed beforehand, it is seen with --no-build-isolation.",
    ),
)


def hint_for(lines: Sequence[str]) -> str | None:
    """The first that fits any of the lines; ``None`` where nothing is known.

    >>> hint_for(["spam.c:1:10: fatal error: Python.h: No such file or directory"])[:29]
    'The headers of Python are mis'
    """
    text = "\n".join(lines)
    return next((known.hint for known in _KNOWN if re.search(known.pattern, text)), None)
