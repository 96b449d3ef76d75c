"""Which anchors of a source of trust vouched last: places in the source, never certificates.

What they are good for, and why nothing depends on them, is in :mod:`kedge.trust.hints`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedge.cache import framed
from kedge.cache.atomic import Scratch

_SHA256 = re.compile(r"[0-9a-f]{64}")


class HintStore:
    """Small mappings by a SHA-256 in hex. Safe for several threads and processes."""

    def __init__(self, folder: Path, scratch: Scratch) -> None:
        self.folder = folder
        self._scratch = scratch

    def get(self, key: str) -> Mapping[str, Any] | None:
        """What was kept; ``None`` where there is nothing, or it is damaged."""
        found = framed.read(self._path(key))
        return None if found is None else found[0]

    def put(self, key: str, kept: Mapping[str, Any]) -> bool:
        """Keep it; ``False`` if it cannot be."""
        return framed.write(self._scratch, self._path(key), kept, b"")

    def _path(self, key: str) -> str:
        if not _SHA256.fullmatch(key):
            raise ValueError(f"no SHA-256: {key!r}")
        return os.path.join(self.folder, key)
