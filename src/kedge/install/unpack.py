"""A wheel's archive into a folder of the cache, with every check that can be made on the way.

Nothing is written outside the folder that is given, and nothing is written at all unless the
names and sizes in the archive are sound. Findings are gathered and raised together.

What is refused, beyond what pip refuses: a path that could lead out of the wheel on any system,
links, members that contradict their own headers, an archive that would grow out of all
proportion, and a file that is not what RECORD says it is, in digest or size, or that RECORD says
is there and is not. pip checks none of the last, yet installs what such a wheel *claims* to hold.

What is let pass, because wheels on the public index have it and pip's users have them installed:
files that RECORD does not list, or lists without a digest or with one that this Python cannot
compute (they are listed, with a digest, in what is installed); rows without a digest for what is
not there (folders, say); the same member twice; ``Tag`` lines that are not those of the file's
name (retagging is common; the name decides, as with pip); a newer minor ``Wheel-Version``.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kedge.cache import Manifest, Row, UnpackedWheel, WheelStore
from kedge.cache.atomic import NEW_FILE, write_all
from kedge.classes import frozen
from kedge.environment.metadata import normalized, parse_metadata
from kedge.errors import PageError, WheelError
from kedge.install.archive import Archive, BadArchive, Member, batches, growth_limit
from kedge.install.arriving import Ahead
from kedge.install.entry_points import parse_entry_points
from kedge.install.paths import ORDINARY, collisions, folders_of, path_problem
from kedge.install.ready import apart
from kedge.install.records import (
    SIGNATURES,
    Listed,
    parse_wheel_file,
    parse_wheel_record,
    spelled,
)

if TYPE_CHECKING:
    from packaging.version import Version

#: The keys of a ``.data`` folder.
SCHEME_KEYS = frozenset({"purelib", "platlib", "scripts", "data", "headers"})

_MAX_PROBLEMS = 50

_TO_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_PIECE = 1 << 20

#: The files of a .dist-info folder that are read here.
_LOOKED_AT = ("WHEEL", "METADATA", "entry_points.txt")


def unpack(
    archive: Path,
    destination: Path,
    *,
    filename: str | None = None,
    fold_case: bool | None = None,
    threads: int = 1,
    ahead: Sequence[Ahead] = (),
) -> Manifest:
    """Unpack the wheel into the empty folder and say what is in it.

    ``filename`` is the wheel's own name where the archive lies under another. ``fold_case``
    refuses names that differ in case only; by default where the system's file systems usually
    take them for one. ``threads`` may write large files side by side. ``ahead`` are the
    holes in the archive; what was made of them is moved. May be called from several threads and
    processes at once.

    :raises WheelError: the wheel must not be installed; ``problems`` holds every finding.
    :raises OSError: the folder cannot be written.
    """
    filename = filename or archive.name
    if fold_case is None:
        fold_case = sys.platform in ("win32", "darwin")
    try:
        with Archive(archive) as opened:
            matched = _matched(opened, ahead)
            layout = _examine(opened, filename, fold_case=fold_case)
            rows, problems = parse_wheel_record(opened.read(layout.record))
            if problems:
                raise _refused(filename, problems)
            return _Unpacking(opened, layout, rows, destination, filename, matched).run(threads)
    except BadArchive as exc:
        raise _refused(filename, [str(exc)]) from exc


def unpack_into(
    store: WheelStore,
    sha256: str,
    archive: Path,
    *,
    filename: str | None = None,
    threads: int = 1,
    ahead: Sequence[Ahead] = (),
) -> UnpackedWheel:
    """Unpack the wheel, whose digest that is, into its entry of the store.

    :raises WheelError: as :func:`unpack`.
    :raises CacheError: the entry cannot be written.
    """
    return store.add(
        sha256,
        lambda folder: unpack(archive, folder, filename=filename, threads=threads, ahead=ahead),
    )


def _refused(filename: str, problems: Iterable[str]) -> WheelError:
    found = list(dict.fromkeys(problems))
    if len(found) > _MAX_PROBLEMS:
        found[_MAX_PROBLEMS:] = [f"and {len(found) - _MAX_PROBLEMS} more"]
    return WheelError(
        f"The wheel {filename} must not be installed: {found[0]}.",
        wheel=filename,
        problems=found,
        hint="The file is damaged, or was built wrongly: tell its maintainers.",
    )


# --------------------------------------------------------------------------------------------
# Before anything is written


def _matched(archive: Archive, ahead: Sequence[Ahead]) -> dict[Member, Ahead]:
    """The members that the holes are. Nothing is read where bytes are gone: all that is not there
    any more are members' data, and each of these was inflated as the directory says.
    """
    if not ahead:
        return {}
    members = {member.offset: member for member in archive.members}
    found: dict[Member, Ahead] = {}
    for hole in ahead:
        member = members.get(hole.offset)
        if member is None or not hole.is_of(member):
            name = bytes.fromhex(hole.raw_name).decode("utf-8", "replace")
            raise BadArchive(f"{name} is not what stands in front of its data")
        found[member] = hole
    return found


@frozen
class _Layout:
    """The archive's structure, found sound. ``files`` are in the order of their data, ``folders``
    all that they lie in."""

    files: tuple[Member, ...]
    folders: tuple[str, ...]
    dist_info: str
    record: Member


def _examine(archive: Archive, filename: str, *, fold_case: bool) -> _Layout:
    """Names, kinds and sizes: everything that the central directory tells."""
    windows = sys.platform == "win32"
    problems: list[str] = []
    twice: list[str] = []
    files: dict[str, Member] = {}
    ordinary = map(ORDINARY.fullmatch, [member.name for member in archive.members])
    for member, is_ordinary in zip(archive.members, ordinary, strict=True):
        name, is_folder = member.name, False
        problem = None
        if not is_ordinary or windows:
            is_folder = member.is_folder
            problem = path_problem(name.rstrip("/") if is_folder else name, windows=windows)
        problem = problem or member.problem
        if problem is not None:
            problems.append(f"{name!r} {problem}")
        if is_folder:
            continue
        other = files.setdefault(name, member)
        if other is not member and (other.crc, other.size) != (member.crc, member.size):
            twice.append(f"{name} is there twice, with different contents")
    problems += twice
    problems += collisions(files, fold_case=fold_case)
    problems += _growth_problems(archive, files.values())
    problems += _data_problems(files)
    infos = sorted({path.partition("/")[0] for path in files if ".dist-info/" in path})
    infos = [name for name in infos if name.endswith(".dist-info")]
    problems += _dist_info_problems(infos, filename)
    record = files.get(f"{infos[0]}/RECORD") if infos else None
    if infos and record is None:
        problems.append("it has no RECORD")
    if problems or record is None:
        raise _refused(filename, problems)
    return _Layout(tuple(files.values()), tuple(sorted(folders_of(files))), infos[0], record)


def _growth_problems(archive: Archive, files: Iterable[Member]) -> list[str]:
    total = sum([member.size for member in files])
    if total > growth_limit(archive.size):
        return [f"its {archive.size} bytes would grow to {total}"]
    return []


def _data_problems(paths: Iterable[str]) -> list[str]:
    problems = []
    for path in paths:
        if ".data/" not in path:
            continue
        parts = path.split("/", 2)
        if not parts[0].endswith(".data"):
            continue
        if len(parts) < 3:
            problems.append(f"{path} belongs to no scheme")
        elif parts[1] not in SCHEME_KEYS:
            problems.append(f"{path} belongs to an unknown scheme, {parts[1]}")
    return problems


def _dist_info_problems(infos: list[str], filename: str) -> list[str]:
    if not infos:
        return ["it has no .dist-info folder"]
    if len(infos) > 1:
        return [f"it has several .dist-info folders: {', '.join(infos)}"]
    name = filename.partition("-")[0]
    if normalized(infos[0].partition("-")[0]) != normalized(name):
        return [f"its .dist-info folder, {infos[0]}, is that of another project than {name}"]
    return []


# --------------------------------------------------------------------------------------------
# Writing


class _Unpacking:
    """One run: writes the files, and gathers what it learns of them."""

    def __init__(
        self,
        archive: Archive,
        layout: _Layout,
        rows: dict[str, Listed],
        destination: Path,
        filename: str,
        ahead: dict[Member, Ahead],
    ) -> None:
        self._archive = archive
        self._layout = layout
        self._rows = rows
        self._destination = os.fspath(destination)
        self._filename = filename
        self._ahead = ahead
        self._problems: list[str] = []
        self._entries: list[Row] = []
        # Files that are looked into afterwards, by their name in the .dist-info folder.
        self._looked_at: dict[str, bytes] = {}
        self._to_look_at = {f"{layout.dist_info}/{name}" for name in _LOOKED_AT}

    def run(self, threads: int) -> Manifest:
        for folder in self._layout.folders:  # sorted, so each after the one it lies in
            os.mkdir(f"{self._destination}/{folder}")
        large = self._archive.large() if threads > 1 else []
        if len(large) > 1:
            self._write_side_by_side({member.name for member in large}, threads)
        else:
            for batch in batches(self._layout.files):
                self._problems += self._write(batch)
        self._check_absent()
        fields = parse_wheel_file(self._take("WHEEL"))
        self._check_wheel_file(fields)
        name, version, stated = self._check_metadata()
        self._check_entry_points()
        if self._problems:
            raise _refused(self._filename, self._problems)
        purelib = fields.get("root-is-purelib", [""])[0].lower() == "true"
        linked, others = apart(self._entries, dist_info=self._layout.dist_info)
        return Manifest(
            name=name,
            version=version,
            filename=self._filename,
            dist_info=self._layout.dist_info,
            root_is_purelib=purelib,
            linked=linked,
            others=others,
            entry_points=self._text("entry_points.txt"),
            stated=stated,
        )

    def _write_side_by_side(self, large: set[str], threads: int) -> None:
        """Those files in threads, which zlib, the hash and the disk let run beside each other."""
        from concurrent.futures import ThreadPoolExecutor

        files = self._layout.files
        with ThreadPoolExecutor(threads) as pool:
            begun = {m.name: pool.submit(self._write, [m]) for m in files if m.name in large}
            for batch in batches(files):
                ahead = begun.get(batch[0].name)
                self._problems += self._write(batch) if ahead is None else ahead.result()

    def _write(self, batch: list[Member]) -> list[str]:
        """Small members, or a single large one; what is wrong with them, in sentences."""
        try:
            if not batch[0].is_small:
                return self._write_large(batch[0])
            contents = self._archive.contents(batch)
        except BadArchive as exc:
            if len(batch) == 1:
                return [str(exc)]
            return [problem for member in batch for problem in self._write([member])]
        return self._write_small(batch, contents)

    def _write_small(self, batch: list[Member], contents: list[bytes]) -> list[str]:
        """Plain ``os`` calls, each for all of them: a wheel has hundreds of these."""
        digests = [spelled(hashlib.sha256(content).digest()) for content in contents]
        descriptors: list[int] = []
        try:
            for member in batch:
                descriptors.append(self._created(member))  # noqa: PERF401 - closed if one fails
            for descriptor, content in zip(descriptors, contents, strict=True):
                write_all(descriptor, content)
            rows = list(map(_row, batch, digests, descriptors))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        self._entries += rows
        problems: list[str] = []
        for member, digest, content in zip(batch, digests, contents, strict=True):
            name = member.name
            listed = self._rows.get(name)
            if listed != ("sha256", digest, member.size):  # what nearly every row says
                problems += self._findings(member, listed, _measure(content, listed))
            if name in self._to_look_at:
                self._looked_at[name.rpartition("/")[2]] = content
        return problems

    def _write_large(self, member: Member) -> list[str]:
        """In pieces; threads may do so side by side."""
        name = member.name
        if name in self._to_look_at:
            self._looked_at[name.rpartition("/")[2]] = b"".join(self._archive.chunks(member))
        listed = self._rows.get(name)
        ahead = self._ahead.get(member)
        descriptor = self._created(member) if ahead is None else self._moved(ahead, member)
        try:
            if ahead is None:
                found = _tally(_written(self._archive.chunks(member), descriptor), listed)
            elif listed is not None and listed.digest and listed.algorithm == "sha256":
                found = _Found(bytes.fromhex(ahead.sha256), None, 0)
            else:
                found = _tally(_read(descriptor), listed)
            self._entries.append(_row(member, spelled(found.sha256), descriptor))
        finally:
            os.close(descriptor)
        return list(self._findings(member, listed, found))

    def _created(self, member: Member) -> int:
        path = f"{self._destination}/{member.name}"
        return os.open(path, NEW_FILE, 0o777 if member.is_executable else 0o666)

    def _moved(self, ahead: Ahead, member: Member) -> int:
        """What is inflated already, at its place; opened to be read."""
        os.close(self._created(member))  # which nothing else may have
        path = f"{self._destination}/{member.name}"
        try:
            os.replace(ahead.path, path)
        except FileNotFoundError:
            raise BadArchive(f"{member.name} is gone") from None
        return os.open(path, _TO_READ)

    def _findings(self, member: Member, listed: Listed | None, found: _Found) -> Iterator[str]:
        folder, _, name = member.name.rpartition("/")
        if folder == self._layout.dist_info and name in ("RECORD", *SIGNATURES):
            return
        if listed is None or not listed.digest:
            if found.crc != member.crc:
                yield f"{member.name} does not have the checksum that it states"
        elif not listed.fits(found.sha256 if found.other is None else found.other):
            yield f"{member.name} is not the file that RECORD lists"
        if listed is not None and listed.size is not None and listed.size != member.size:
            yield f"{member.name} has {member.size} bytes, and RECORD states {listed.size}"

    def _check_absent(self) -> None:
        present = {member.name for member in self._layout.files}
        absent = self._rows.keys() - present
        for path, listed in self._rows.items() if absent else ():
            if listed.digest and path in absent:
                self._problems.append(f"{path} is listed in RECORD and is not there")

    def _take(self, name: str) -> bytes:
        if name not in self._looked_at:
            self._problems.append(f"it has no {name}")
        return self._looked_at.get(name, b"")

    def _check_wheel_file(self, fields: dict[str, list[str]]) -> None:
        if "WHEEL" not in self._looked_at:
            return
        text = fields.get("wheel-version", [""])[0]
        match = re.match(r"(\d{1,9})(\.\d+)*$", text)
        if match is None:
            self._problems.append(f"its WHEEL states no valid Wheel-Version ({text!r})")
        elif int(match[1]) > 1:
            self._problems.append(f"its Wheel-Version, {text}, is newer than kedge understands")

    def _check_metadata(self) -> tuple[str, str, tuple[object, ...]]:
        """Its name and version as METADATA spells them, which must be those of the file's name,
        and all that it states.
        """
        parts = self._filename.removesuffix(".whl").split("-")
        name, version = parts[0], parts[1] if len(parts) > 1 else ""
        data = self._take("METADATA")
        if not data:
            return name, version, ()
        try:
            metadata = parse_metadata(data, where=self._filename)
        except PageError as exc:
            self._problems.append(f"its METADATA cannot be read: {exc.message.rstrip('.')}")
            return name, version, ()
        if normalized(metadata.name) != normalized(name):
            self._problems.append(f"its METADATA is that of {metadata.name}")
        if not _same_version(metadata.version_text, version):
            self._problems.append(f"its METADATA states the version {metadata.version_text}")
        return metadata.name, metadata.version_text, metadata.stated

    def _check_entry_points(self) -> None:
        self._problems += parse_entry_points(self._text("entry_points.txt"))[1]

    def _text(self, name: str) -> str:
        return self._looked_at.get(name, b"").decode("utf-8", "replace")


class _Found(NamedTuple):
    """What was learnt of a file's bytes: ``other`` is the digest by the algorithm of its row in
    RECORD where that is another, ``crc`` is computed where the row states no digest."""

    sha256: bytes
    other: bytes | None
    crc: int


def _measure(content: bytes, listed: Listed | None) -> _Found:
    sha256 = hashlib.sha256(content).digest()
    if listed is None or not listed.digest:
        return _Found(sha256, None, zlib.crc32(content))
    other = _other_hash(listed)
    if other is None:
        return _Found(sha256, None, 0)
    other.update(content)
    return _Found(sha256, other.digest(), 0)


def _tally(chunks: Iterable[bytes | memoryview], listed: Listed | None) -> _Found:
    sha256 = hashlib.sha256()
    other = _other_hash(listed)
    crc = 0
    for chunk in chunks:
        sha256.update(chunk)
        if other is not None:
            other.update(chunk)
        if listed is None or not listed.digest:
            crc = zlib.crc32(chunk, crc)
    return _Found(sha256.digest(), None if other is None else other.digest(), crc)


def _written(chunks: Iterable[bytes | memoryview], descriptor: int) -> Iterator[bytes | memoryview]:
    for chunk in chunks:
        write_all(descriptor, chunk)
        yield chunk


def _read(descriptor: int) -> Iterator[bytes]:
    while chunk := os.read(descriptor, _PIECE):
        yield chunk


def _other_hash(listed: Listed | None) -> hashlib._Hash | None:
    """A hash for what RECORD states in another algorithm than SHA-256."""
    if listed is None or not listed.digest or listed.algorithm == "sha256":
        return None
    return hashlib.new(listed.algorithm, usedforsecurity=False)


def _row(member: Member, digest: str, descriptor: int) -> Row:
    """What the manifest says of a file that was just written."""
    status = os.fstat(descriptor)
    mode = status.st_mode & 0o777
    # Everybody may execute what anybody may, as with pip, whatever the umask says.
    if member.is_executable and mode & 0o111 != 0o111 and hasattr(os, "fchmod"):
        mode |= 0o111
        os.fchmod(descriptor, mode)
    return member.name, member.size, digest, mode, status.st_mtime_ns


def _same_version(one: str, other: str) -> bool:
    """Whether two spellings are one version; a file's name has ``_`` where ``+`` or ``-`` was."""
    if one == other:
        return True
    from packaging.version import Version

    try:
        version = Version(one)
    except ValueError:  # InvalidVersion, or a number with too many digits
        return one.replace("-", "_") == other
    return any(
        _is_version(spelling, version)
        for spelling in (other, other.replace("_", "+", 1), other.replace("_", "-"))
    )


def _is_version(text: str, version: Version) -> bool:
    from packaging.version import Version

    try:
        return Version(text) == version
    except ValueError:  # InvalidVersion, or a number with more digits than Python converts
        return False
