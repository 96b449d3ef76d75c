"""Files of the cache into a staging folder: by reflink, hard link or copy, the same to the reader.

Every file is compared with the manifest first, for a hard link shares it with every environment
that has it: one that was changed in place anywhere is not passed on.

This is the innermost loop of an installation (some 25,000 files), so paths are plain text here,
relative to an open folder where the system can do that, and each file costs one ``lstat`` and one
``link``.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from kedge.cache import Row
from kedge.cache.atomic import NEW_FILE, write_all
from kedge.errors import DamagedEntryError
from kedge.install.plan import LinkMode


class _File(NamedTuple):
    """One file to make, by absolute paths, with the permissions and the time it must have."""

    source: str
    destination: str
    mode: int
    mtime_ns: int


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

_KIND, _REGULAR = 0o170000, stat.S_IFREG

# Whether the system takes paths relative to an open folder.
_RELATIVE = {os.stat, os.link, os.mkdir} <= os.supports_dir_fd
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)

_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)


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

    def place(
        self,
        sha256: str,
        source: str,
        destination: str,
        rows: Iterable[Row],
        *,
        folders: Iterable[str] = (),
    ) -> None:
        """Link files of one wheel from below a folder of the cache to below a staged one.

        ``source`` and ``destination`` are absolute. ``folders`` are made first, where they do not
        exist, in this order.

        :raises DamagedEntryError: a file is not what the manifest says.
        :raises OSError: the destination cannot be written.
        """
        stat, link = os.stat, os.link
        plain, executable = _REGULAR | self._plain, _REGULAR | self._executable
        shares = self.way is LinkMode.HARDLINK
        with _opened(source) as (from_, before), _opened(destination) as (to, after):
            for folder in folders:
                _make_folder(after + folder, to)
            for row in rows:
                path, size, _, permissions, mtime_ns = row
                try:
                    status = stat(before + path, dir_fd=from_, follow_symlinks=False)
                except (FileNotFoundError, NotADirectoryError) as exc:
                    raise _damaged(sha256, f"{source}/{path}", "is missing") from exc
                actual = status.st_mode
                if (
                    status.st_size != size
                    or status.st_mtime_ns != mtime_ns
                    or actual & _KIND != _REGULAR
                ):
                    raise _damaged(sha256, f"{source}/{path}", "was changed")
                mode = executable if permissions & 0o111 else plain
                if shares and actual == mode:
                    try:
                        link(before + path, after + path, src_dir_fd=from_, dst_dir_fd=to)
                        continue
                    except OSError:
                        pass  # the slow way finds out what is the matter
                file = _File(f"{source}/{path}", f"{destination}/{path}", mode & 0o777, mtime_ns)
                self._place_one(sha256, file, actual & 0o777)
                shares = self.way is LinkMode.HARDLINK

    def _place_one(self, sha256: str, file: _File, actual: int) -> None:
        for way in tuple(self._ways):
            # A file that had to have other permissions cannot be shared.
            if way is LinkMode.HARDLINK and file.mode != actual and os.name == "posix":
                continue
            try:
                try:
                    _WAYS[way](file)
                except FileExistsError:
                    self._contested(file.destination)
                    os.unlink(file.destination)
                    _WAYS[way](file)
            except OSError as exc:
                if isinstance(exc, FileNotFoundError) and not os.path.lexists(file.source):
                    raise _damaged(sha256, file.source, "is missing") from exc
                # Of too many links (65,000 on ext4) only this one file suffers.
                if way is LinkMode.COPY or exc.errno not in _IMPOSSIBLE | {errno.EMLINK}:
                    raise
                if exc.errno != errno.EMLINK:
                    self._ways = [left for left in self._ways if left is not way]
            else:
                return
        raise AssertionError("copying is always tried")


@contextmanager
def _opened(folder: str) -> Iterator[tuple[int | None, str]]:
    """A folder as what paths may be relative to, and what stands before them if they may not.

    The shorter the paths, the less the system has to walk.
    """
    if not _RELATIVE:
        yield None, f"{folder}/"
        return
    try:
        descriptor = os.open(folder, _FOLDER)
    except (FileNotFoundError, NotADirectoryError):
        # Said of the first file in it, by whoever looks for that.
        yield None, f"{folder}/"
        return
    try:
        yield descriptor, ""
    finally:
        os.close(descriptor)


def _make_folder(path: str, at: int | None) -> None:
    with suppress(FileExistsError):
        os.mkdir(path, dir_fd=at)


def _damaged(sha256: str, path: str, what: str) -> DamagedEntryError:
    return DamagedEntryError(f"The cached file {path} {what}.", sha256=sha256)


# --------------------------------------------------------------------------------------------
# The ways. Each makes a new file, or raises and leaves none.


def _hardlink(file: _File) -> None:
    os.link(file.source, file.destination)


def _copy(file: _File) -> None:
    def fill(from_: int, to: int) -> None:
        while data := os.read(from_, _CHUNK):
            write_all(to, data)

    _made(file, fill)


def _reflink_linux(file: _File) -> None:
    import fcntl

    def fill(from_: int, to: int) -> None:
        fcntl.ioctl(to, _FICLONE, from_)

    _made(file, fill)


def _reflink_macos(file: _File) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    # clonefile(2); it keeps times and permissions.
    if libc.clonefile(os.fsencode(file.source), os.fsencode(file.destination), 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), file.destination)
    os.chmod(file.destination, file.mode)


def _reflink_nowhere(file: _File) -> None:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), file.destination)


def _made(file: _File, fill: Callable[[int, int], None]) -> None:
    """A new file with the source's time: bytecode in the cache is valid for that time alone."""
    to = os.open(file.destination, NEW_FILE, file.mode)
    try:
        from_ = os.open(file.source, _READ)
        try:
            fill(from_, to)
        finally:
            os.close(from_)
        if hasattr(os, "fchmod"):
            os.fchmod(to, file.mode)
        if os.utime in os.supports_fd:
            os.utime(to, ns=(file.mtime_ns, file.mtime_ns))
    except BaseException:
        os.close(to)
        os.unlink(file.destination)
        raise
    os.close(to)
    if os.utime not in os.supports_fd:
        os.utime(file.destination, ns=(file.mtime_ns, file.mtime_ns))


_REFLINK = {"linux": _reflink_linux, "darwin": _reflink_macos}.get(sys.platform, _reflink_nowhere)

_WAYS: dict[LinkMode, Callable[[_File], None]] = {
    LinkMode.REFLINK: _REFLINK,
    LinkMode.HARDLINK: _hardlink,
    LinkMode.COPY: _copy,
}
