"""What of an installation is the same every time, worked out once, when a wheel is unpacked.

Pure: the files of a wheel in, and out comes which of them are linked as they are, the folders
that these need and their lines in RECORD. :mod:`kedge.install.staging` does the rest each time.
"""

from __future__ import annotations

from collections.abc import Iterable

from kedge.cache import Linked, ManifestEntry, Row
from kedge.install.records import record_line

# Written anew for each installation; a wheel that brings them was built from an installed one.
_WRITTEN = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})


def apart(rows: Iterable[Row], *, dist_info: str) -> tuple[Linked, tuple[ManifestEntry, ...]]:
    """The files that are linked as they are, and those for which more is to be done.

    The latter lie in a ``.data`` folder, or are written anew for each installation.
    """
    linked: list[Row] = []
    others: list[ManifestEntry] = []
    written = {f"{dist_info}/{name}" for name in _WRITTEN}
    for row in rows:
        path = row[0]
        if path in written or (".data/" in path and path.partition("/")[0].endswith(".data")):
            others.append(ManifestEntry._make(row))
        else:
            linked.append(row)
    return made_ready(linked), tuple(others)


def made_ready(rows: Iterable[Row], *, with_digests: bool = True) -> Linked:
    """Files that are linked as they are; RECORD states no digests of bytecode, as with pip."""
    by_path = sorted(rows)
    # By folder, so that whoever links them meets each folder once.
    by_folder: dict[str, list[Row]] = {}
    for row in by_path:
        by_folder.setdefault(row[0].rpartition("/")[0], []).append(row)
    folders: set[str] = set()
    for folder in by_folder:
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    ordered = [row for folder in sorted(by_folder) for row in by_folder[folder]]
    lines = (
        [record_line(path, digest, size) for path, size, digest, _, _ in by_path]
        if with_digests
        else [record_line(row[0]) for row in by_path]
    )
    return Linked(tuple(ordered), tuple(sorted(folders)), "".join(lines))
