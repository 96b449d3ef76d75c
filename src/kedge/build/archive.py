"""A source archive into a folder, before anything in it is run.

The rules are those of tarfile's ``data`` filter (PEP 706), on every Python and for zip files too,
and one more: nothing is written through a link. A path that leads out, a link that does, a device,
and an archive that grows out of all proportion are refused. Permissions are the user's own, a
program stays one; times are kept, since what generates code compares them.
"""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from kedge.classes import frozen
from kedge.errors import SourceError

# An archive may grow to this many times its size, and in any case to so many bytes. Source code
# packs better than wheels do: generated C files reach 30 times.
_MAX_RATIO = 400
_ALWAYS_ALLOWED = 2 << 30
_MAX_MEMBERS = 500_000
_LONGEST_PATH = 1024
_CHUNK = 1 << 20

_UNREADABLE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # a zip method that this Python lacks
    RuntimeError,  # an encrypted zip
    ValueError,
)


def unpack_source(archive: Path, destination: Path) -> Path:
    """Unpack into the empty folder; the project's own, which is the only one in it or itself.

    :raises SourceError: the archive cannot be read, or must not be unpacked.
    """
    import lzma  # seldom needed, and not in every Python

    opened: _Zip | _Tar
    try:
        if zipfile.is_zipfile(archive) and not _is_tar_name(archive.name):
            opened = _Zip(zipfile.ZipFile(archive))
        else:
            opened = _Tar(tarfile.open(archive, "r:*"))  # noqa: SIM115 - closed below
        with opened:
            _Unpacking(archive, destination).run(opened)
    except (*_UNREADABLE, lzma.LZMAError) as exc:
        raise SourceError(
            f"{archive.name} cannot be unpacked ({exc}).",
            source=archive.name,
            hint="It is damaged, or what was served in its place is no source archive.",
        ) from exc
    except OSError as exc:
        if isinstance(exc, tarfile.TarError) or exc.errno is None:  # gzip's own errors
            raise SourceError(
                f"{archive.name} cannot be unpacked ({exc}).", source=archive.name
            ) from exc
        raise
    entries = list(destination.iterdir())
    if len(entries) == 1 and entries[0].is_dir() and not entries[0].is_symlink():
        return entries[0]
    return destination


def _is_tar_name(filename: str) -> bool:
    """Whether the name says so: a tar file may happen to end like a zip file."""
    return ".tar" in filename.lower() or filename.lower().endswith((".tgz", ".tbz", ".txz", ".tlz"))


@frozen
class _Member:
    """One entry. ``link`` is the target as written; of a ``hard`` one, counted from the top."""

    name: str
    is_folder: bool = False
    is_file: bool = False
    link: str | None = None
    hard: bool = False
    executable: bool = False
    mtime: float | None = None
    handle: object = None


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def __enter__(self) -> _Zip:
        return self

    def __exit__(self, *exc: object) -> None:
        self._archive.close()

    def members(self) -> Iterator[_Member]:
        for info in self._archive.infolist():
            mode = info.external_attr >> 16
            is_folder = info.filename.endswith(("/", "\\"))
            yield _Member(
                info.filename,
                is_folder=is_folder,
                is_file=not is_folder,
                # As pip: a link in a zip file is a file that holds its target.
                executable=stat.S_ISREG(mode) and bool(mode & 0o111),
                handle=info,
            )

    def open(self, member: _Member) -> IO[bytes]:
        if not isinstance(member.handle, zipfile.ZipInfo):
            raise TypeError(member.name)
        return self._archive.open(member.handle)


class _Tar:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive

    def __enter__(self) -> _Tar:
        return self

    def __exit__(self, *exc: object) -> None:
        self._archive.close()

    def members(self) -> Iterator[_Member]:
        for info in self._archive:
            yield _Member(
                info.name,
                is_folder=info.isdir(),
                is_file=info.isreg(),
                link=info.linkname if info.issym() or info.islnk() else None,
                hard=info.islnk(),
                executable=bool(info.mode & 0o100),
                mtime=info.mtime,
                handle=info,
            )

    def open(self, member: _Member) -> IO[bytes]:
        found = None
        if isinstance(member.handle, tarfile.TarInfo):
            found = self._archive.extractfile(member.handle)
        if found is None:
            raise ValueError(f"{member.name} has no contents")
        return found


class _Unpacking:
    """One archive on its way into a folder."""

    def __init__(self, archive: Path, destination: Path) -> None:
        self._archive = archive
        self._destination = destination
        self._real = os.path.realpath(destination)
        self._left = max(_ALWAYS_ALLOWED, archive.stat().st_size * _MAX_RATIO)
        self._links: list[tuple[str, Path]] = []
        mask = os.umask(0o077)  # reading it means setting it for an instant
        os.umask(mask)
        self._modes = (0o666 & ~mask, 0o777 & ~mask)

    def run(self, opened: _Zip | _Tar) -> None:
        for number, member in enumerate(opened.members()):
            if number > _MAX_MEMBERS:
                raise self._refused("it has too many members")
            path = self._path(member)
            if path is None:
                continue
            if member.is_folder:
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink() or path.is_file():
                path.unlink()  # the same name again: the later counts
            if member.link is not None and not member.hard:
                self._link(member, path)
            elif member.hard:
                self._copy(member, path)
            elif member.is_file:
                with opened.open(member) as source:
                    self._write(source, path, member)
            else:
                raise self._refused(f"{member.name!r} is neither a file nor a folder nor a link")
        for name, path in self._links:
            self._check_link(name, path)

    def _path(self, member: _Member) -> Path | None:
        """Where it goes; ``None`` for the top itself."""
        return self._inside(member.name, member.name)

    def _inside(self, name: str, shown: str) -> Path | None:
        """The place of a name counted from the top, past no link; refused if there is none."""
        if len(name) > _LONGEST_PATH or "\0" in name:
            raise self._refused("a path in it is too long, or no path at all")
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
        if ".." in parts or (parts and ":" in parts[0] and os.name == "nt"):
            raise self._refused(f"{shown!r} leads out of it")
        if not parts:
            return None
        path = self._destination
        for part in parts[:-1]:
            path = path / part
            if path.is_symlink():
                raise self._refused(f"{shown!r} leads through a link")
        return path / parts[-1]

    def _write(self, source: IO[bytes], path: Path, member: _Member) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            while chunk := source.read(_CHUNK):
                self._left -= len(chunk)
                if self._left < 0:
                    raise self._refused("it grows out of all proportion")
                file.write(chunk)
        path.chmod(self._modes[member.executable])
        if member.mtime is not None:
            with suppress(OSError, OverflowError, ValueError):
                os.utime(path, (member.mtime, member.mtime))

    def _copy(self, member: _Member, path: Path) -> None:
        """What a hard link names, as a file of its own."""
        target = self._inside(member.link or "", member.name)
        if target is None or target.is_symlink() or not target.is_file():
            raise self._refused(f"{member.name!r} is a link to what is not there")
        with target.open("rb") as source:
            self._write(source, path, member)

    def _link(self, member: _Member, path: Path) -> None:
        target = (member.link or "").replace("\\", "/")
        if len(target) > _LONGEST_PATH or target.startswith("/") or Path(target).is_absolute():
            raise self._refused(f"{member.name!r} is a link that leads out of it")
        path.symlink_to(target)
        self._links.append((member.name, path))

    def _check_link(self, name: str, path: Path) -> None:
        """Where it ends, once everything is there: links may lead through each other."""
        if not path.is_symlink():
            return
        try:
            end = os.path.realpath(path, strict=True)
        except FileNotFoundError:
            end = os.path.realpath(path)
        except OSError as exc:
            raise self._refused(f"{name!r} is a link that leads nowhere ({exc.strerror})") from exc
        if end != self._real and not end.startswith(self._real + os.sep):
            raise self._refused(f"{name!r} is a link that leads out of it")

    def _refused(self, reason: str) -> SourceError:
        return SourceError(
            f"{self._archive.name} must not be unpacked: {reason}.",
            source=self._archive.name,
            hint="The file is damaged or malicious: tell its maintainers.",
        )
