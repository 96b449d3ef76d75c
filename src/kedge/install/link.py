"""Files of the cache into a staging folder: by reflink, hard link or copy, the same to the reader.

Every file is compared with the manifest first, for a hard link shares it with every environment
that has it: one that was changed in place anywhere is not passed on.

This is the innermost loop of an installation (some 25,000 files), so paths are plain text here,
and each file costs one ``lstat`` and one ``link``.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterable

from kedge.cache import ManifestEntry
from kedge.errors import DamagedEntryError
from kedge.install.plan import LinkMode

#: Source, destination (both absolute, native text), and what the source must be.
Job = tuple[str, str, ManifestEntry]

# linux/fs.h: _IOW(0x94, 9, int).
_FICLONE = 0x40049409

# What file systems say that cannot do it, or not between these two places.
_IMPOSSIBLE = frozenset(
    {
        errno.EOPNOTSUPP,
        errno.ENOTSUP,
        errno.ENOTTY,
        errno.ENOSYS,
        errno.EINVAL,
        errno.EXDEV,
        errno.EPERM,
    }
)

_CHUNK = 1 << 20

_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class Linker:
    """Links into one file system, and remembers which way works there.

    ``umask`` is the process's: files get the permissions that pip would give them. ``contested``
    is told a destination that was there already, and that is replaced.
    """

    def __init__(self, mode: LinkMode, *, umask: int, contested: Callable[[str], None]) -> None:
        order = [LinkMode.REFLINK, LinkMode.HARDLINK, LinkMode.COPY]
        first = 0 if mode is LinkMode.AUTO else order.index(mode)
        self._ways = order[first:]
        self._contested = contested
        self._plain = 0o666 & ~umask
        self._executable = (0o777 & ~umask) | 0o111

    @property
    def way(self) -> LinkMode:
        """The way that is taken now, never ``AUTO``."""
        return self._ways[0]

    def place(self, sha256: str, jobs: Iterable[Job]) -> None:
        """Link the files of one wheel; the folders of the destinations exist.

        :raises DamagedEntryError: a file is not what the manifest says.
        :raises OSError: the destination cannot be written.
        """
        lstat, link, is_regular = os.lstat, os.link, stat.S_ISREG
        plain, executable = self._plain, self._executable
        for source, destination, entry in jobs:
            try:
                status = lstat(source)
            except (FileNotFoundError, NotADirectoryError) as exc:
                raise _damaged(sha256, source, "is missing") from exc
            if (
                status.st_size != entry.size
                or status.st_mtime_ns != entry.mtime_ns
                or not is_regular(status.st_mode)
            ):
                raise _damaged(sha256, source, "was changed")
            mode = executable if entry.mode & 0o111 else plain
            if self._ways[0] is LinkMode.HARDLINK and status.st_mode & 0o777 == mode:
                try:
                    link(source, destination)
                    continue
                except OSError:
                    pass  # the slow way finds out what is the matter
            actual = status.st_mode & 0o777
            self._place_one(sha256, source, destination, entry, mode, actual)

    def _place_one(
        self,
        sha256: str,
        source: str,
        destination: str,
        entry: ManifestEntry,
        mode: int,
        actual: int,
    ) -> None:
        for way in tuple(self._ways):
            # A file that had to have other permissions cannot be shared.
            if way is LinkMode.HARDLINK and mode != actual and os.name == "posix":
                continue
            try:
                try:
                    _WAYS[way](source, destination, entry, mode)
                except FileExistsError:
                    self._contested(destination)
                    os.unlink(destination)
                    _WAYS[way](source, destination, entry, mode)
            except OSError as exc:
                if isinstance(exc, FileNotFoundError) and not os.path.lexists(source):
                    raise _damaged(sha256, source, "is missing") from exc
                # Of too many links (65,000 on ext4) only this one file suffers.
                if way is LinkMode.COPY or exc.errno not in _IMPOSSIBLE | {errno.EMLINK}:
                    raise
                if exc.errno != errno.EMLINK:
                    self._ways = [left for left in self._ways if left is not way]
            else:
                return
        raise AssertionError("copying is always tried")


def _damaged(sha256: str, path: str, what: str) -> DamagedEntryError:
    return DamagedEntryError(f"The cached file {path} {what}.", sha256=sha256)


# --------------------------------------------------------------------------------------------
# The ways. Each makes a new file, or raises and leaves none.


def _hardlink(source: str, destination: str, entry: ManifestEntry, mode: int) -> None:
    os.link(source, destination)


def _copy(source: str, destination: str, entry: ManifestEntry, mode: int) -> None:
    def fill(from_: int, to: int) -> None:
        while data := os.read(from_, _CHUNK):
            while data:
                data = data[os.write(to, data) :]

    _made(source, destination, entry, mode, fill)


def _reflink_linux(source: str, destination: str, entry: ManifestEntry, mode: int) -> None:
    import fcntl

    def fill(from_: int, to: int) -> None:
        fcntl.ioctl(to, _FICLONE, from_)

    _made(source, destination, entry, mode, fill)


def _reflink_macos(source: str, destination: str, entry: ManifestEntry, mode: int) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    # clonefile(2); it keeps times and permissions.
    if libc.clonefile(os.fsencode(source), os.fsencode(destination), 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), destination)
    if entry.mode != mode:
        os.chmod(destination, mode)


def _reflink_nowhere(source: str, destination: str, entry: ManifestEntry, mode: int) -> None:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), destination)


def _made(
    source: str,
    destination: str,
    entry: ManifestEntry,
    mode: int,
    fill: Callable[[int, int], None],
) -> None:
    """A new file with the source's time: bytecode in the cache is valid for that time alone."""
    to = os.open(destination, _CREATE, mode)
    try:
        from_ = os.open(source, _READ)
        try:
            fill(from_, to)
        finally:
            os.close(from_)
        if hasattr(os, "fchmod"):
            os.fchmod(to, mode)
        if os.utime in os.supports_fd:
            os.utime(to, ns=(entry.mtime_ns, entry.mtime_ns))
    except BaseException:
        os.close(to)
        os.unlink(destination)
        raise
    os.close(to)
    if os.utime not in os.supports_fd:
        os.utime(destination, ns=(entry.mtime_ns, entry.mtime_ns))


_REFLINK = {"linux": _reflink_linux, "darwin": _reflink_macos}.get(sys.platform, _reflink_nowhere)

_WAYS: dict[LinkMode, Callable[[str, str, ManifestEntry, int], None]] = {
    LinkMode.REFLINK: _REFLINK,
    LinkMode.HARDLINK: _hardlink,
    LinkMode.COPY: _copy,
}
