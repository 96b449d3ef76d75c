"""Answers of earlier resolutions, by a digest of the question; the cache knows nothing of either.

What they are, and when one still holds, is in :mod:`kedge.resolve.answers`.
"""

from __future__ import annotations

import re
from pathlib import Path

from kedge.cache import framed
from kedge.cache.atomic import Scratch

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
        return framed.write(self._scratch, self._path(key), {}, answer)

    def _path(self, key: str) -> Path:
        if not _SHA256.fullmatch(key):
            raise ValueError(f"no SHA-256: {key!r}")
        return self.folder / key
