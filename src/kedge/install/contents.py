"""A file of a cached wheel that is read rather than linked: whole, and as the manifest has it.

What was unpacked once may have been damaged, changed or purged since, by a power cut or by another
process; whoever catches the error can have the wheel fetched again.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode

from kedge.cache import ManifestEntry, UnpackedWheel
from kedge.errors import DamagedEntryError
from kedge.install.records import spelled


def metadata_of(wheel: UnpackedWheel) -> bytes:
    """The wheel's ``METADATA``.

    :raises DamagedEntryError: it is not what was unpacked.
    """
    return contents_of(wheel, _metadata(wheel))


def metadata_digest(wheel: UnpackedWheel) -> str:
    """The SHA-256 of the wheel's ``METADATA``, in hexadecimal; reads no file."""
    return urlsafe_b64decode(_metadata(wheel).digest + "=").hex()


def _metadata(wheel: UnpackedWheel) -> ManifestEntry:
    path = f"{wheel.manifest.dist_info}/METADATA"
    return ManifestEntry._make(next(row for row in wheel.manifest.linked.rows if row[0] == path))


def contents_of(wheel: UnpackedWheel, entry: ManifestEntry) -> bytes:
    """The bytes of one of the wheel's files.

    :raises DamagedEntryError: it is not what was unpacked.
    """
    path = wheel.tree / entry.path
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise DamagedEntryError(f"The cached file {path} is missing.", sha256=wheel.sha256) from exc
    if spelled(hashlib.sha256(data).digest()) != entry.digest:
        raise DamagedEntryError(f"The cached file {path} was changed.", sha256=wheel.sha256)
    return data
