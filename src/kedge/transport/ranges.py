"""A file on a server, read here and there: what a wheel's metadata needs without the wheel.

``zipfile`` reads the end of the archive, its directory, and one member. The first request
fetches a tail that holds all three for most wheels; what is missing comes in large steps. A server
that does not serve ranges, or serves a file that changes meanwhile, ends in
:class:`~kedge.errors.RangesUnsupportedError`: the caller then fetches all of it.
"""

from __future__ import annotations

import bisect
import io
from typing import TYPE_CHECKING

from kedge.errors import HttpStatusError, RangesUnsupportedError
from kedge.model import redact_url
from kedge.transport.downloads import content_range, strong_validator
from kedge.transport.exchange import Answer, Exchanger

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

#: The tail: directory and ``.dist-info`` (wheels put it last) of all but the largest wheels.
TAIL = 64 * 1024
#: The least that a further request asks for.
STEP = 32 * 1024
#: How servers that know ranges, but not ``bytes=-N``, answer it.
_NO_SUFFIX = frozenset({400, 405, 416, 501})


class RangedFile(io.BufferedIOBase):
    """A seekable, read-only binary file over HTTP ranges. For one thread.

    ``size`` is in bytes; ``requests`` counts the requests made; ``verified`` is true while every
    one of them came over a verified connection.
    """

    def __init__(self, exchanger: Exchanger, url: str, *, size: int | None = None) -> None:
        self.url = url
        self.requests = 0
        self.verified = True
        self.size = size or 0
        self._exchanger = exchanger
        self._position = 0
        self._validator: str | None = None
        self._starts: list[int] = []
        self._blocks: list[bytes] = []
        if size:
            self._fetch(max(0, size - TAIL), size)
        else:
            self._fetch_tail()

    # ---- the file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("negative seek position")
        self._position = base + offset
        return self._position

    def read(self, count: int | None = -1, /) -> bytes:
        start = min(self._position, self.size)
        stop = self.size if count is None or count < 0 else min(start + count, self.size)
        data = self._bytes(start, stop)
        self._position += len(data)
        return data

    def read1(self, count: int = -1, /) -> bytes:
        return self.read(count)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def write(self, data: ReadableBuffer, /) -> int:
        raise io.UnsupportedOperation("not writable")

    # ---- what was fetched: disjoint blocks, in order

    def _bytes(self, start: int, stop: int) -> bytes:
        pieces: list[bytes] = []
        while start < stop:
            piece = self._held(start, stop)
            if not piece:
                self._fetch(start, self._until(start, stop))
                continue
            pieces.append(piece)
            start += len(piece)
        return b"".join(pieces)

    def _held(self, start: int, stop: int) -> bytes:
        """As much as is held in one block from ``start`` on."""
        index = bisect.bisect_right(self._starts, start) - 1
        if index < 0:
            return b""
        offset = start - self._starts[index]
        return self._blocks[index][offset : offset + stop - start]

    def _until(self, start: int, stop: int) -> int:
        """How far to fetch: a whole step, but not what is held already."""
        wanted = min(max(stop, start + STEP), self.size)
        index = bisect.bisect_right(self._starts, start)
        return min(wanted, self._starts[index]) if index < len(self._starts) else wanted

    def _keep(self, start: int, block: bytes) -> None:
        index = bisect.bisect_right(self._starts, start)
        self._starts.insert(index, start)
        self._blocks.insert(index, block)

    # ---- requests

    def _fetch_tail(self) -> None:
        """The end of a file of unknown size."""
        try:
            self._exchanger.persist(lambda: self._ask(f"bytes=-{TAIL}", None, None), self.url)
        except HttpStatusError as exc:
            if exc.status not in _NO_SUFFIX:
                raise
            self._fetch(0, 1)
            self._starts.clear()
            self._blocks.clear()
            self._fetch(max(0, self.size - TAIL), self.size)

    def _fetch(self, start: int, stop: int) -> None:
        try:
            self._exchanger.persist(
                lambda: self._ask(f"bytes={start}-{stop - 1}", start, stop), self.url
            )
        except HttpStatusError as exc:
            if exc.status not in _NO_SUFFIX:
                raise
            raise self._unsupported(f"it answered {exc.status}") from exc

    def _ask(self, value: str, start: int | None, stop: int | None) -> None:
        headers = {"Range": value, "Accept-Encoding": "identity"}
        if self._validator:
            headers["If-Range"] = self._validator
        self.requests += 1
        with self._exchanger.open(self.url, headers) as answer:
            first, last = self._check(answer, start, stop)
            wanted = last - first + 1
            with answer.reading():
                block = answer.raw.read(wanted + 1, decode_content=False)
            if len(block) != wanted:
                raise self._unsupported(f"it sent {len(block)} bytes for {wanted}")
        self.verified = self.verified and answer.verified
        self._keep(first, block)

    def _check(self, answer: Answer, start: int | None, stop: int | None) -> tuple[int, int]:
        """The positions that a 206 brings, where it can be believed."""
        if answer.status != 206:
            changed = self._validator is not None
            raise self._unsupported("it changed" if changed else "the server sends all of it")
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise self._unsupported("the server encodes it")
        first, last, total = content_range(answer)
        if total is None or not 0 <= first <= last < total:
            raise self._unsupported("the server does not say which part it sends")
        if self.size and total != self.size:
            raise self._unsupported(f"it has {total} bytes, not {self.size}")
        expected = (max(0, total - TAIL), total) if start is None or stop is None else (start, stop)
        if (first, last + 1) != expected:
            raise self._unsupported("the server sends another part than was asked for")
        validator = strong_validator(answer)
        if self._starts and validator != self._validator:
            raise self._unsupported("it changed")
        self._validator = validator
        self.size = total
        return first, last

    def _unsupported(self, why: str) -> RangesUnsupportedError:
        return RangesUnsupportedError(
            f"{redact_url(self.url)} cannot be read in parts: {why}.", url=self.url
        )
