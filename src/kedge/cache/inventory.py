"""What a cache holds, and taking things out of it: what ``kedge cache`` shows and does."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from kedge.cache.atomic import Scratch
from kedge.cache.metadata import MetadataStore
from kedge.cache.wheels import CachedWheel, WheelStore
from kedge.classes import frozen


@frozen(kw_only=True)
class CacheInfo:
    """Counts, and sizes in bytes. Files hard-linked elsewhere are counted in full."""

    directory: Path
    wheels: int
    wheel_bytes: int
    pages: int
    page_bytes: int
    metadata: int
    metadata_bytes: int
    answers: int
    answer_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.wheel_bytes + self.page_bytes + self.metadata_bytes + self.answer_bytes


@frozen(kw_only=True)
class Removed:
    """What was taken out: how many entries, and their bytes."""

    count: int = 0
    bytes: int = 0

    def __add__(self, other: Removed) -> Removed:
        return Removed(count=self.count + other.count, bytes=self.bytes + other.bytes)


def measure(
    directory: Path, wheels: WheelStore, *, pages: Path, metadata: Path, answers: Path
) -> CacheInfo:
    """Count everything; reads no contents."""
    entries = list(wheels._entries())
    page_sizes = [size for _, size, _ in _files(pages)]
    metadata_sizes = [size for _, size, _ in _files(metadata)]
    answer_sizes = [size for _, size, _ in _files(answers)]
    return CacheInfo(
        directory=directory,
        wheels=len(entries),
        wheel_bytes=sum(tree_size(entry) for entry in entries),
        pages=len(page_sizes),
        page_bytes=sum(page_sizes),
        metadata=len(metadata_sizes),
        metadata_bytes=sum(metadata_sizes),
        answers=len(answer_sizes),
        answer_bytes=sum(answer_sizes),
    )


def matches(wheel: CachedWheel, pattern: str) -> bool:
    """Whether a pattern of ``kedge cache remove`` means the wheel.

    As with pip: a project's name, a ``name-version`` beginning, or a shell pattern over the
    wheel's file name; case and ``-_.`` do not matter in a name.

    >>> wheel = CachedWheel(name="Foo.Bar", version="1.0", size=1, used=0, sha256="",
    ...                     filename="foo_bar-1.0-py3-none-any.whl")
    >>> [matches(wheel, p) for p in ("foo-bar", "foo_bar-1.0", "foo_*", "foo", "*-cp311-*")]
    [True, True, True, False, False]
    """
    folded = _fold(pattern)
    names = {_fold(wheel.name), _fold(f"{wheel.name}-{wheel.version}")}
    if folded in names:
        return True
    filename = wheel.filename.lower()
    return fnmatch.fnmatchcase(filename, pattern.lower()) or fnmatch.fnmatchcase(
        filename, pattern.lower() + ".whl"
    )


def _fold(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def remove_wheels(
    wheels: WheelStore, metadata: MetadataStore, chosen: Iterator[CachedWheel]
) -> Removed:
    """Take out these wheels, with their metadata."""
    removed = Removed()
    for wheel in list(chosen):
        wheels.forget(wheel.sha256)
        metadata.forget(wheel.sha256)
        removed += Removed(count=1, bytes=wheel.size)
    return removed


def remove_files(folder: Path, scratch: Scratch, *, before: float | None) -> Removed:
    """Take out the files that were written before that time (all of them for ``None``)."""
    removed = Removed()
    for path, size, modified in list(_files(folder)):
        if before is None or modified < before:
            with suppress(OSError):
                path.unlink()
                removed += Removed(count=1, bytes=size)
    return removed


def shrink(
    wheels: WheelStore, metadata: MetadataStore, folders: Iterable[Path], *, keep: int
) -> Removed:
    """Take out what was not used for longest, until no more than ``keep`` bytes are left.

    A wheel counts with its bytecode. Small files count from when they were written.
    """
    entries: list[tuple[float, int, CachedWheel | Path]] = [
        (wheel.used, tree_size(wheels.folder_of(wheel.sha256)), wheel) for wheel in wheels.list()
    ]
    for folder in folders:
        entries += [(written, size, path) for path, size, written in _files(folder)]
    excess = sum(size for _, size, _ in entries) - keep
    removed = Removed()
    for _, size, entry in sorted(entries, key=lambda each: each[0]):
        if excess <= 0:
            break
        if isinstance(entry, CachedWheel):
            wheels.forget(entry.sha256)
            metadata.forget(entry.sha256)
        else:
            with suppress(OSError):
                entry.unlink()
        excess -= size
        removed += Removed(count=1, bytes=size)
    return removed


def tree_size(folder: Path) -> int:
    """Bytes of all the files below a folder; what disappears meanwhile counts nothing."""
    return sum(size for _, size, _ in _files(folder))


def _files(folder: Path) -> Iterator[tuple[Path, int, float]]:
    """Every file below the folder, with its size and time of modification."""
    pending = [os.fspath(folder)]
    while pending:
        try:
            entries = list(os.scandir(pending.pop()))
        except OSError:
            continue
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    status = entry.stat(follow_symlinks=False)
                    yield Path(entry.path), status.st_size, status.st_mtime
