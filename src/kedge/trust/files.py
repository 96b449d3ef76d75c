"""Reads files into memory, once and whole, and says in words why one cannot be read."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

#: No bundle is that large (the public roots are 0.3 MiB); /dev/zero is.
MAX_BYTES = 32 * 1024 * 1024

#: What reading can raise: ``ValueError`` for a path with a NUL in it and for too large a file.
UNREADABLE = (OSError, ValueError)


def expand(path: str, environ: Mapping[str, str]) -> str:
    """The path with a leading ``~`` replaced, by ``environ`` and not by the process's own.

    >>> expand("~/ca.pem", {"HOME": "/home/ada"})
    '/home/ada/ca.pem'
    """
    if not path.startswith("~"):
        return path
    home = environ.get("USERPROFILE" if sys.platform == "win32" else "HOME")
    if home and (path == "~" or path[1] in "/\\"):
        return home + path[1:]
    try:
        return str(Path(path).expanduser())
    except RuntimeError:  # there is no such user
        return path


def read_bytes(path: str) -> bytes:
    """All of a file. Raises what :data:`UNREADABLE` says."""
    with open(path, "rb") as file:  # noqa: PTH123 - of what costs 2 ms, a path is a tenth
        # As much as is asked for is allocated first: no more than there is, where that is known.
        size = os.fstat(file.fileno()).st_size
        raw = file.read(min(size, MAX_BYTES) + 1)
        if len(raw) > size:
            raw += file.read(MAX_BYTES + 1 - len(raw))
    if len(raw) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES // 2**20} MiB")
    return raw


def listed(folder: str) -> list[str]:
    """The names in a folder, in its own order; none where it cannot be read."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - text is all that is asked of the names
    except OSError:
        return []


def is_absent(exc: Exception) -> bool:
    return isinstance(exc, FileNotFoundError | NotADirectoryError)


def why(path: str, exc: Exception) -> str:
    """What is the matter with it, to complete "the file …"."""
    if is_absent(exc):
        link = Path(path)
        if link.is_symlink():
            return f"is a link to {link.readlink()}, which does not exist"
        return "does not exist"
    reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
    return f"cannot be read: {reason}"
