"""Answers of earlier resolutions, by a digest of the question; the cache knows nothing of either.

What they are, and when one still holds, is in :mod:`kedge.resolve.answers`.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from kedge.cache import framed
from kedge.cache.atomic import Scratch

#: Answers that are kept at most (each has some 500 bytes for each package), and that stay when
#: there are more: the last that were given.
_MOST, _STAY = 256, 192

_SHA256 = re.compile(r"[0-9a-f]{64}")


class AnswerStore:
    """Bytes by a SHA-256 in hex. Safe for several threads and processes."""

    def __init__(self, folder: Path, scratch: Scratch) -> None:
        self.folder = folder
        self._scratch = scratch

    def get(self, key: str) -> bytes | None:
        """What was kept; ``None`` where there is nothing, or it is damaged."""
        found = framed.read(self._path(key))
        return None if found is None else found[1]

    def put(self, key: str, answer: bytes) -> bool:
        """Keep it in the place of what was there; ``False`` if it cannot be."""
        done = framed.write(self._scratch, self._path(key), {}, answer)
        self._thin()
        return done

    def _thin(self) -> None:
        with suppress(OSError):
            if len(os.listdir(self.folder)) <= _MOST:
                return
            with os.scandir(self.folder) as entries:
                found = sorted(entries, key=lambda entry: entry.stat().st_mtime, reverse=True)
            for entry in found[_STAY:]:
                self._scratch.discard(Path(entry.path))

    def _path(self, key: str) -> Path:
        if not _SHA256.fullmatch(key):
            raise ValueError(f"no SHA-256: {key!r}")
        return self.folder / key
