"""Heads of answers: whatever a server writes, http.client's own reading of it is the measure."""

from __future__ import annotations

import http.client
import socket
from typing import Any

import pytest

from kedge.transport.heads import QuickResponse

_OK = b"HTTP/1.1 200 OK\r\n"

#: What servers write: read by the expression.
PLAIN = {
    "sized": _OK + b"Content-Type: text/html\r\nContent-Length: 5\r\n\r\nhello, and more",
    "chunked": _OK + b"Transfer-Encoding: Chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "chunked and sized": _OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "closes": _OK + b"Connection: TE, Close\r\nContent-Length: 2\r\n\r\nab",
    "kept": _OK + b"connection: keep-alive\r\ncontent-length: 2\r\n\r\nabc",
    "until the end": _OK + b"Server: x\r\n\r\nhello",
    "no headers": _OK + b"\r\nhello",
    "no reason": b"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n",
    "empty reason": b"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n",
    "reason of blanks": b"HTTP/1.1 404   Not  Found  \r\nContent-Length: 0\r\n\r\n",
    "not modified": b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 9\r\n\r\n',
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "twice": _OK + b"Content-Length: 3\r\ncontent-length: 4\r\nX: 1\r\nX: 2\r\n\r\nabcdef",
    "odd sizes": _OK + b"Content-Length: 3, 3\r\n\r\nabc",
    "negative size": _OK + b"Content-Length: -3\r\n\r\nabc",
    "size with an underscore": _OK + b"Content-Length: 1_0\r\n\r\n0123456789ab",
    "blanks around": _OK + b"A: \t b c \t\r\nB:\r\nC:d\r\nContent-Length:\t2\t\r\n\r\nab",
    "several parts": _OK
    + b"Content-Type: multipart/mixed; boundary=x\r\nContent-Length: 0\r\n\r\n",
    "a message": _OK + b"Content-Type: message/rfc822\r\nContent-Length: 2\r\n\r\nab",
    "99 lines": _OK + b"".join(b"X-%d: y\r\n" % n for n in range(99)) + b"\r\n",
}

#: Left to http.client, whatever it makes of them.
OTHER = {
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
    "HTTP/1.0 kept": b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\na",
    "HTTP/2": b"HTTP/2 200 OK\r\n\r\n",
    "100 first": b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\n" + _OK + b"Content-Length: 1\r\n\r\na",
    "103": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + _OK + b"\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "status of six": b"HTTP/1.1 600 No\r\n\r\n",
    "no status": b"hello\r\n\r\n",
    "folded": _OK + b"A: b\r\n c\r\nContent-Length: 1\r\n\r\na",
    "folded at once": _OK + b" c\r\nContent-Length: 1\r\n\r\na",
    "line feeds alone": b"HTTP/1.1 200 OK\nContent-Length: 1\n\na",
    "a line feed inside": _OK + b"A: b\nContent-Length: 1\r\n\r\na",
    "a carriage return inside": _OK + b"A: b\rContent-Length: 1\r\n\r\na",
    "no colon": _OK + b"A\r\nContent-Length: 1\r\n\r\na",
    "no name": _OK + b": b\r\nContent-Length: 1\r\n\r\na",
    "blank before the colon": _OK + b"Content-Length : 1\r\n\r\na",
    "from": _OK + b"From here\r\nContent-Length: 1\r\n\r\na",
    "umlaut": _OK + "A: ü\r\nContent-Length: 1\r\n\r\na".encode("latin-1"),
    "next line": _OK + b"A: b\x85c\r\nContent-Length: 1\r\n\r\na",
    "separator": _OK + b"A: b\x1cc: d\r\nContent-Length: 1\r\n\r\na",
    "form feed": _OK + b"A: b\x0cContent-Length: 2\r\nContent-Length: 1\r\n\r\na",
    "null": _OK + b"A: b\x00\r\n\r\n",
    "100 lines": _OK + b"".join(b"X-%d: y\r\n" % n for n in range(100)) + b"\r\n",
    "larger than the buffer": _OK + b"A: " + b"x" * 9000 + b"\r\nContent-Length: 1\r\n\r\na",
    "too long a line": _OK + b"A: " + b"x" * 70000 + b"\r\n\r\n",
    "cut": _OK + b"Content-Length: 1\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("sent", [pytest.param(s, id=name) for name, s in (PLAIN | OTHER).items()])
def test_every_head_is_what_http_client_makes_of_it(sent: bytes, method: str) -> None:
    assert _read(QuickResponse, sent, method) == _read(http.client.HTTPResponse, sent, method)


@pytest.mark.parametrize("sent", [pytest.param(s, id=name) for name, s in PLAIN.items()])
def test_what_servers_write_needs_no_parser_of_mail(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http.client, "parse_headers", None)
    assert isinstance(_read(QuickResponse, sent, "GET"), dict)


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_head_that_comes_in_two_pieces_is_read_whole(cut: int) -> None:
    sent = PLAIN["sized"]
    assert _read(QuickResponse, sent, "GET", cut) == _read(http.client.HTTPResponse, sent, "GET")


def test_an_answer_is_read_straight_from_its_connection_and_closes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket.SocketIO, "readinto", None)
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.settimeout(10)
        theirs.sendall(PLAIN["closes"])
        answer = QuickResponse(ours, method="GET")
        answer.begin()
        ours.close()  # as http.client does it: the answer alone has the connection now
        assert answer.read() == b"ab"
        assert theirs.recv(1) == b""


def _read(kind: type[http.client.HTTPResponse], sent: bytes, method: str, cut: int = 0) -> Any:
    """All that can be seen of the answer, with what is left behind it; or how it failed."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        theirs.sendall(sent[: cut or None])
        answer = kind(ours, method=method)
        if not cut:
            theirs.shutdown(socket.SHUT_WR)
        try:
            if cut:
                answer.fp.peek()  # the first piece has arrived, and nothing else
                theirs.sendall(sent[cut:])
                theirs.shutdown(socket.SHUT_WR)
            answer.begin()
        except http.client.HTTPException as exc:
            return type(exc), str(exc)
        buffer = answer.fp
        seen = {name: getattr(answer, name) for name in _SEEN}
        seen["headers"] = answer.msg.items()
        seen["X"] = answer.msg.get_all("x")
        seen["getheader"] = answer.getheader("Content-Length")
        seen["same"] = answer.msg is answer.headers
        seen["rest"] = buffer.read()
        return seen


_SEEN = ("version", "status", "code", "reason", "chunked", "length", "will_close", "debuglevel")
