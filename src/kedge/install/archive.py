"""Reading the members of a zip file in order, fast, and within the bounds that it states itself.

The central directory of an ordinary archive is read here, in a quarter of the time of Python's
``zipfile``, which reads every other one (zip64, comments, extra fields, bytes in front). The data
is read here, many members at a time for all but large ones. A member never yields more bytes than
the directory says, and no two share bytes of the file, so that what an archive can grow to is
known before anything is written (https://www.bamsoftware.com/hacks/zipbomb/).
"""

from __future__ import annotations

import os
import stat
import struct
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from kedge.inflate import Inflating, inflater

if TYPE_CHECKING:
    import zipfile

# APPNOTE.TXT 4.4.5, as ``zipfile`` names them.
_STORED, _DEFLATED, _BZIP2, _LZMA = 0, 8, 12, 14
_ENCRYPTED, _SIZES_FOLLOW, _UTF8 = 0x1, 0x8, 0x800

# APPNOTE.TXT 4.3.7: signature, then what the directory says too, then two lengths.
_LOCAL_HEADER_SIZE = 30
_LOCAL = struct.Struct("<4s22xHH")
_LOCAL_FIELDS = struct.Struct("<4s2xHH4xLLLHH")
_LOCAL_SIGNATURE = b"PK\x03\x04"

# APPNOTE.TXT 4.3.12 and 4.3.16: the directory's entries, and what stands behind the last of them.
_ENTRY = struct.Struct("<4sBBHHH4xLLLHHHH2xLL")
_ENTRY_SIGNATURE = b"PK\x01\x02"
_END = struct.Struct("<4sHHHHLLH")
_END_SIGNATURE = b"PK\x05\x06"
_ZIP64_SIGNATURE = b"PK\x06\x07"
_ZIP64_SIZE = 20
_ZIP64_COUNT, _ZIP64_BYTES = 0xFFFF, 0xFFFFFFFF
_NEWEST_VERSION = 63

# An archive may grow to this many times its size, and in any case to so many bytes. The largest
# ratio among the wheels that people install is some 20.
_MAX_RATIO, _MAX_RATIO_UNCHECKED = 200, 30
_ALWAYS_ALLOWED = 1 << 30

# Bare deflate, without zlib's header.
_BARE = -zlib.MAX_WBITS

#: Members up to this size are read and inflated in one piece.
_ONE_PIECE = 4 << 20
#: So many small members go together, and so many bytes of them: beyond, nothing is gained.
_TOGETHER, _TOGETHER_BYTES = 32, 512 << 10
#: So few bytes are inflated without a bound: they make 33 MB at most (see Member.problem).
_FEW = 32 << 10
_INPUT = 256 << 10
_OUTPUT = 1 << 20


class BadArchive(ValueError):  # noqa: N818 - a finding, turned into a WheelError by the caller
    """The file is no zip archive, or one that contradicts itself; the text says how."""


class Member(NamedTuple):
    """One entry of the central directory. ``mode`` is the Unix mode, 0 where there is none.

    ``name`` is exactly as stored, ``raw_name`` before it was decoded; ``span`` is the number of
    bytes from its local header to the next one.
    """

    name: str
    raw_name: bytes
    size: int
    compressed: int
    crc: int
    method: int
    flags: int
    mode: int
    offset: int
    span: int

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/")

    @property
    def is_executable(self) -> bool:
        """As pip decides it: a regular file that somebody may execute."""
        return self.mode & 0o111 != 0 and stat.S_ISREG(self.mode)

    @property
    def is_small(self) -> bool:
        """Whether it is read and inflated in one piece."""
        inflated = self.method in (_STORED, _DEFLATED)
        return inflated and self.size <= _ONE_PIECE and self.span <= _ONE_PIECE

    @property
    def problem(self) -> str | None:
        """Why this kind of member is refused, as the end of a sentence; ``None`` if it is not."""
        _, _, size, compressed, _, method, flags, mode, _, _ = self
        kind = stat.S_IFMT(mode)
        if kind != stat.S_IFREG and kind and kind != stat.S_IFDIR:
            return "is a symbolic link" if kind == stat.S_IFLNK else "is no regular file"
        if flags & _ENCRYPTED:
            return "is encrypted"
        if method == _DEFLATED:
            # The shortest code for a byte of deflate repeats 258 of them with two bits.
            if size > 1032 * compressed + 64:
                return "states a size that its data cannot have"
        elif method == _STORED:
            if size != compressed:
                return "states two sizes that differ"
        elif method not in (_BZIP2, _LZMA):
            return f"is compressed in a way that wheels are not (method {method})"
        return None


class Archive:
    """An open zip file. ``members`` are in the order of their data.

    For one thread, but that :meth:`chunks` of :meth:`large` members may be read by others.
    """

    def __init__(self, path: Path) -> None:
        """:raises BadArchive: it is no zip file. :raises OSError: it cannot be read."""
        self._file = path.open("rb")
        self._zip: zipfile.ZipFile | None = None
        self._lock = threading.Lock()
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            self._inflate, self._begin, self._error = inflater(self.size)
            members = _read_ordinary(self._file, self.size)
            self.members = self._read_any() if members is None else members
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._zip is not None:
            self._zip.close()
        self._file.close()

    def _by_zipfile(self) -> zipfile.ZipFile:
        import zipfile  # with its compressors, 10 ms that few wheels need

        if self._zip is None:
            try:
                self._zip = zipfile.ZipFile(self._file)
            except (
                zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, struct.error
            ) as exc:  # fmt: skip
                raise BadArchive(f"it is not a readable zip file ({exc})") from exc
        return self._zip

    def _read_any(self) -> tuple[Member, ...]:
        """What :func:`_read_ordinary` does not take on."""
        opened = self._by_zipfile()
        infos = sorted(opened.infolist(), key=lambda info: info.header_offset)
        ends = [info.header_offset for info in infos[1:]] + [opened.start_dir]
        return tuple(
            Member(
                name=info.orig_filename,
                raw_name=info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437"),
                size=info.file_size,
                compressed=info.compress_size,
                crc=info.CRC,
                method=info.compress_type,
                flags=info.flag_bits,
                mode=info.external_attr >> 16,
                offset=info.header_offset,
                span=end - info.header_offset,
            )
            for info, end in zip(infos, ends, strict=True)
        )

    def large(self) -> list[Member]:
        """The members that are read in several pieces, if all of the archive is read here."""
        if any(member.method not in (_STORED, _DEFLATED) for member in self.members):
            return []
        return [member for member in self.members if not member.is_small]

    def read(self, member: Member) -> bytes:
        """The whole member, checked against its CRC; for the small ones.

        :raises BadArchive: its data is not what the directory says.
        """
        data = self.contents([member])[0] if member.is_small else b"".join(self.chunks(member))
        if zlib.crc32(data) != member.crc:
            raise BadArchive(f"{member.name} does not have the checksum that it states")
        return data

    def contents(self, members: Sequence[Member]) -> list[bytes]:
        """The bytes of small members that follow each other, exactly ``size`` of each.

        The CRC is left to the caller.

        :raises BadArchive: the data of one is not what the directory says.
        """
        first, last = members[0].offset, members[-1]
        window = self._read_at(first, last.offset + last.span - first)
        view = memoryview(window)
        contents: list[bytes] = []
        for member in members:
            at = member.offset - first
            start = at + _data_start(member, window, at)
            data = view[start : start + member.compressed]
            stored = member.method == _STORED
            content = bytes(data) if stored else self._inflated(member, data)
            if len(content) != member.size:
                _check_size(member, len(content))
            contents.append(content)
        return contents

    def _inflated(self, member: Member, data: memoryview) -> bytes:
        """Of those bytes, at most one more than the member states, or what few can make."""
        if member.compressed <= _FEW:
            try:
                return self._inflate(data, _BARE, member.size or 1)
            except self._error:
                pass  # what is wrong with it shows below
        inflate = self._begin(_BARE)
        try:
            content = inflate.decompress(data, member.size + 1)
        except self._error as exc:
            raise _cannot_decompress(member, exc) from exc
        if not inflate.eof and len(content) == member.size:
            raise _cut_short(member)
        return content

    def chunks(self, member: Member) -> Iterator[bytes | memoryview]:
        """The same in pieces, of a member of any size and method.

        :raises BadArchive: its data is not what the directory says.
        """
        if member.method in (_STORED, _DEFLATED):
            return inflated(member, self._data(member), self._begin, self._error)
        return _of_its_size(member, self._unzipped(member))

    def _read_at(self, offset: int, length: int) -> bytes:
        with self._lock:
            self._file.seek(offset)
            return self._file.read(length)

    def _data(self, member: Member) -> Iterator[bytes]:
        """The compressed bytes, in pieces."""
        head = self._read_at(member.offset, min(member.span, _LOCAL_HEADER_SIZE + 2 * 0xFFFF))
        position = member.offset + _data_start(member, head)
        left = member.compressed
        while left:
            data = self._read_at(position, min(_INPUT, left))
            if not data:
                raise _cut_short(member)
            position += len(data)
            left -= len(data)
            yield data

    def _unzipped(self, member: Member) -> Iterator[bytes]:
        import zipfile

        opened = self._by_zipfile()
        info = next(each for each in opened.infolist() if each.header_offset == member.offset)
        try:
            with opened.open(info) as stream:
                while piece := stream.read(_OUTPUT):
                    yield piece
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as exc:
            raise _cannot_decompress(member, exc) from exc
        except OSError as exc:
            if exc.errno is not None:  # bz2 gives its own none; this is the disk's
                raise
            raise _cannot_decompress(member, exc) from exc
        except _lzma_errors() as exc:
            raise _cannot_decompress(member, exc) from exc


def inflated(
    member: Member,
    data: Iterable[bytes | memoryview],
    begin: Callable[[int], Inflating],
    error: type[Exception],
) -> Iterator[bytes | memoryview]:
    """What the pieces of a stored or deflated member's data make, as many bytes as it states.

    :raises BadArchive: they make something else.
    """
    pieces = data if member.method == _STORED else _inflated(member, data, begin(_BARE), error)
    return _of_its_size(member, pieces)


def _inflated(
    member: Member,
    pieces: Iterable[bytes | memoryview],
    inflate: Inflating,
    error: type[Exception],
) -> Iterator[bytes]:
    for piece in pieces:
        data = piece
        while data and not inflate.eof:  # behind its end the tail stays what it is
            try:
                yield inflate.decompress(data, _OUTPUT)
            except error as exc:
                raise _cannot_decompress(member, exc) from exc
            data = inflate.unconsumed_tail
        if inflate.eof:
            break
    yield inflate.flush()
    if not inflate.eof:
        raise _cut_short(member)


def _of_its_size(
    member: Member, pieces: Iterable[bytes | memoryview]
) -> Iterator[bytes | memoryview]:
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > member.size:
            break
        yield piece
    _check_size(member, total)


def growth_limit(size: int, *, checked: bool = True) -> int:
    """How many bytes all members of an archive of so many bytes may make; fewer where nobody has
    ``checked`` yet that it is the archive that was wanted."""
    return max(_ALWAYS_ALLOWED, size * (_MAX_RATIO if checked else _MAX_RATIO_UNCHECKED))


def batches(members: Iterable[Member]) -> Iterator[list[Member]]:
    """The same members in the same order: neighbours that are small together, each other alone.

    Inflating many and then writing many takes a quarter less than one after the other: the code
    of neither is out of the processor's cache when it is wanted again.
    """
    batch: list[Member] = []
    size = start = 0
    for member in members:
        small = member.is_small
        ahead = size + member.size
        spans = member.offset + member.span - start
        if batch and not (
            small and len(batch) < _TOGETHER and ahead <= _TOGETHER_BYTES and spans <= _ONE_PIECE
        ):
            yield batch
            batch = []
        if not small:
            yield [member]
            continue
        if not batch:
            size, start = 0, member.offset
        batch.append(member)
        size += member.size
    if batch:
        yield batch


def _lzma_errors() -> tuple[type[Exception], ...]:
    try:
        from lzma import LZMAError
    except ImportError:  # some Pythons are built without
        return ()
    return (LZMAError,)


def _cut_short(member: Member) -> BadArchive:
    return BadArchive(f"{member.name} is cut short")


def _cannot_decompress(member: Member, exc: Exception) -> BadArchive:
    return BadArchive(f"{member.name} cannot be decompressed ({exc})")


def _check_size(member: Member, actual: int) -> None:
    if actual > member.size:
        raise BadArchive(f"{member.name} is larger than it states ({member.size} bytes)")
    if actual != member.size:
        raise BadArchive(f"{member.name} has {actual} bytes, and states {member.size}")


def _read_ordinary(file: BinaryIO, size: int) -> tuple[Member, ...] | None:
    """The directory of an archive of which there is only one reading; ``None`` for any other.

    The directory stands right before its end record, which ends the file; nothing is zip64, no
    entry has extra fields or lies on another disk.
    """
    start = max(0, size - _END.size)
    file.seek(start)
    end = file.read(_END.size)
    if len(end) != _END.size:
        return None
    signature, disk, first_disk, here, count, length, offset, comment = _END.unpack(end)
    if signature != _END_SIGNATURE or disk or first_disk or here != count or comment:
        return None
    if count == _ZIP64_COUNT or offset + length != start:
        return None
    file.seek(offset)
    directory = file.read(length)
    if directory[-_ZIP64_SIZE:].startswith(_ZIP64_SIGNATURE):
        return None
    found = _read_entries(directory, count)
    if found is None:
        return None
    found.sort(key=itemgetter(-1))
    ends = [entry[-1] for entry in found[1:]] + [offset]
    new = tuple.__new__  # half of what Member._make takes
    return tuple(
        [new(Member, (*entry, end - entry[-1])) for entry, end in zip(found, ends, strict=True)]
    )


_Entry = tuple[str, bytes, int, int, int, int, int, int, int]


def _read_entries(directory: bytes, count: int) -> list[_Entry] | None:
    """The fields of so many members but for the span; ``None`` where an entry is out of order."""
    found: list[_Entry] = []
    position = 0
    for _ in range(count):
        if position + _ENTRY.size > len(directory):
            return None
        (
            signature, _, _, needed, flags, method, crc, compressed, size,
            name_length, extra_length, comment_length, disk, attributes, offset,
        ) = _ENTRY.unpack_from(directory, position)  # fmt: skip
        if signature != _ENTRY_SIGNATURE or extra_length or comment_length or disk:
            return None
        if needed > _NEWEST_VERSION or _ZIP64_BYTES in (compressed, size, offset):
            return None
        position += _ENTRY.size + name_length
        raw_name = directory[position - name_length : position]
        try:
            if raw_name.isascii():  # cp437 is slow
                name = raw_name.decode()
            else:
                name = raw_name.decode("utf-8" if flags & _UTF8 else "cp437")
        except UnicodeDecodeError:
            return None
        found.append(
            (name, raw_name, size, compressed, crc, method, flags, attributes >> 16, offset)
        )
    return found if position == len(directory) else None


def read_head(take: Callable[[int], bytes], offset: int) -> Member | None:
    """The member whose local header stands next, at that place of the archive, as far as the
    header tells; ``None`` where it does not tell all that is needed to read the data, or stands
    for something that is refused, or is none.

    ``take`` returns the next so many bytes, or fewer at the end.
    """
    header = take(_LOCAL_FIELDS.size)
    if len(header) != _LOCAL_FIELDS.size:
        return None
    fields = _LOCAL_FIELDS.unpack(header)
    signature, flags, method, crc, compressed, size, name_length, extra_length = fields
    if signature != _LOCAL_SIGNATURE or flags & _SIZES_FOLLOW:
        return None
    if method not in (_STORED, _DEFLATED) or _ZIP64_BYTES in (compressed, size):
        return None
    names = take(name_length + extra_length)
    if len(names) != name_length + extra_length:
        return None
    raw_name = names[:name_length]
    name = raw_name.decode("utf-8", "replace")
    span = len(header) + len(names) + compressed
    member = Member(name, raw_name, size, compressed, crc, method, flags, 0, offset, span)
    return None if member.problem else member


def _data_start(member: Member, buffer: bytes, at: int = 0) -> int:
    """Where the data begins, counted from the local header, which is at that place of the buffer;
    checks that the two headers agree.
    """
    _, raw_name, _, compressed, _, _, _, _, _, span = member
    try:
        signature, name_length, extra_length = _LOCAL.unpack_from(buffer, at)
    except struct.error:
        raise _cut_short(member) from None
    if signature != _LOCAL_SIGNATURE:
        raise BadArchive(f"{member.name} is not where the directory says")
    name = at + _LOCAL_HEADER_SIZE
    if name_length != len(raw_name) or not buffer.startswith(raw_name, name):
        raise BadArchive(f"{member.name} has another name in front of its data")
    start: int = _LOCAL_HEADER_SIZE + name_length + extra_length
    if start + compressed > span:
        raise BadArchive(f"{member.name} shares bytes with what follows it")
    return start
