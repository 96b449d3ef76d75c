"""A file from a URL onto the disk: streamed, checked while it arrives, resumed where it broke.

The bytes go to a file of their own beside the destination, which takes its name only when they
are complete and match; whatever happens before leaves the destination as it was. Memory is
bounded by one chunk, and what a receiver keeps. Knows nothing of what is in the file.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from kedge.classes import field, mutable
from kedge.errors import (
    HashMismatchError,
    HttpStatusError,
    IncompleteDownloadError,
    KedgeError,
    TransportError,
)
from kedge.model import Hashes, redact_url
from kedge.transport.bodies import content_length, lacks_end
from kedge.transport.exchange import Answer, Exchanger
from kedge.transport.failures import cut_short
from kedge.transport.options import Download, Receiver, TransportReporter

if TYPE_CHECKING:
    from hashlib import _Hash

#: Bytes that are waited for at once: so often progress is told.
CHUNK = 256 * 1024
#: Of a large file, while so many come in so many seconds: each piece costs a turn of the threads.
_LARGE_CHUNK = 2 * 1024 * 1024
_SOON = 0.1
_LARGE = 64 * _LARGE_CHUNK
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")


def download(
    exchanger: Exchanger,
    url: str,
    destination: Path,
    *,
    hashes: Hashes,
    size: int | None,
    name: str,
    receiver: Receiver | None = None,
) -> Download:
    """Fetch ``url`` to ``destination``; see :meth:`kedge.transport.session.Session.download`."""
    # Of a long name only the beginning: file systems allow 255 bytes.
    part = destination.with_name(f"{destination.name[:200]}.{secrets.token_hex(4)}.part")
    transfer = None
    try:
        with _create(part) as file, contextlib.closing(receiver or _Whole()) as received:
            received.begin(file)
            transfer = _Transfer(exchanger, url, received, part, hashes, size, name)
            digests = transfer.run()
            with _disk(part):
                received.finish()
        with _disk(destination):
            part.replace(destination)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        if transfer is not None and transfer.announced:
            exchanger.reporter.download_finished(name)
    return Download(destination, transfer.done, digests["sha256"], digests, transfer.verified)


def _create(part: Path) -> BinaryIO:
    # Not tempfile's 0600: the file keeps this mode under its final name, so the umask decides.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with _disk(part):
        return os.fdopen(os.open(part, flags, 0o666), "wb", buffering=0)


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    """What the file system refuses, in a sentence."""
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            raise KedgeError(
                f"There is no space left to write {path}.",
                hint="Make room there, or choose another folder: with --cache-dir where that is "
                "the cache, with TMPDIR where it is a temporary one.",
            ) from exc
        raise KedgeError(f"Cannot write {path}: {exc.strerror or exc}.") from exc


class _Whole:
    """The file as it comes (:class:`~kedge.transport.options.Receiver`)."""

    def begin(self, file: BinaryIO, /) -> None:
        self._file = file

    def write(self, data: bytes, /) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()

    def finish(self) -> None:
        """It is complete already."""

    def close(self) -> None:
        """Whoever opened the file closes it."""


@mutable
class _Transfer:
    """The state of one download over all its attempts."""

    exchanger: Exchanger
    url: str
    receiver: Receiver
    part: Path
    hashes: Hashes
    size: int | None
    name: str
    done: int = 0
    furthest: int = 0
    verified: bool = True
    validator: str | None = None
    total: int | None = None
    announced: bool = False
    digests: dict[str, _Hash] = field(default_factory=dict)

    @property
    def reporter(self) -> TransportReporter:
        return self.exchanger.reporter

    def run(self) -> dict[str, str]:
        """Fetch until the digests match. A mismatch is tried again once, from the start: bytes
        do get damaged on the way; a file that was swapped fails the same way again."""
        for last in (False, True):
            self._restart()
            self.exchanger.persist(self._attempt, self.url, progress=lambda: self.furthest)
            actual = {name: digest.hexdigest() for name, digest in self.digests.items()}
            if not self.hashes or self.hashes.allow(actual):
                return actual
            if last:
                raise self._mismatch(actual)
            self.reporter.retrying(redact_url(self.url), "its hash does not match", 0.0)
        raise AssertionError("unreachable")

    def _mismatch(self, actual: dict[str, str]) -> HashMismatchError:
        wanted = sorted(self.hashes.algorithms())
        got = [(name, actual[name]) for name in wanted if name in actual]
        return HashMismatchError(
            f"{redact_url(self.url)} is not the file that was expected: its "
            f"{'/'.join(wanted)} is {', '.join(digest for _, digest in got) or 'unknown'}.",
            location=redact_url(self.url),
            expected=list(self.hashes),
            actual=got,
            hint="Either the file was replaced after its hash was recorded, or someone tampers "
            "with it on the way.",
        )

    def _restart(self) -> None:
        """Forget what has arrived."""
        if self.done:
            with _disk(self.part):
                self.receiver.restart()
        self.done = 0
        self.validator = None
        self.total = self.size
        self.digests = _new_digests(self.hashes)

    def _attempt(self) -> None:
        """One request: the whole file, or what is missing of it."""
        headers = {"Accept-Encoding": "identity"}
        # Without a validator only a hash can tell that both halves are of one file.
        if self.done and (self.validator or self.hashes):
            headers["Range"] = f"bytes={self.done}-"
            if self.validator:
                headers["If-Range"] = self.validator
        elif self.done:
            self._restart()
        try:
            answer = self.exchanger.open(self.url, headers)
        except HttpStatusError as exc:
            if exc.status == 416 and self.done:
                self._restart()
                raise IncompleteDownloadError(
                    f"{redact_url(self.url)} could not be resumed.", url=self.url
                ) from exc
            raise
        with answer:
            self._receive(answer)

    def _receive(self, answer: Answer) -> None:
        self._place(answer)
        self.verified = self.verified and answer.verified
        if not self.announced:
            self.announced = True
            self.reporter.download_started(self.name, self.total)
        for chunk in self._chunks(answer):
            self._write(chunk)
        if not self.done and self.total is None and lacks_end(answer):
            raise cut_short(answer.call)
        if self.total is not None and self.done < self.total:
            raise IncompleteDownloadError(
                f"{redact_url(self.url)} ended after {self.done} of {self.total} bytes.",
                url=self.url,
            )

    def _chunks(self, answer: Answer) -> Iterator[bytes]:
        """The body in pieces that come soon enough for a reader of progress."""
        largest = _LARGE_CHUNK if (self.total or 0) >= _LARGE else CHUNK
        size = CHUNK
        while True:
            began = time.monotonic()
            chunk = answer.chunk(size)
            if not chunk:
                return
            took = time.monotonic() - began
            size = largest if took * largest <= _SOON * len(chunk) else CHUNK
            yield chunk

    def _place(self, answer: Answer) -> None:
        """Decide from the head of the answer where its bytes go."""
        validator = strong_validator(answer)
        if answer.status == 206:
            first, _, total = content_range(answer)
            same = validator == self.validator and (
                None in (total, self.total) or total == self.total
            )
            if self.done and first == self.done and same:
                self._agree(total)
                return
            self._restart()
            raise IncompleteDownloadError(
                f"{redact_url(self.url)} changed while it was fetched.", url=self.url
            )
        if answer.status != 200:
            raise TransportError(
                f"{redact_url(self.url)} answered {answer.status} without a file.", url=self.url
            )
        if self.done:
            self._restart()
        self.validator = validator
        self._agree(content_length(answer))

    def _agree(self, total: int | None) -> None:
        """Compare the server's size with the one the index states."""
        if total is None:
            return
        if self.size is not None and total != self.size:
            raise self._wrong_size(total)
        self.total = total

    def _wrong_size(self, actual: int) -> TransportError:
        return TransportError(
            f"{redact_url(self.url)} has {actual} bytes or more, and the index states {self.size}.",
            url=self.url,
        )

    def _write(self, chunk: bytes) -> None:
        self.done += len(chunk)
        if self.size is not None and self.done > self.size:
            raise self._wrong_size(self.done)
        with _disk(self.part):
            self.receiver.write(chunk)
        for digest in self.digests.values():
            digest.update(chunk)
        self.furthest = max(self.furthest, self.done)
        self.reporter.download_advanced(self.name, self.done)


def _new_digests(hashes: Hashes) -> dict[str, _Hash]:
    """SHA-256 always, and whatever the allowed hashes need."""
    wanted = {"sha256"} | (hashes.algorithms() & hashlib.algorithms_available)
    digests = {
        name: hashlib.new(name, usedforsecurity=False)
        for name in sorted(wanted)
        if not name.startswith("shake")
    }
    if hashes and not hashes.algorithms() & digests.keys():
        raise KedgeError(
            "None of these hash algorithms is known here: "
            f"{', '.join(sorted(hashes.algorithms()))}."
        )
    return digests


def strong_validator(answer: Answer) -> str | None:
    """What ``If-Range`` may carry (RFC 9110, section 13.1.5): a strong ETag, else the date."""
    etag = answer.headers.get("ETag", "")
    if etag.startswith('"'):
        return etag
    return None if etag else answer.headers.get("Last-Modified")


def content_range(answer: Answer) -> tuple[int, int, int | None]:
    """First and last position (both included) and total size of a 206 answer; -1 where absent."""
    match = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    if match is None:
        return -1, -1, None
    return int(match[1]), int(match[2]), None if match[3] == "*" else int(match[3])
