"""What a transaction is about to do, written down before it does it, and read after a crash.

Every change to an environment is a rename between it and a private folder: *out* of the
environment into a backup, or *in* from the staging folder. So the private side of each tells
whether it was done, and undoing can itself be interrupted and begun again:

======  ============================  =========================================
kind    done when                     undone by
======  ============================  =========================================
out     the backup exists             renaming the backup to where it was
in      the staged thing is missing   renaming what was installed back there
rmdir   the folder is missing         making it again, with its permissions
======  ============================  =========================================

The file ``journal`` stands from before the first change until after the last; then it is renamed
to ``committed``, and what is left is to delete the backups. Paths in it are relative to the
state folder's parent, so that an environment that was moved meanwhile can be restored.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from typing import NamedTuple

_FORMAT = 1


class Kind(Enum):
    OUT = "out"
    IN = "in"
    RMDIR = "rmdir"


class Operation(NamedTuple):
    """One change. Of an ``RMDIR``, ``source`` is the folder and ``mode`` its permissions."""

    kind: Kind
    source: str
    destination: str = ""
    mode: int = 0


class Journal:
    """The journal in a state folder; ``base`` is what its paths are relative to."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._base = os.path.dirname(folder)
        self._path = os.path.join(folder, "journal")
        self._committed = os.path.join(folder, "committed")
        self._folders: dict[str, str] = {}

    @property
    def is_open(self) -> bool:
        """Whether changes may have been made that are to be undone."""
        return os.path.lexists(self._path)

    @property
    def is_committed(self) -> bool:
        """Whether all changes were made, and only backups are left to delete."""
        return os.path.lexists(self._committed)

    def write(self, operations: Sequence[Operation]) -> None:
        """Write the journal; when this returns it is on the disk."""
        content = {"format": _FORMAT, "operations": [self._dump(op) for op in operations]}
        temporary = self._path + ".new"
        with open(temporary, "wb") as file:
            file.write(json.dumps(content).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, self._path)

    def expand(self, index: int, operations: Sequence[Operation]) -> None:
        """Add that operation ``index`` is done as these others."""
        line = {"expand": index, "operations": [self._dump(op) for op in operations]}
        with open(self._path, "ab") as file:
            file.write(json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> list[Operation]:
        """The operations in the order of their execution.

        :raises ValueError: the journal is not one that this version of kedge wrote.
        """
        with open(self._path, "rb") as file:
            lines = file.read().splitlines(keepends=True)
        content = json.loads(lines[0]) if lines else None
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise ValueError("not a journal of this format")
        expanded: dict[int, list[Operation]] = {}
        for line in lines[1:]:
            # A line that a crash cut short was not acted upon.
            if line.endswith(b"\n"):
                more = json.loads(line)
                expanded[more["expand"]] = [self._load(row) for row in more["operations"]]
        found: list[Operation] = []
        for index, row in enumerate(content["operations"]):
            found += expanded.get(index) or [self._load(row)]
        return found

    def commit(self) -> None:
        """All changes are made: from here on the new state is the valid one."""
        os.rename(self._path, self._committed)

    def close(self) -> None:
        """Nothing is left to undo or to finish."""
        for path in (self._path, self._path + ".new", self._committed):
            with suppress(FileNotFoundError):
                os.unlink(path)

    def _dump(self, operation: Operation) -> list[object]:
        kind, source, destination, mode = operation
        return [kind.value, self._relative(source), self._relative(destination), mode]

    def _load(self, row: list[object]) -> Operation:
        kind, source, destination, mode = row
        return Operation(
            Kind(kind),
            self._absolute(str(source)),
            self._absolute(str(destination)),
            int(str(mode)),
        )

    def _relative(self, path: str) -> str:
        if not path:
            return path
        if path.startswith(self._base + os.sep):
            return path[len(self._base) + 1 :]
        folder, name = os.path.split(path)
        known = self._folders.get(folder)
        if known is None:
            try:
                known = os.path.relpath(folder, self._base)
            except ValueError:
                known = folder  # another drive
            self._folders[folder] = known
        return os.path.join(known, name)

    def _absolute(self, path: str) -> str:
        return os.path.normpath(os.path.join(self._base, path)) if path else path
