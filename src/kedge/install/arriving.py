"""A wheel's archive while it arrives: its large members are inflated at once, and not stored twice.

A wheel of hundreds of megabytes is mostly a few libraries. Each is inflated from the bytes as they
come, into a file of its own, in a thread beside the download; the archive is left with a hole in
its place. What remains to be done when the last byte is there is little, and the disk has to take
each byte once.

Nothing that is made here counts before the archive's digest was checked: the caller asks for it
then, and :mod:`kedge.install.unpack` holds each file to what the directory and RECORD say of it.
Until then it is rubbish in a folder that goes with the run, of no more bytes than an archive that
nobody has checked may grow to. No name of the archive becomes a path here.

Where the head of a member does not say all (sizes that come after the data, or need 64 bits), and
from there on, the archive is stored as it is.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import Queue
from typing import BinaryIO, NamedTuple

from kedge.cache.atomic import NEW_FILE, write_all
from kedge.inflate import inflater
from kedge.install.archive import BadArchive, Member, growth_limit, inflated, read_head

#: Pieces of the archive that have arrived and wait, at most; each is as large as the download's.
_WAITING = 4


class Ahead(NamedTuple):
    """A hole in the archive: what lay there, as its head states it; nothing but what JSON can hold.

    ``offset`` and ``span`` (head and data, in bytes) are in the archive, ``raw_name`` is in
    hexadecimal; ``path`` is the file with the contents, ``sha256`` their digest, which is empty
    where the data did not make what the head states.
    """

    offset: int
    span: int
    raw_name: str
    method: int
    compressed: int
    size: int
    path: str
    sha256: str

    def is_of(self, member: Member) -> bool:
        """Whether this is what the directory says lies there, and no other shares bytes with it."""
        if not self.sha256 or self.offset != member.offset or self.span > member.span:
            return False
        stated = (member.raw_name.hex(), member.method, member.compressed, member.size)
        return (self.raw_name, self.method, self.compressed, self.size) == stated


class Arriving:
    """Takes the bytes of one download in their order (:class:`kedge.transport.Receiver`).

    The files beside the archive's are ``prefix`` and a number. ``size`` is the archive's, in
    bytes. ``ahead`` is complete once :meth:`finish` has returned.
    """

    def __init__(self, prefix: Path, size: int) -> None:
        self._prefix = prefix
        self._size = size
        self.ahead: list[Ahead] = []
        self._made: list[str] = []
        self._pieces: Queue[bytes | None] = Queue(_WAITING)
        self._file: BinaryIO
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._in_vain = False

    def begin(self, file: BinaryIO, /) -> None:
        """The archive's file, which is empty."""
        self._file = file

    def write(self, data: bytes, /) -> None:
        """Take the next bytes; :class:`OSError` for any before that could not be written."""
        if self._error is not None:
            raise self._error
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="kedge-inflate", daemon=True)
            thread.start()
            self._thread = thread
        self._pieces.put(data)

    def finish(self) -> None:
        """Wait until all of it is written; :class:`OSError` where it could not be."""
        self._end()
        if self._error is not None:
            raise self._error

    def restart(self) -> None:
        """Forget all that came; the next bytes are the first."""
        self.close()
        self._error = None
        self.discard()
        self.ahead.clear()
        self._file.seek(0)
        self._file.truncate()

    def close(self) -> None:
        """No more bytes come; without :meth:`finish`, all was in vain."""
        self._in_vain = True
        self._end()
        self._in_vain = False

    def _end(self) -> None:
        if self._thread is not None:
            self._pieces.put(None)
            self._thread.join()
            self._thread = None

    def discard(self) -> None:
        """Remove what was made of the archive beside the archive."""
        for path in self._made:
            with suppress(OSError):
                os.unlink(path)

    def _run(self) -> None:
        stream = _Stream(self._pieces, self._file)
        try:
            self._follow(stream)
            stream.keep_rest()
        except BaseException as exc:  # raised where the bytes come from
            self._error = exc
        finally:
            stream.ignore_rest()

    def _follow(self, stream: _Stream) -> None:
        left = growth_limit(self._size, checked=False)
        while (member := read_head(stream.take, stream.position)) is not None:
            left -= member.size
            if left < 0:
                return
            if member.is_small or b".dist-info/" in member.raw_name:
                stream.keep(member.compressed)
            else:
                self._inflate(member, stream)

    def _inflate(self, member: Member, stream: _Stream) -> None:
        """Its data goes to a file of its own, or nowhere if it cannot be inflated."""
        path = f"{self._prefix}-{len(self._made)}"
        data = stream.pass_over(member.compressed)
        digest = self._inflate_into(path, member, data)
        for _ in data:
            pass
        self.ahead.append(
            Ahead(
                offset=member.offset,
                span=member.span,
                raw_name=member.raw_name.hex(),
                method=member.method,
                compressed=member.compressed,
                size=member.size,
                path=path,
                sha256=digest,
            )
        )

    def _inflate_into(self, path: str, member: Member, data: Iterator[memoryview]) -> str:
        """The digest of what the data makes; empty where that is not what the member states."""
        _, begin, error = inflater(self._size)
        sha256 = hashlib.sha256()
        self._made.append(path)
        descriptor = os.open(path, NEW_FILE, 0o666)
        try:
            for piece in inflated(member, data, begin, error):
                if self._in_vain:
                    return ""
                write_all(descriptor, piece)
                sha256.update(piece)
        except BadArchive:
            os.ftruncate(descriptor, 0)
            return ""
        finally:
            os.close(descriptor)
        return sha256.hexdigest()


class _Stream:
    """The bytes of the archive, of which those that are kept go to its file, at their place."""

    def __init__(self, pieces: Queue[bytes | None], file: BinaryIO) -> None:
        self._pieces = pieces
        self._file = file
        self._piece = b""
        self._at = 0  # in the piece: what comes next
        self._stored = 0  # in the piece: what is not yet decided about
        self._ended = False
        self.position = 0

    def take(self, length: int) -> bytes:
        """The next so many bytes, which are kept; fewer only at the end."""
        taken = b""
        while len(taken) < length and self._is_there():
            taken += self._advance(length - len(taken))
        return taken

    def keep(self, length: int) -> None:
        """Keep the next so many bytes."""
        while length and self._is_there():
            length -= len(self._advance(length))

    def keep_rest(self) -> None:
        """Keep all that comes."""
        while self._is_there():
            self._advance(len(self._piece))

    def pass_over(self, length: int) -> Iterator[memoryview]:
        """The next so many bytes, which are not kept: a hole in the file."""
        self._store()
        self._file.seek(length, os.SEEK_CUR)
        while length and self._is_there():
            piece = self._advance(length)
            self._stored = self._at
            length -= len(piece)
            yield piece

    def ignore_rest(self) -> None:
        """Wait for the end, so that nobody waits to bring something."""
        while not self._ended:
            self._ended = self._pieces.get() is None

    def _is_there(self) -> bool:
        """Whether another byte comes; waits for it."""
        while self._at == len(self._piece) and not self._ended:
            self._store()
            piece = self._pieces.get()
            self._ended = piece is None
            self._piece, self._at, self._stored = piece or b"", 0, 0
        return not self._ended

    def _advance(self, length: int) -> memoryview:
        """The next bytes that are there, at most so many."""
        view = memoryview(self._piece)[self._at : self._at + length]
        self._at += len(view)
        self.position += len(view)
        return view

    def _store(self) -> None:
        """Write what was kept of the piece."""
        view = memoryview(self._piece)[self._stored : self._at]
        self._stored = self._at
        write_all(self._file.fileno(), view)
