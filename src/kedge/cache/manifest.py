"""What an unpacked wheel consists of, so that later damage to it can be noticed.

The file is a line of JSON, what the wheel is and how the rest can be checked, and then the lists
of its files, made ready for whoever links them: the folders that they need, the lines that RECORD
will have for them. A reader that finds anything else treats the entry as absent. That is why the
manifest need not be forced to the disk when it is written: a torn one is no manifest.

The lists are written with ``marshal``, a third of JSON's time to read. It is not for bytes of
strangers, but the cache is used only where it belongs to the user, and what is in it gets run in
any case. Its form is asked for by number, one that every supported Python reads.
"""

from __future__ import annotations

import json
import marshal
import zlib
from typing import Any, NamedTuple

from kedge.classes import frozen

#: Changed when what is written changes; an entry with another number counts as absent.
FORMAT = 2

# That of Python 3.4 to 3.13; newer ones read it as well.
_MARSHAL = 4

#: A :class:`ManifestEntry` as a bare tuple: there are tens of thousands of them in one run.
Row = tuple[str, int, str, int, int]


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


@frozen
class Linked:
    """Files that come into the folder of modules as they are, with their paths.

    ``folders`` are those that the files lie in and those above, outermost first; ``record`` is
    what RECORD says of the files, whole lines.
    """

    rows: tuple[Row, ...] = ()
    folders: tuple[str, ...] = ()
    record: str = ""

    @property
    def files(self) -> tuple[ManifestEntry, ...]:
        return tuple(map(ManifestEntry._make, self.rows))


@frozen(kw_only=True)
class Manifest:
    """``name`` and ``version`` are as METADATA spells them, ``filename`` the wheel's own.

    ``dist_info`` is the name of the ``.dist-info`` folder; ``root_is_purelib`` is WHEEL's.
    ``others`` are the files that are rewritten, left out, or go elsewhere. ``entry_points`` is
    the text of that file, empty where the wheel has none; ``stated`` is what METADATA states, in
    the form that whoever unpacked it compares (plain tuples).
    """

    name: str
    version: str
    filename: str
    dist_info: str
    root_is_purelib: bool
    linked: Linked
    others: tuple[ManifestEntry, ...] = ()
    entry_points: str = ""
    stated: tuple[object, ...] = ()

    @property
    def files(self) -> tuple[ManifestEntry, ...]:
        """All of them, as the tree has them."""
        return (*self.linked.files, *self.others)

    @property
    def size(self) -> int:
        """Bytes of all the files."""
        return sum(row[1] for rows in (self.linked.rows, self.others) for row in rows)


def dump(manifest: Manifest) -> bytes:
    """The manifest as bytes; :func:`load` gives it back."""
    head = {
        "name": manifest.name,
        "version": manifest.version,
        "filename": manifest.filename,
        "dist_info": manifest.dist_info,
        "root_is_purelib": manifest.root_is_purelib,
        "size": manifest.size,
    }
    others = tuple(map(tuple, manifest.others))
    return _framed(head, (*_plain(manifest.linked), others, manifest.entry_points, manifest.stated))


def load(data: bytes) -> Manifest:
    """:raises ValueError: this is no whole manifest of this format."""
    head, (rows, folders, record, others, entry_points, stated) = _unframed(data, parts=6)
    return Manifest(
        name=str(head["name"]),
        version=str(head["version"]),
        filename=str(head["filename"]),
        dist_info=str(head["dist_info"]),
        root_is_purelib=bool(head["root_is_purelib"]),
        linked=Linked(rows, folders, record),
        others=tuple(map(ManifestEntry._make, others)),
        entry_points=entry_points,
        stated=stated,
    )


_HEAD_KEYS = frozenset({"name", "version", "filename", "dist_info", "root_is_purelib", "size"})


def load_head(line: bytes) -> dict[str, object]:
    """The first line alone: enough to list a cache without reading every path in it.

    :raises ValueError: it is no first line of this format.
    """
    head = _head(line)
    if not head.keys() >= _HEAD_KEYS:
        raise ValueError("no manifest of this format")
    return head


def dump_linked(linked: Linked) -> bytes:
    """A bare list of files (of bytecode), with its check, as bytes."""
    return _framed({}, _plain(linked))


def load_linked(data: bytes) -> Linked:
    """:raises ValueError: this is no whole list of this format."""
    return Linked(*_unframed(data, parts=3)[1])


def _plain(linked: Linked) -> tuple[Any, ...]:
    return tuple(map(tuple, linked.rows)), linked.folders, linked.record


def _framed(head: dict[str, object], body: tuple[Any, ...]) -> bytes:
    lists = marshal.dumps(body, _MARSHAL)
    line = json.dumps({"format": FORMAT, **head, "crc32": zlib.crc32(lists)})
    return line.encode() + b"\n" + lists


def _unframed(data: bytes, *, parts: int) -> tuple[dict[str, object], tuple[Any, ...]]:
    end = data.index(b"\n")
    head, lists = _head(data[:end]), memoryview(data)[end + 1 :]
    if zlib.crc32(lists) != head.get("crc32"):
        raise ValueError("the list of files is damaged")
    try:
        body = marshal.loads(lists)  # noqa: S302 - see above
    except (EOFError, TypeError) as exc:
        raise ValueError("no list of files of this format") from exc
    if not isinstance(body, tuple) or len(body) != parts:
        raise ValueError("no list of files of this format")
    return head, body


def _head(line: bytes) -> dict[str, object]:
    head = json.loads(line)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise ValueError("no manifest of this format")
    return head
