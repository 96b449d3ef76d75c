"""The head of an answer, taken in one piece where it is written as servers write it.

http.client reads header lines with :mod:`email.parser`, which is made for mail: it knows folded
lines, bodies in parts, and what to do with defects. That is a fifth of what a small request costs.
Here one expression knows a status line and plain header lines, and no more. Of a head that it does
not know, in one byte, or that has not arrived in one piece, nothing is taken, and http.client reads
it as ever: what is refused, and what becomes of something odd, does not depend on this.
"""

from __future__ import annotations

import http.client
import re
import socket
from http import HTTPStatus
from typing import Any

#: Lines that http.client takes at most, with the empty one at the end.
_LINES = 100

#: HTTP/1.1 and a final status; no folded line, no whitespace before a colon, and of all octets only
#: visible ASCII, blanks and tabs (RFC 9112, sections 4 and 5).
_HEAD = re.compile(
    rb"HTTP/1\.1 (?P<status>[2-5][0-9]{2})(?: (?P<reason>[ -~]*))?\r\n"
    rb"(?P<fields>(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~]*\r\n)*)\r\n"
)


class _PlainMessage(http.client.HTTPMessage):
    def items(self) -> Any:
        return list(self.raw_items())  # email looks into each value for what is no ASCII


class QuickResponse(http.client.HTTPResponse):
    """http.client's answer, in the state in which its own ``begin`` would have left it."""

    _method: str | None  # what was asked with; ``__init__`` sets it, and ``begin`` needs it

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        # TLS comes 16 KiB at a time. What else would pass each on asks itself before whether it is
        # open and readable, which the buffer above it knows.
        setattr(self.fp.raw, "readinto", sock.recv_into)  # noqa: B010

    def begin(self) -> None:
        started = getattr(self, "headers", None) is not None or self.debuglevel > 0
        head = None if started else _HEAD.match(self.fp.peek())
        lines = [] if head is None else head["fields"].decode().split("\r\n")
        if head is None or len(lines) > _LINES:
            super().begin()
            return
        self.fp.read(head.end())
        self.version = 11
        self.code = self.status = int(head["status"])
        self.reason = (head["reason"] or b"").decode().strip()
        self.headers = self.msg = _message(lines[:-1])
        self._find_end()

    def _find_end(self) -> None:
        """How long the body is, and whether the connection ends with it (RFC 9112, section 6)."""
        self.chunked = (self.headers.get("Transfer-Encoding") or "").lower() == "chunked"
        if self.chunked:
            self.chunk_left = None
        self.length = None if self.chunked else _length(self.headers.get("Content-Length"))
        if self._method == "HEAD" or self.status in (
            HTTPStatus.NO_CONTENT,
            HTTPStatus.NOT_MODIFIED,
        ):
            self.length = 0
        closes = "close" in (self.headers.get("Connection") or "").lower()
        self.will_close = closes or (not self.chunked and self.length is None)


def _message(lines: list[str]) -> http.client.HTTPMessage:
    message = _PlainMessage()
    for line in lines:
        name, _, value = line.partition(":")
        message.set_raw(name, value.lstrip(" \t"))
    message.set_payload("")  # as the parser leaves it
    return message


def _length(value: str | None) -> int | None:
    try:
        length = int(value or "")
    except ValueError:
        return None
    return length if length >= 0 else None
