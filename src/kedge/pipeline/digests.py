"""The digests of a file on this machine, and whether they are the expected ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from kedge.errors import HashMismatchError
from kedge.model import Hashes, redact_url

_CHUNK = 1 << 20


def digests_of(path: Path, algorithms: frozenset[str]) -> dict[str, str]:
    """The file's digests, SHA-256 always among them, in lower-case hex."""
    hashers = {name: hashlib.new(name) for name in algorithms | {"sha256"}}
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            for hasher in hashers.values():
                hasher.update(chunk)
    return {name: hasher.hexdigest() for name, hasher in hashers.items()}


def check_digests(path: Path, hashes: Hashes, digests: Mapping[str, str]) -> None:
    """Raise :class:`~kedge.errors.HashMismatchError` unless the file has an allowed digest."""
    if hashes and not hashes.allow(digests):
        wanted = hashes.algorithms()
        raise HashMismatchError(
            f"{redact_url(str(path))} is not the file that was expected.",
            location=str(path),
            expected=tuple(hashes),
            actual=tuple((name, digest) for name, digest in digests.items() if name in wanted),
            hint="It was damaged or replaced; do not install it before you know which.",
        )
