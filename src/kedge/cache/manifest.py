"""What an unpacked wheel consists of, so that later damage to it can be noticed.

The file has two lines of JSON: what the wheel is and how the second line can be checked; and the
files. A reader that finds anything else treats the entry as absent. That is why the manifest
need not be forced to the disk when it is written: a torn one is no manifest.
"""

from __future__ import annotations

import json
import zlib
from typing import NamedTuple

from kedge.classes import frozen

#: Changed when what is written changes; an entry with another number counts as absent.
FORMAT = 1


class ManifestEntry(NamedTuple):
    """One file. ``path`` is relative to the tree and uses ``/``.

    ``digest`` is the SHA-256 as RECORD spells it (URL-safe base64 without padding, no
    ``sha256=``). ``mode`` holds the permission bits and ``mtime_ns`` the time of modification
    of the file in the cache: a linked file that was changed in place has another.
    """

    path: str
    size: int
    digest: str
    mode: int
    mtime_ns: int

    @property
    def is_executable(self) -> bool:
        return bool(self.mode & 0o111)


@frozen(kw_only=True)
class Manifest:
    """``name`` and ``version`` are as METADATA spells them, ``filename`` the wheel's own.

    ``dist_info`` is the name of the ``.dist-info`` folder; ``root_is_purelib`` is WHEEL's.
    """

    name: str
    version: str
    filename: str
    dist_info: str
    root_is_purelib: bool
    files: tuple[ManifestEntry, ...]

    @property
    def size(self) -> int:
        """Bytes of all the files."""
        return sum(entry.size for entry in self.files)


def dump(manifest: Manifest) -> bytes:
    """The manifest as bytes; :func:`load` gives it back."""
    files = _dump_files(manifest.files)
    head = {
        "format": FORMAT,
        "name": manifest.name,
        "version": manifest.version,
        "filename": manifest.filename,
        "dist_info": manifest.dist_info,
        "root_is_purelib": manifest.root_is_purelib,
        "size": manifest.size,
        "crc32": zlib.crc32(files),
    }
    return json.dumps(head).encode() + b"\n" + files


def load(data: bytes) -> Manifest:
    """:raises ValueError: this is no whole manifest of this format."""
    head_line, _, files = data.partition(b"\n")
    head = load_head(head_line)
    if zlib.crc32(files) != head["crc32"]:
        raise ValueError("the list of files is damaged")
    return Manifest(
        name=str(head["name"]),
        version=str(head["version"]),
        filename=str(head["filename"]),
        dist_info=str(head["dist_info"]),
        root_is_purelib=bool(head["root_is_purelib"]),
        files=tuple(map(ManifestEntry._make, json.loads(files))),
    )


_HEAD_KEYS = frozenset(
    {"name", "version", "filename", "dist_info", "root_is_purelib", "size", "crc32"}
)


def load_head(line: bytes) -> dict[str, object]:
    """The first line alone: enough to list a cache without reading every path in it.

    :raises ValueError: it is no first line of this format.
    """
    head = json.loads(line)
    if not isinstance(head, dict) or head.get("format") != FORMAT or not head.keys() >= _HEAD_KEYS:
        raise ValueError("no manifest of this format")
    return head


def dump_files(entries: tuple[ManifestEntry, ...]) -> bytes:
    """A bare list of files (of bytecode), with its check, as bytes."""
    files = _dump_files(entries)
    return json.dumps({"format": FORMAT, "crc32": zlib.crc32(files)}).encode() + b"\n" + files


def load_files(data: bytes) -> tuple[ManifestEntry, ...]:
    """:raises ValueError: this is no whole list of this format."""
    head_line, _, files = data.partition(b"\n")
    head = json.loads(head_line)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise ValueError("no list of files of this format")
    if zlib.crc32(files) != head.get("crc32"):
        raise ValueError("the list of files is damaged")
    return tuple(map(ManifestEntry._make, json.loads(files)))


def _dump_files(entries: tuple[ManifestEntry, ...]) -> bytes:
    return json.dumps(entries, separators=(",", ":")).encode()
