"""Unpacked wheels, each under the SHA-256 of its archive.

An entry is a folder: ``manifest`` (see :mod:`kedge.cache.manifest`), ``tree`` (the files) and,
once it was asked for, ``bytecode-<cache tag>``. It is made in the scratch folder and appears with
one rename, so it is complete or absent; of several processes that make the same one, the first
wins and the others use it. Nothing is forced to the disk: an entry that a power cut tore has no
valid manifest, or files of another size than it says, and counts as damaged.

Damage inside the tree is looked for where the files are used (:mod:`kedge.install.link` compares
size and time of every file that it links), not here: that would cost the same again.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from kedge.cache.atomic import Scratch
from kedge.cache.manifest import Linked, Manifest, dump, dump_linked, load, load_linked
from kedge.cache.manifest import load_head as _load_head
from kedge.classes import frozen
from kedge.errors import CacheError

_MANIFEST = "manifest"
_TREE = "tree"
_BYTECODE = "bytecode-"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CACHE_TAG = re.compile(r"[A-Za-z0-9_.-]+")

# How exact the time of last use needs to be: purging counts in days.
_USED_SECONDS = 3600.0

# What a rename onto a folder that has something in it says, by platform.
_OCCUPIED = frozenset({errno.EEXIST, errno.ENOTEMPTY, errno.EACCES, errno.EPERM})

_ATTEMPTS = 3


@frozen(kw_only=True)
class UnpackedWheel:
    """A wheel in the cache: ``tree`` holds its files as the archive had them."""

    sha256: str
    tree: Path
    manifest: Manifest

    @property
    def dist_info(self) -> Path:
        return self.tree / self.manifest.dist_info


@frozen(kw_only=True)
class Bytecode:
    """Compiled files of one wheel for one kind of Python.

    The files are relative to ``tree`` and stand as ``pkg/__pycache__/module.<tag>.pyc``.
    """

    tree: Path
    linked: Linked


@frozen(kw_only=True)
class CachedWheel:
    """One line of a listing. ``size`` is in bytes, ``used`` in seconds since the epoch."""

    name: str
    version: str
    filename: str
    sha256: str
    size: int
    used: float


class WheelStore:
    """The unpacked wheels of one cache. Safe for several threads and processes.

    Two stores of the same ``folder`` and ``scratch`` are the same, in another process too.
    """

    def __init__(self, folder: Path, scratch: Scratch) -> None:
        self.folder = folder
        self.scratch = scratch

    def get(self, sha256: str) -> UnpackedWheel | None:
        """The entry of that digest; a damaged one is removed and counts as absent.

        There is none for what is no SHA-256: pages may state anything.
        """
        if not _SHA256.fullmatch(sha256):
            return None
        entry = f"{self.folder}/{sha256[:2]}/{sha256[2:]}"
        for _ in range(_ATTEMPTS):
            wheel, is_there = self._read(sha256, entry)
            if wheel is not None or not is_there:
                return wheel
        self.forget(sha256)
        return None

    def _read(self, sha256: str, entry: str) -> tuple[UnpackedWheel | None, bool]:
        """The entry if it is whole, and whether one is there that may be removed.

        Entries come into being whole, perhaps while this looks: what was not there is looked at
        again before it counts as damaged.
        """
        path, tree = f"{entry}/{_MANIFEST}", Path(f"{entry}/{_TREE}")
        try:
            with open(path, "rb", buffering=0) as file:
                data = file.readall()
                self._mark_used(file.fileno(), path)
            manifest = load(data)
            if tree.is_dir():
                return UnpackedWheel(sha256=sha256, tree=tree, manifest=manifest), True
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
            return None, os.path.lexists(entry)
        except OSError:
            return None, False  # too many open files, say: no reason to throw the entry away
        return None, True

    def add(self, sha256: str, build: Callable[[Path], Manifest]) -> UnpackedWheel:
        """Make the entry of that digest and return it.

        ``build`` fills the empty folder it is given and says what is in it; what it raises
        passes through, and then nothing is left behind. It is called even if the entry exists.

        :raises CacheError: the entry could not be written (a full disk, no permission).
        """
        try:
            with self.scratch.directory() as temporary:
                tree = temporary / _TREE
                tree.mkdir()
                manifest = build(tree)
                (temporary / _MANIFEST).write_bytes(dump(manifest))
                return self._publish(sha256, temporary, manifest)
        except OSError as exc:
            raise _cannot_write(self.folder, exc) from exc

    @contextmanager
    def folder_aside(self) -> Iterator[Path]:
        """A new folder on the store's disk, for archives on their way into it; it goes at the end.

        :raises CacheError: it cannot be made.
        """
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(self.scratch.directory(for_a_run=True))
            except OSError as exc:
                raise _cannot_write(self.folder, exc) from exc
            yield folder

    def has(self, sha256: str) -> bool:
        """Whether there is an entry of that digest, be it whole or not."""
        return bool(_SHA256.fullmatch(sha256)) and self._entry(sha256).exists()

    def folder_of(self, sha256: str) -> Path:
        """Where the entry of that digest is, or would be."""
        return self._entry(sha256)

    def forget(self, sha256: str) -> None:
        """Remove the entry, if there is one: it was found damaged."""
        with suppress(OSError):
            self.scratch.discard(self._entry(sha256))

    def has_bytecode(self, wheel: UnpackedWheel, cache_tag: str) -> bool:
        """Whether the wheel was ever compiled for that kind of Python, be it whole or not."""
        return (wheel.tree.parent / _bytecode_name(cache_tag)).exists()

    def bytecode(self, wheel: UnpackedWheel, cache_tag: str) -> Bytecode | None:
        """The wheel's bytecode for that kind of Python, if it was ever compiled.

        What is damaged is removed and counts as absent.
        """
        folder = f"{os.path.dirname(wheel.tree)}/{_bytecode_name(cache_tag)}"
        for _ in range(_ATTEMPTS):
            if not os.path.lexists(folder):  # most have none
                return None
            try:
                with open(f"{folder}/{_MANIFEST}", "rb") as file:
                    linked = load_linked(file.read())
            except FileNotFoundError:
                continue  # it is being removed, or was torn by a power cut
            except (NotADirectoryError, IsADirectoryError, ValueError, TypeError):
                break
            except OSError:
                return None  # too many open files, say: no reason to throw it away
            return Bytecode(tree=Path(folder, _TREE), linked=linked)
        with suppress(OSError):
            self._scratch_of(wheel).discard(Path(folder))
        return None

    def add_bytecode(
        self,
        wheel: UnpackedWheel,
        cache_tag: str,
        build: Callable[[Path], Linked],
    ) -> Bytecode:
        """Keep the wheel's bytecode beside it; ``build`` as in :meth:`add`.

        :raises CacheError: it could not be written.
        """
        folder = wheel.tree.parent / _bytecode_name(cache_tag)
        try:
            with self._scratch_of(wheel).directory() as temporary:
                tree = temporary / _TREE
                tree.mkdir()
                linked = build(tree)
                (temporary / _MANIFEST).write_bytes(dump_linked(linked))
                for _ in range(_ATTEMPTS):
                    if _rename_if_absent(temporary, folder):
                        return Bytecode(tree=folder / _TREE, linked=linked)
                    existing = self.bytecode(wheel, cache_tag)
                    if existing is not None:
                        return existing
        except OSError as exc:
            raise _cannot_write(self.folder, exc) from exc
        raise CacheError(f"The bytecode of {wheel.manifest.filename} could not be cached.")

    def list(self) -> Iterator[CachedWheel]:
        """Every entry, in no particular order; damaged ones are passed over."""
        for entry in self._entries():
            manifest = entry / _MANIFEST
            try:
                with manifest.open("rb") as file:
                    head = _load_head(file.readline())
                    used = os.fstat(file.fileno()).st_mtime
            except (OSError, ValueError):
                continue
            yield CachedWheel(
                name=str(head["name"]),
                version=str(head["version"]),
                filename=str(head["filename"]),
                sha256=entry.parent.name + entry.name,
                size=int(str(head["size"])),
                used=used,
            )

    def _entries(self) -> Iterator[Path]:
        with suppress(OSError):
            for shard in sorted(self.folder.iterdir()):
                if shard.is_dir():
                    yield from sorted(shard.iterdir())

    def _entry(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"no SHA-256: {sha256!r}")
        return self.folder / sha256[:2] / sha256[2:]

    def _mark_used(self, descriptor: int, manifest: str) -> None:
        if time.time() - os.fstat(descriptor).st_mtime > _USED_SECONDS:
            with suppress(OSError):
                os.utime(manifest)

    def _scratch_of(self, wheel: UnpackedWheel) -> Scratch:
        """That of the wheel's own cache, which may be one that goes with the run."""
        folder = wheel.tree.parents[2]
        if folder == self.folder:
            return self.scratch
        return Scratch(folder.with_name(self.scratch.folder.name))

    def _publish(self, sha256: str, temporary: Path, manifest: Manifest) -> UnpackedWheel:
        entry = self._entry(sha256)
        for _ in range(_ATTEMPTS):
            entry.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _rename_if_absent(temporary, entry):
                return UnpackedWheel(sha256=sha256, tree=entry / _TREE, manifest=manifest)
            # What get() does not like it removes, so one of the two succeeds.
            wheel = self.get(sha256)
            if wheel is not None:
                return wheel
        raise CacheError(f"The entry of {sha256} in the cache {self.folder} keeps disappearing.")


def _bytecode_name(cache_tag: str) -> str:
    if not _CACHE_TAG.fullmatch(cache_tag):
        raise ValueError(f"no cache tag: {cache_tag!r}")
    return _BYTECODE + cache_tag


def _rename_if_absent(source: Path, destination: Path) -> bool:
    """One rename; ``False`` when something is there already, or the source has gone."""
    try:
        source.rename(destination)
    except FileNotFoundError:
        return False
    except OSError as exc:
        if exc.errno in _OCCUPIED and destination.exists():
            return False
        raise
    return True


def _cannot_write(folder: Path, exc: OSError) -> CacheError:
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return CacheError(
            f"The disk of the cache {folder.parent} is full.",
            hint="Make room, or name another folder: with --cache-dir one that lasts (kedge cache "
            "purge empties it), with TMPDIR the one of a run without a cache.",
        )
    reason = exc.strerror or str(exc)
    return CacheError(
        f"The cache {folder.parent} cannot be written: {reason}.",
        hint="Name another folder with --cache-dir, or go without with --no-cache-dir.",
    )
