"""The lists of files that installers leave: ``RECORD`` (PEP 376, 627) and, from setuptools' days
before wheels, ``installed-files.txt``. Text in, values out; touches no file.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from kedge.classes import frozen


@frozen
class RecordEntry:
    """One file. ``path`` is absolute and without ``..``; ``recorded`` is the text of the list.

    ``digest`` is ``(algorithm, urlsafe base64 without padding)``; it and ``size`` (bytes) may
    be missing, as they are for ``RECORD`` itself.
    """

    path: Path
    recorded: str
    digest: tuple[str, str] | None = None
    size: int | None = None


def parse_record(text: str, *, location: Path) -> Iterator[RecordEntry]:
    """The entries of a ``RECORD`` whose ``.dist-info`` lies in ``location``.

    Lines without a path are passed over, and so is what cannot be read of digest and size: a
    list that is damaged in part still says which files to remove.
    """
    base = str(location)
    for row in csv.reader(text.splitlines()):
        if not row or not row[0]:
            continue
        algorithm, _, value = (row[1] if len(row) > 1 else "").partition("=")
        size = row[2] if len(row) > 2 else ""
        yield RecordEntry(
            path=_below(base, row[0]),
            recorded=row[0],
            digest=(algorithm, value) if value else None,
            size=int(size) if size.isdecimal() else None,
        )


def parse_installed_files(text: str, *, info: Path) -> Iterator[RecordEntry]:
    """The entries of an ``installed-files.txt``, whose paths start at the ``.egg-info``."""
    base = str(info)
    for line in text.splitlines():
        if line.strip():
            yield RecordEntry(path=_below(base, line.strip()), recorded=line.strip())


def _below(base: str, recorded: str) -> Path:
    if ".." not in recorded and "//" not in recorded and not os.path.isabs(recorded):  # noqa: PTH117
        return Path(f"{base}{os.sep}{recorded}")  # nearly all: normpath would double the time
    # As text: a Path does not collapse "..", and resolve() would follow links.
    return Path(os.path.normpath(os.path.join(base, recorded)))  # noqa: PTH118
