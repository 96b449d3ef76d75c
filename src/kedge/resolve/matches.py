"""A sequence that is read lazily, remembered, and read again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kedge.index import IndexFile


class Matches:
    """The files that match one question; each is worked out once, when first reached."""

    def __init__(self, files: Iterator[IndexFile]) -> None:
        self._rest = files
        self._seen: list[IndexFile] = []

    def __iter__(self) -> Iterator[IndexFile]:
        place = 0
        while place < len(self._seen) or self._read(1):
            yield self._seen[place]
            place += 1

    def peek(self, start: int, count: int) -> list[IndexFile]:
        """Up to ``count`` files from place ``start`` on."""
        self._read(start + count - len(self._seen))
        return self._seen[start : start + count]

    def _read(self, count: int) -> int:
        found = list(islice(self._rest, count)) if count > 0 else []
        self._seen.extend(found)
        return len(found)
