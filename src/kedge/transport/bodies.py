"""A page's body in memory: decompressed, whole, and within a limit.

Not by urllib3: there a gzip stream that ends too early passes for a shorter page, and what a small
chunk unpacks to was bounded only in 2.6. Here the checksum at the end of the stream is insisted
on, and no more than the limit is ever unpacked.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from kedge.errors import TransportError
from kedge.inflate import Inflater, Inflating, inflater
from kedge.model import redact_url, whole_number
from kedge.transport.exchange import Answer
from kedge.transport.failures import cut_short

ACCEPT_ENCODING = "gzip, deflate"
_CHUNK = 64 * 1024
#: zlib or gzip, told apart by their headers.
_EITHER = zlib.MAX_WBITS | 32
#: Some servers send ``deflate`` without zlib's header (RFC 9110, section 8.4.1.2, note).
_BARE = -zlib.MAX_WBITS


def read_body(answer: Answer, limit: int) -> bytes:
    """All of it, at most ``limit`` bytes; :class:`~kedge.errors.TransportError` beyond."""
    stated = content_length(answer)
    if stated is not None and stated > limit:
        raise _too_large(answer, limit)
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return _plain(answer, stated, limit)
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise _unreadable(answer, f"it is encoded as {encoding}, which was not asked for")
    if answer.status == 304:
        return b""
    inflate = inflater(stated or _CHUNK)
    try:
        return _collect(_unpacked(answer.chunks(_CHUNK), limit, inflate), answer, limit)
    except (inflate.error, EOFError) as exc:
        raise _unreadable(answer, "it is damaged") from exc


def _plain(answer: Answer, stated: int | None, limit: int) -> bytes:
    if stated is None:
        body = _collect(answer.chunks(_CHUNK), answer, limit)
        if not body and lacks_end(answer):
            raise cut_short(answer.call)
        return body
    with answer.reading():
        return answer.raw.read(decode_content=False)


def _collect(pieces: Iterable[bytes], answer: Answer, limit: int) -> bytes:
    collected: list[bytes] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise _too_large(answer, limit)
        collected.append(piece)
    return b"".join(collected)


def _unpacked(chunks: Iterator[bytes], limit: int, inflate: Inflater) -> Iterator[bytes]:
    """The contents of one or several members; ``EOFError`` when the last one does not end."""
    data = next(chunks, b"")
    if not data:
        return
    unpacker = _unpacker(data, inflate)
    while True:
        # One byte more than the limit is enough to know that it is exceeded.
        yield unpacker.decompress(data, limit + 1)
        data = unpacker.unconsumed_tail
        if not data and unpacker.eof:
            data = unpacker.unused_data or next(chunks, b"")
            if not data:
                return
            unpacker = _unpacker(data, inflate)
        elif not data:
            data = next(chunks, b"")
            if not data:
                raise EOFError


def _unpacker(data: bytes, inflate: Inflater) -> Inflating:
    try:
        inflate.begin(_EITHER).decompress(data[:2], 1)
    except inflate.error:
        return inflate.begin(_BARE)
    return inflate.begin(_EITHER)


def content_length(answer: Answer) -> int | None:
    """The size of the body as it is sent, where the server states it."""
    return whole_number(answer.headers.get("Content-Length", ""))


def lacks_end(answer: Answer) -> bool:
    """Whether nothing but the end of the connection ends this body."""
    ended = "Transfer-Encoding" in answer.headers or content_length(answer) is not None
    return not ended and answer.status not in (204, 304)


def _too_large(answer: Answer, limit: int) -> TransportError:
    return TransportError(
        f"The answer of {redact_url(answer.url)} is larger than {limit} bytes.", url=answer.url
    )


def _unreadable(answer: Answer, why: str) -> TransportError:
    return TransportError(
        f"The answer of {redact_url(answer.url)} cannot be decompressed: {why}.", url=answer.url
    )
