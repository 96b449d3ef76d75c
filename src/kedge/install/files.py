"""The few operations on files that a transaction needs, beyond those of ``os``.

Paths are native text here, as in all of this package's inner parts: an environment has tens of
thousands of them.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress

from kedge.cache.atomic import NEW_FILE, write_all

#: The name of a transaction's own folder, in the folder of the packages.
STATE = ".kedge"


def real(path: str | os.PathLike[str]) -> str:
    """The path without links, absolute; it need not exist."""
    return os.path.realpath(path)


def nearest_existing(path: str) -> str:
    """The path itself if it is a folder, else the nearest folder above that exists."""
    while not os.path.isdir(path):
        parent = os.path.dirname(path)
        if parent == path:
            break
        path = parent
    return path


def make_folders(path: str) -> list[str]:
    """Make the folder and those above it; the new ones, outermost first."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    made = []
    for folder in reversed(missing):
        with suppress(FileExistsError):
            os.mkdir(folder)
            made.append(folder)
    return made


def write_new(path: str, data: bytes, *, mode: int) -> None:
    """A new file with these permissions; ``FileExistsError`` if there is one."""
    descriptor = os.open(path, NEW_FILE, mode)
    try:
        write_all(descriptor, data)
        if os.fstat(descriptor).st_mode & 0o777 != mode and hasattr(os, "fchmod"):
            os.fchmod(descriptor, mode)  # whatever the umask takes away
    finally:
        os.close(descriptor)


def delete(path: str) -> None:
    """Remove a file, a link or a whole folder; what is absent is no error.

    Folders that were made read-only are made writable first.
    """
    try:
        is_folder = stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return
    if not is_folder:
        os.unlink(path)
        return
    try:
        entries = list(os.scandir(path))
    except PermissionError:
        os.chmod(path, 0o700)
        entries = list(os.scandir(path))
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            delete(entry.path)
            continue
        try:
            os.unlink(entry.path)
        except FileNotFoundError:
            continue
        except PermissionError:
            os.chmod(path, 0o700)
            if os.name == "nt":  # there the file's own attribute forbids it
                os.chmod(entry.path, 0o600)
            os.unlink(entry.path)
    os.rmdir(path)


def flush(path: str) -> None:
    """Have everything written so far to the file system of ``path`` reach the disk.

    One call for thousands of files; where the system has none, only the folder is flushed.
    """
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            if not _sync(descriptor):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sync(descriptor: int) -> bool:
    if sys.platform != "linux":
        return False
    import ctypes

    try:
        return bool(ctypes.CDLL(None).syncfs(descriptor) == 0)
    except AttributeError:  # a C library without it
        return False


def current_umask() -> int:
    """The process's umask. Reading it means setting it for an instant."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


class FileSystems:
    """Between which folders a rename is possible: those with the same key.

    ``mounts`` are the mount points, where they can be known: no rename moves one of them.
    The device alone does not tell: a bind mount has the device of what it shows, and yet no
    rename crosses it. On Linux the mounts are looked up; elsewhere the device has to do.
    """

    def __init__(self) -> None:
        self.mounts = _mount_points()

    def key(self, folder: str) -> tuple[int, str]:
        """The key of an existing folder."""
        return os.stat(folder).st_dev, self._mount(real(folder))

    def _mount(self, path: str) -> str:
        while path not in self.mounts:
            parent = os.path.dirname(path)
            if parent == path:
                break
            path = parent
        return path


def _mount_points() -> frozenset[str]:
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            # proc(5): the fifth field; blanks in it are written in octal.
            return frozenset(_unescaped(line.split(" ", 5)[4]) for line in file)
    except (OSError, IndexError):
        return frozenset()


def _unescaped(field: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field
