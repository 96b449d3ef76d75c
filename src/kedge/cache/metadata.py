"""The METADATA of wheels, by the SHA-256 of the wheel: it never changes.

Whoever stores it has checked it against a hash, or read it from the wheel itself.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from kedge.cache import framed
from kedge.cache.atomic import Scratch

_SHA256 = re.compile(r"[0-9a-f]{64}")


class MetadataStore:
    """METADATA files by lower-case hex digest. Safe for several threads and processes.

    The digest is often an index's word: what is no SHA-256 is never looked for or stored.
    """

    def __init__(self, folder: Path, scratch: Scratch) -> None:
        self.folder = folder
        self._scratch = scratch

    def get(self, sha256: str) -> bytes | None:
        path = self._path(sha256)
        found = None if path is None else framed.read(path)
        return None if found is None else found[1]

    def digest(self, sha256: str) -> str | None:
        """The SHA-256, in hex, of what :meth:`get` gives, without reading all of that."""
        path = self._path(sha256)
        head = None if path is None else framed.head(path)
        return head.get("digest") if head else None

    def put(self, sha256: str, metadata: bytes) -> bool:
        """Store it; ``False`` if it cannot be."""
        path = self._path(sha256)
        if path is None:
            return False
        head = {"digest": hashlib.sha256(metadata).hexdigest()}
        return framed.write(self._scratch, path, head, metadata)

    def forget(self, sha256: str) -> None:
        """Remove the metadata of that wheel, if it is there."""
        path = self._path(sha256)
        if path is not None:
            self._scratch.discard(Path(path))

    def _path(self, sha256: str) -> str | None:
        if not _SHA256.fullmatch(sha256):
            return None
        return f"{self.folder}/{sha256[:2]}/{sha256[2:]}"
