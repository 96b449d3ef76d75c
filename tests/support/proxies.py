"""Proxies on loopback: one of our own that tunnels and forwards, and a real mitmproxy.

::

    with Proxy() as proxy:                                      # http://127.0.0.1:…
        proxy.entries[0].target                                 # "localhost:54321"
    with Proxy(certificate=root.leaf("localhost")) as proxy:    # https://localhost:…
        ...
    with mitmproxy(folder, own_ca, trusts=upstream_ca) as proxy:
        ...

A :class:`Proxy` can resolve names of its own (``names={"files.example": "127.0.0.1"}``), so that a
server behind it may have any name; nothing else on the machine knows that name.
"""

from __future__ import annotations

import select
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, urlsplit

from support.pki import Authority, Certificate, server_context
from support.ports import free_port as free_port
from support.ports import listen
from support.servers import PATIENCE, basic_credentials
from support.surroundings import cleared, tool

_LIMIT = 65536


@dataclass(frozen=True)
class Entry:
    """One request to a proxy, and the status that it answered (0: it hung up)."""

    method: str
    target: str
    headers: Mapping[str, str]
    status: int

    @property
    def credentials(self) -> tuple[str, str] | None:
        return basic_credentials(self.headers.get("proxy-authorization"))

    @property
    def is_bare_probe(self) -> bool:
        """Whether it is all that a diagnosis may send to a proxy it could not verify."""
        return self.method == "HEAD" and self.target == "/" and self.credentials is None


class Proxy:
    """A proxy of our own: ``CONNECT`` tunnels, and plain requests in absolute form.

    With a certificate its own hop is TLS (``https://`` proxy). ``credentials`` are asked for with
    407. ``refuse`` is a status that every request gets instead of a connection. With ``client_ca``
    a TLS proxy asks for a client certificate; those it is shown are kept in ``certificates``.
    """

    def __init__(
        self,
        *,
        certificate: Certificate | None = None,
        host: str = "localhost",
        credentials: tuple[str, str] | None = None,
        refuse: int | None = None,
        names: Mapping[str, str] | None = None,
        client_ca: Authority | None = None,
    ) -> None:
        self.host = host
        self.credentials = credentials
        self.refuse = refuse
        self.names = dict(names or {})
        self.entries: list[Entry] = []
        #: Handshakes on the proxy's own hop that the client broke off, as OpenSSL words it.
        self.refusals: list[str] = []
        self.certificates: list[bytes] = []
        self._context = server_context(certificate) if certificate else None
        if self._context is not None and client_ca is not None:
            self._context.load_verify_locations(cadata=client_ca.pem.decode())
            self._context.verify_mode = ssl.CERT_OPTIONAL
        self._closing = threading.Event()
        self._listener, self._twin = listen("127.0.0.1")
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True, name="proxy")
        self._thread.start()

    @property
    def url(self) -> str:
        """As a proxy setting names it, without credentials."""
        return f"{'https' if self._context else 'http'}://{self.host}:{self.port}"

    @property
    def authorized_url(self) -> str:
        """With the credentials in it, quoted."""
        assert self.credentials
        return with_credentials(self.url, *self.credentials)

    @property
    def tunnels(self) -> list[str]:
        """``host:port`` of every tunnel that was opened."""
        return [
            entry.target
            for entry in self.entries
            if entry.method == "CONNECT" and entry.status == 200
        ]

    def forget(self) -> None:
        self.entries.clear()
        self.refusals.clear()
        self.certificates.clear()

    def close(self) -> None:
        self._closing.set()
        socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE).close()
        self._thread.join()
        for each in (self._listener, *self._twin):
            each.close()

    def __enter__(self) -> Proxy:
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
            client, _ = self._listener.accept()
            if self._closing.is_set():
                client.close()
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(PATIENCE)
        try:
            if self._context is not None:
                try:
                    client = self._context.wrap_socket(client, server_side=True)
                except OSError as error:
                    self.refusals.append(str(error))
                    return
                if shown := client.getpeercert(binary_form=True):
                    self.certificates.append(shown)
            while self._one_request(client):
                pass
        except OSError:
            pass
        finally:
            client.close()

    def _one_request(self, client: socket.socket) -> bool:
        """Reads one request head and acts on it; whether the connection goes on."""
        head, rest = _read_head(client)
        if not head:
            return False
        request, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = request.split(" ", 2)
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines if line)
        }
        status = self._verdict(headers)
        if status != 200:
            self.entries.append(Entry(method, target, headers, status))
            _refuse(client, status)
            return status == 407
        where = _destination(method, target)
        try:
            address = (self.names.get(where[0], where[0]), where[1])
            server = socket.create_connection(address, PATIENCE)
        except OSError:
            self.entries.append(Entry(method, target, headers, 502))
            _refuse(client, 502)
            return False
        self.entries.append(Entry(method, target, headers, 200))
        with server:
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                server.sendall(rest)
            else:
                server.sendall(_origin_form(request, lines) + rest)
            self._pump(client, server)
        return False

    def _verdict(self, headers: Mapping[str, str]) -> int:
        if self.refuse is not None:
            return self.refuse
        given = basic_credentials(headers.get("proxy-authorization"))
        return 200 if self.credentials in {None, given} else 407

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        """Both directions on one thread: an SSL object must not be used by two."""
        others = {client: server, server: client}
        while not self._closing.is_set():
            ready: Sequence[socket.socket] = select.select([client, server], [], [], 0.5)[0]
            if isinstance(client, ssl.SSLSocket) and client.pending():
                ready = [*ready, client]
            for source in dict.fromkeys(ready):
                data = source.recv(_LIMIT)
                if not data:
                    return
                others[source].sendall(data)


def with_credentials(url: str, user: str, password: str) -> str:
    """The URL with a quoted user and password in it."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{rest}"


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(_LIMIT)
        if not more or len(data) > _LIMIT:
            return b"", b""
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _destination(method: str, target: str) -> tuple[str, int]:
    if method == "CONNECT":
        host, _, port = target.rpartition(":")
        return host.strip("[]"), int(port)
    parts = urlsplit(target)
    return parts.hostname or "", parts.port or 80


def _origin_form(request: str, lines: Sequence[str]) -> bytes:
    """The request as the server behind gets it: no proxy headers, one request a connection."""
    method, target, version = request.split(" ", 2)
    parts = urlsplit(target)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    kept = [
        line
        for line in lines
        if line and not line.lower().startswith(("proxy-", "connection:", "keep-alive:"))
    ]
    return "\r\n".join([f"{method} {path} {version}", *kept, "Connection: close", "", ""]).encode()


def _refuse(client: socket.socket, status: int) -> None:
    extra = 'Proxy-Authenticate: Basic realm="kedge tests"\r\n' if status == 407 else ""
    client.sendall(
        f"HTTP/1.1 {status} Refused\r\n{extra}Content-Length: 8\r\n\r\nrefused\n".encode()
    )


# --------------------------------------------------------------------------------------------
# mitmproxy


@dataclass(frozen=True)
class Interceptor:
    """A running mitmproxy: where it listens, and the authority that it re-signs with."""

    port: int
    authority: Authority
    log: Path
    credentials: tuple[str, str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def authorized_url(self) -> str:
        assert self.credentials
        return with_credentials(self.url, *self.credentials)

    @property
    def hosts(self) -> set[str]:
        """``host:port`` of every request that went through in clear, which is the proof."""
        return set(self.log.read_text("utf-8").split())


_ADDON = """
from pathlib import Path

def request(flow):
    with Path({log!r}).open("a") as log:
        log.write(f"{{flow.request.host}}:{{flow.request.port}}\\n")
"""


@contextmanager
def mitmproxy(
    folder: Path,
    own: Authority,
    *,
    trusts: Authority | Path,
    credentials: tuple[str, str] | None = None,
) -> Iterator[Interceptor]:
    """Runs ``mitmdump``, which opens every TLS connection and re-signs it with ``own``.

    It verifies the servers behind it against ``trusts`` (an authority, or a bundle) and nothing
    else. Mark the test
    ``tool("mitmdump")``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    own.write_identity(folder / "mitmproxy-ca.pem")
    upstream = trusts if isinstance(trusts, Path) else trusts.write_pem(folder / "upstream.pem")
    log, addon = folder / "hosts.log", folder / "log_hosts.py"
    log.touch()
    addon.write_text(_ADDON.format(log=str(log)), "utf-8")
    port = free_port()
    command = [tool("mitmdump"), "--quiet", "--listen-host", "127.0.0.1", "--listen-port"]
    command += [str(port), "--scripts", str(addon), "--set", f"confdir={folder}"]
    command += ["--set", f"ssl_verify_upstream_trusted_ca={upstream}"]
    command += ["--set", "connection_strategy=lazy"]
    if credentials:
        command += ["--proxyauth", ":".join(credentials)]
    with program(command, folder / "mitmdump.log", port):
        yield Interceptor(port, own, log, credentials)


# --------------------------------------------------------------------------------------------
# Programs


@contextmanager
def program(
    command: Sequence[str],
    log: Path,
    port: int,
    *,
    environ: Mapping[str, str] | None = None,
    patience: float = 150,
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a server program until the block ends; enters it once the port answers.

    The port is one of :func:`free_port`: until the program listens on it, nobody answers there.
    What it prints goes to ``log``, and into the error when it does not come up.
    """
    surroundings = cleared(environ) if environ is not None else None
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=surroundings)
    try:
        end = time.monotonic() + patience
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text('utf-8')}")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            process.kill()
            process.wait()


def run_to_end(command: Sequence[str], log: Path) -> None:
    """Runs a program that ends by itself; ``RuntimeError`` with what it printed if it fails."""
    with log.open("wb") as output:
        code = subprocess.run(command, stdout=output, stderr=output, check=False).returncode
    if code != 0:
        raise RuntimeError(f"{command[0]} ended with {code}:\n{log.read_text('utf-8')}")


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
    except OSError:
        return False
    return True
