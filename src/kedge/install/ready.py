"""What of an installation is the same every time, worked out once, when a wheel is unpacked.

Pure: the files of a wheel in, and out comes which of them are linked as they are, the folders
that these need and their lines in RECORD. :mod:`kedge.install.staging` does the rest each time.
"""

from __future__ import annotations

from collections.abc import Iterable

from kedge.cache import Linked, ManifestEntry
from kedge.install.records import record_line

# Written anew for each installation; a wheel that brings them was built from an installed one.
_WRITTEN = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})


def apart(
    entries: Iterable[ManifestEntry], *, dist_info: str
) -> tuple[Linked, tuple[ManifestEntry, ...]]:
    """The files that are linked as they are, and those for which more is to be done.

    The latter lie in a ``.data`` folder, or are written anew for each installation.
    """
    linked: list[ManifestEntry] = []
    others: list[ManifestEntry] = []
    written = {f"{dist_info}/{name}" for name in _WRITTEN}
    for entry in entries:
        path = entry.path
        special = path in written or (".data/" in path and path.partition("/")[0].endswith(".data"))
        (others if special else linked).append(entry)
    return made_ready(linked), tuple(others)


def made_ready(entries: Iterable[ManifestEntry], *, with_digests: bool = True) -> Linked:
    """Files that are linked as they are; RECORD states no digests of bytecode, as with pip."""
    # By folder, so that whoever links them meets each folder once.
    by_folder: dict[str, list[ManifestEntry]] = {}
    for entry in entries:
        by_folder.setdefault(entry.path.rpartition("/")[0], []).append(entry)
    folders: set[str] = set()
    for folder in by_folder:
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    ordered = [entry for folder in sorted(by_folder) for entry in sorted(by_folder[folder])]
    lines = (
        record_line(entry.path, entry.digest, entry.size)
        if with_digests
        else record_line(entry.path)
        for entry in sorted(ordered)
    )
    return Linked(tuple(ordered), tuple(sorted(folders)), "".join(lines))
