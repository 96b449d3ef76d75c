"""Which wheel was built from which sources: pointers into the store of wheels.

The key says everything that the wheel depends on (see :func:`built_key`). An entry whose wheel has
left the store leads nowhere, and the wheel is built again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from kedge.cache import framed
from kedge.cache.atomic import Scratch

_SHA256 = re.compile(r"[0-9a-f]{64}")


def built_key(
    source_sha256: str,
    *,
    subdirectory: str | None = None,
    config_settings: Mapping[str, object] | None = None,
    tags: Sequence[str] = (),
    constraints: Sequence[str] = (),
    isolated: bool = True,
) -> str:
    """The key of what is built from an archive with that digest.

    ``tags`` name the Python and the platform: some sources make another wheel on each without
    saying so in its tags (pypa/pip#7296). ``constraints`` are those of the build's requirements.
    """
    facts = {
        "source": source_sha256,
        "subdirectory": subdirectory or "",
        "config_settings": dict(config_settings or {}),
        "tags": list(tags),
        "constraints": sorted(constraints),
        "isolated": isolated,
    }
    import json

    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class BuiltStore:
    """SHA-256 of wheels by :func:`built_key`. Safe for several threads and processes."""

    def __init__(self, folder: Path, scratch: Scratch) -> None:
        self.folder = folder
        self._scratch = scratch

    def get(self, key: str) -> str | None:
        """The digest of the wheel that was built, if any was."""
        found = framed.read(self._path(key))
        sha256 = None if found is None else found[0].get("sha256")
        return sha256 if isinstance(sha256, str) and _SHA256.fullmatch(sha256) else None

    def put(self, key: str, sha256: str) -> bool:
        """Remember it; ``False`` if it cannot be."""
        return framed.write(self._scratch, self._path(key), {"sha256": sha256}, b"")

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key[2:]
