"""HTTP/1.1 servers on loopback, with TLS or without, that keep a log and can be made to fail.

::

    with Server(tree({"/simple/": b"..."}), certificate=root.leaf("localhost")) as server:
        server.url                  # https://localhost:54321
        server.requests[0].headers["User-Agent"]
        server.handshakes           # also those that the client broke off, and how

A handler is a function from :class:`Request` to :class:`Response`, called on the connection's own
thread. Handlers wrap handlers: :func:`with_basic_auth`, :class:`Faults`.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import http.server
import re
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.message import Message
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from urllib.parse import SplitResult, unquote, urlsplit

from support.pki import Certificate, pem_file, server_context
from support.ports import listen

#: Seconds after which a connection is given up on which nothing happens: more than a test may take.
#: What ends it is the client, or the end of the server.
PATIENCE = 300


@dataclass(frozen=True)
class Request:
    """What a client asked. ``connection`` numbers the connections of one server from 1."""

    method: str
    target: str
    headers: Message
    body: bytes
    connection: int
    client_certificate: bytes | None = None

    @property
    def parts(self) -> SplitResult:
        return urlsplit(self.target)

    @property
    def path(self) -> str:
        """Decoded, without the query."""
        return unquote(self.parts.path)

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password of ``Authorization: Basic``."""
        return basic_credentials(self.headers["Authorization"])


@dataclass(frozen=True)
class Response:
    """What the server answers, and how it fails to.

    ``delay`` is waited out first (seconds, or until the server closes). ``cut_after`` closes the
    connection after that many bytes of a body whose full length was announced. ``hang_up`` closes
    it without a word. ``throttle`` bytes are sent per tenth of a second.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0
    cut_after: int | None = None
    hang_up: bool = False
    throttle: int | None = None
    chunked: bool = False


Handler = Callable[[Request], Response]
Fault = Callable[[Response], Response]


@dataclass(frozen=True)
class Handshake:
    """One TLS handshake: the name asked for, and why it failed (empty: it did not)."""

    server_name: str | None
    problem: str = ""


class Server:
    """Serves ``handler`` on a port of its own until closed. Without a certificate: plain HTTP.

    ``host`` is the name in :attr:`url`, and must be a loopback name; ``address`` is where to
    listen, by default what ``host`` says. With ``client_ca`` a client certificate is asked for,
    and refused unless that authority vouches for it; ``client_required`` insists on one.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        certificate: Certificate | None = None,
        host: str = "localhost",
        address: str | None = None,
        client_ca: Certificate | None = None,
        client_required: bool = False,
        maximum_tls: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
    ) -> None:
        self.handler = handler
        self.host = host
        self.requests: list[Request] = []
        self.handshakes: list[Handshake] = []
        self.connections = 0
        #: What went wrong inside a handler: a test with any is a broken test.
        self.failures: list[BaseException] = []
        self.context: ssl.SSLContext | None = None
        self._names: dict[ssl.SSLObject | ssl.SSLSocket, str | None] = {}
        if certificate is not None:
            self.context = server_context(certificate, maximum=maximum_tls)
            self.context.sni_callback = self._note_name
            if client_ca is not None:
                self.context.load_verify_locations(cadata=pem_file(client_ca).decode())
                self.context.verify_mode = (
                    ssl.CERT_REQUIRED if client_required else ssl.CERT_OPTIONAL
                )
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener, self._twin = listen(address or _address_of(host))
        #: Set when the server closes: what waits on it need not be waited for.
        self.closing = threading.Event()
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True, name=f"serve {self.url}")
        self._thread.start()

    @property
    def url(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        return f"{'https' if self.context else 'http'}://{self.hostport}"

    @property
    def hostport(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def paths(self) -> list[str]:
        """The paths asked for, in the order of their arrival."""
        return [request.path for request in self.requests]

    @property
    def asked(self) -> list[Request]:
        """What was asked for, without what a diagnosis may send over a connection that is not
        verified: a bare ``HEAD /``. One with credentials counts.
        """
        return [request for request in self.requests if not _is_bare_probe(request)]

    def forget(self) -> None:
        """Empties the log."""
        with self._lock:
            self.requests.clear()
            self.handshakes.clear()

    def refused(self, *, timeout: float = 60) -> list[Handshake]:
        """The handshakes that failed; waits for the first, as the client knows before we do."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            with self._lock:
                if failed := [handshake for handshake in self.handshakes if handshake.problem]:
                    return failed
            time.sleep(0.01)
        return []

    def close(self) -> None:
        """Stops listening and ends every connection; raises what a handler raised."""
        self.closing.set()
        # Waking the thread is the one portable way to end an accept().
        socket.create_connection(self._listener.getsockname()[:2], timeout=PATIENCE).close()
        self._thread.join()
        with self._lock:
            for connection in self._open:
                _shut(connection)
        for each in (self._listener, *self._twin):
            each.close()
        if self.failures:
            raise self.failures[0]

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self.closing.is_set():
                connection.close()
                return
            with self._lock:
                self.connections += 1
                number = self.connections
                self._open.add(connection)
            name = f"{self.url} {number}"
            threading.Thread(
                target=self._serve, args=(connection, number), daemon=True, name=name
            ).start()

    def _serve(self, plain: socket.socket, number: int) -> None:
        connection = plain
        try:
            plain.settimeout(PATIENCE)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context is not None:
                connection = secured = self._secured(plain, self.context)
                self._handshake(secured)
            _Conversation(connection, self, number)
        except OSError:
            pass  # the client went away, or refused us: both are in the log
        finally:
            with self._lock:
                self._open -= {plain, connection}
            _shut(connection)
            connection.close()
            plain.close()

    def _secured(self, plain: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
        with self._lock:  # the one takes the other's descriptor
            secured = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
            self._open.add(secured)
        return secured

    def _handshake(self, secured: ssl.SSLSocket) -> None:
        problem = ""
        try:
            secured.do_handshake()
        except OSError as error:
            problem = str(error)
            raise
        finally:
            with self._lock:
                self.handshakes.append(Handshake(self._names.pop(secured, None), problem))

    def _note_name(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext
    ) -> None:
        self._names[connection] = name


class _Conversation(http.server.BaseHTTPRequestHandler):
    """One connection's requests and answers."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def __init__(self, connection: socket.socket, owner: Server, number: int) -> None:
        self.owner = owner
        self.number = number
        self.certificate: bytes | None = None
        if isinstance(connection, ssl.SSLSocket):
            # At once: a connection that has broken off says nothing of it.
            self.certificate = connection.getpeercert(binary_form=True)
        super().__init__(connection, connection.getpeername(), None)  # type: ignore[arg-type]

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        request = self._read()
        self.owner.requests.append(request)
        try:
            response = self.owner.handler(request)
        except Exception as error:
            self.owner.failures.append(error)
            response = Response(500, f"{type(error).__name__}: {error}".encode())
        self._answer(response)

    def _read(self) -> Request:
        length = int(self.headers.get("Content-Length", 0))
        return Request(
            self.command,
            self.path,
            self.headers,
            self.rfile.read(length),
            self.number,
            self.certificate,
        )

    def _answer(self, response: Response) -> None:
        self.owner.closing.wait(response.delay)
        if response.hang_up:
            self.close_connection = True
            return
        self.send_response_only(response.status)
        bodiless = self.command == "HEAD" or response.status in {204, 304}
        chunked = response.chunked and not bodiless
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif response.status not in {204, 304}:
            self.send_header("Content-Length", str(len(response.body)))
        for name, value in response.headers.items():
            self.send_header(name, value)
            if (name.lower(), value.lower()) == ("connection", "close"):
                self.close_connection = True
        self.end_headers()
        if not bodiless:
            self._send(response, chunked=chunked)
        self.wfile.flush()

    def _send(self, response: Response, *, chunked: bool) -> None:
        body = response.body
        if response.cut_after is not None:
            self.close_connection = True
            body = body[: response.cut_after]
        step = response.throttle or max(len(body), 1)
        for start in range(0, len(body), step):
            piece = body[start : start + step]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            if response.throttle:
                self.wfile.flush()
                time.sleep(0.1)
        if chunked and response.cut_after is None:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


# --------------------------------------------------------------------------------------------
# Handlers


_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".whl": "application/octet-stream",
    ".gz": "application/octet-stream",
}


def tree(files: Mapping[str, bytes] | Path, *, ranges: bool = True) -> Handler:
    """Files by their path: from a mapping, which may change while it is served, or a folder."""

    def handler(request: Request) -> Response:
        if isinstance(files, Path):
            found = files / request.path.lstrip("/")
            body = found.read_bytes() if found.is_file() else None
        else:
            body = files.get(request.path)
        if body is None:
            return not_found(request)
        suffix = Path(request.path).suffix
        kind = _TYPES.get(suffix, "text/html; charset=utf-8" if not suffix else "text/plain")
        return file_response(request, body, content_type=kind, ranges=ranges)

    return handler


def not_found(_: Request) -> Response:
    return Response(404, b"not here\n", {"Content-Type": "text/plain"})


def file_response(
    request: Request, body: bytes, *, content_type: str, ranges: bool = True
) -> Response:
    """A body with its ETag: 304 where the client has it, 206 where it wants a part (RFC 9110)."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    headers = {"Content-Type": content_type, "ETag": etag}
    if ranges:
        headers["Accept-Ranges"] = "bytes"
    known = [tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")]
    if etag in known:
        return Response(304, headers=headers)
    wanted = request.headers.get("Range")
    if not ranges or not wanted or request.headers.get("If-Range", etag) != etag:
        return Response(200, body, headers)
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted.replace(" ", ""))
    if match is None or wanted.endswith("=-"):
        return Response(200, body, headers)
    first, last = match.groups()
    start = int(first) if first else max(0, len(body) - int(last))
    end = min(int(last), len(body) - 1) if first and last else len(body) - 1
    if start >= len(body) or start > end:
        return Response(416, b"", headers | {"Content-Range": f"bytes */{len(body)}"})
    headers["Content-Range"] = f"bytes {start}-{end}/{len(body)}"
    return Response(206, body[start : end + 1], headers)


def compressed(handler: Handler) -> Handler:
    """Gzips every whole answer for clients that accept it."""

    def wrapper(request: Request) -> Response:
        response = handler(request)
        if response.status != 200 or "gzip" not in request.headers.get("Accept-Encoding", ""):
            return response
        headers = {**response.headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return replace(response, body=gzip.compress(response.body), headers=headers)

    return wrapper


def redirect(location: str, status: int = HTTPStatus.FOUND) -> Response:
    return Response(status, headers={"Location": location})


def with_basic_auth(handler: Handler, user: str, password: str) -> Handler:
    """Answers 401 to whoever does not bring these credentials."""

    def wrapper(request: Request) -> Response:
        if request.credentials == (user, password):
            return handler(request)
        return Response(401, b"who are you?\n", {"WWW-Authenticate": 'Basic realm="kedge tests"'})

    return wrapper


def basic_credentials(header: str | None) -> tuple[str, str] | None:
    """User and password of a ``Basic`` header (RFC 7617), or None."""
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return user, password


class Faults:
    """A handler whose next answers for a path can be spoiled, one after the other.

    ::

        faulty = Faults(tree(files))
        faulty.next("/files/a.whl", cut(1000), status(503))    # then sound again
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self._queues: dict[str, deque[Fault]] = {}
        self._always: dict[str, Fault] = {}
        self._lock = threading.Lock()

    def next(self, path: str, *faults: Fault) -> None:
        self._queues.setdefault(path, deque()).extend(faults)

    def always(self, path: str, fault: Fault) -> None:
        self._always[path] = fault

    def clear(self) -> None:
        self._queues.clear()
        self._always.clear()

    def __call__(self, request: Request) -> Response:
        response = self.handler(request)
        with self._lock:  # two may ask at once
            queue = self._queues.get(request.path)
            fault = queue.popleft() if queue else self._always.get(request.path)
        return fault(response) if fault else response


def cut(after: int) -> Fault:
    """The connection closes after so many bytes of the body."""
    return lambda response: replace(response, cut_after=after)


def status(code: int, **headers: str) -> Fault:
    """Another status, with a page that says so; underscores in header names become hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = f"<html><title>{code}</title></html>".encode()
    return lambda _: Response(code, body, {"Content-Type": "text/html"} | named)


def hang_up() -> Fault:
    return lambda response: replace(response, hang_up=True)


def slow(seconds: float) -> Fault:
    return lambda response: replace(response, delay=seconds)


def never(response: Response) -> Response:
    """No answer, as long as the server lasts."""
    return replace(response, delay=3600, hang_up=True)


def instead(response: Response) -> Fault:
    """Another answer altogether."""
    return lambda _: response


def body(contents: bytes) -> Fault:
    """Other contents, with the same headers."""
    return lambda response: replace(response, body=contents)


def _is_bare_probe(request: Request) -> bool:
    personal = ("Authorization", "Proxy-Authorization", "Cookie")
    named = any(name in request.headers for name in personal)
    return request.method == "HEAD" and request.target == "/" and not named and not request.body


def _address_of(host: str) -> str:
    return "127.0.0.1" if host == "localhost" or host.endswith(".localhost") else host


def _shut(connection: socket.socket) -> None:
    try:
        # Not SSLSocket.shutdown: it takes the TLS state away from the thread that uses it.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        pass
