"""What the tests of connections share: contexts, options, a reporter that remembers, and servers
that do what no sound server does."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from kedge.model import Origin, OriginKind, Sourced, StoreKind, TrustDecision, TrustSource
from kedge.transport import (
    Challenges,
    CredentialSource,
    Session,
    TransportOptions,
    TransportReporter,
)
from support.pki import Certificate

if TYPE_CHECKING:
    from typing_extensions import Self

FLAG = Origin(OriginKind.COMMAND_LINE, "--cert")
DECISION = TrustDecision((TrustSource(StoreKind.BUNDLE, FLAG, "corp.pem"),))


def flag(name: str, value: str) -> Sourced[str]:
    """A setting from the command line."""
    return Sourced(value, Origin(OriginKind.COMMAND_LINE, name))


def trusting(*authorities: Certificate) -> ssl.SSLContext:
    """A context that trusts these and nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.hostname_checks_common_name = False
    for one in authorities:
        context.load_verify_locations(cadata=one.pem.decode())
    return context


@dataclass
class Told(TransportReporter):
    """Remembers what it was told."""

    retries: list[tuple[str, str, float]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    events: list[tuple[str, str, int | None]] = field(default_factory=list)

    def download_started(self, name: str, size: int | None) -> None:
        self.events.append(("started", name, size))

    def download_advanced(self, name: str, done: int) -> None:
        self.events.append(("advanced", name, done))

    def download_finished(self, name: str) -> None:
        self.events.append(("finished", name, None))

    def retrying(self, url: str, reason: str, delay: float) -> None:
        self.retries.append((url, reason, delay))

    def warn(self, message: str) -> None:
        self.warnings.append(message)


class Opener(Protocol):
    """Opens a session that trusts the private authority, unless told otherwise."""

    def __call__(
        self,
        *,
        context: ssl.SSLContext | None = None,
        client_context: ssl.SSLContext | None = None,
        unverified_client_context: ssl.SSLContext | None = None,
        credentials: Sequence[CredentialSource] = (),
        challenges: Challenges | None = None,
        **options: Any,
    ) -> Session: ...


def make_options(options: Mapping[str, Any]) -> TransportOptions:
    """Options of a test: nothing is repeated, strings for the settings."""
    settled: dict[str, Any] = {"retries": 0, "timeout": 60.0, **options}
    if isinstance(settled.get("proxy"), str):
        settled["proxy"] = flag("--proxy", settled["proxy"])
    hosts: Sequence[str | Sourced[str]] = settled.get("trusted_hosts", ())
    settled["trusted_hosts"] = tuple(
        flag("--trusted-host", host) if isinstance(host, str) else host for host in hosts
    )
    return TransportOptions(**settled)


class RawServer:
    """Speaks to each connection through a function, on a thread; for what no server does."""

    def __init__(self, speak: Callable[[socket.socket], None]) -> None:
        self.connections = 0
        self._speak = speak
        self._closing = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._closing:
                connection.close()
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with closing(connection):
            try:
                self._speak(connection)
            except OSError:
                pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing = True
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        self._listener.close()


def silence(connection: socket.socket) -> None:
    """Reads, and never answers."""
    while connection.recv(65536):
        pass


def saying(words: bytes) -> Callable[[socket.socket], None]:
    """Reads once, says these words, and closes."""

    def speak(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(words)

    return speak


class SocksServer(RawServer):
    """A SOCKS5 proxy (RFC 1928, RFC 1929). ``targets`` are the names it was asked to reach."""

    def __init__(
        self, *, credentials: tuple[str, str] | None = None, refuse: int | None = None
    ) -> None:
        self.targets: list[tuple[str, int]] = []
        self._credentials = credentials
        self._refuse = refuse
        super().__init__(self._converse)

    def _converse(self, client: socket.socket) -> None:
        _, count = _exactly(client, 2)
        _exactly(client, count)
        if self._credentials is None:
            client.sendall(b"\x05\x00")
        else:
            client.sendall(b"\x05\x02")
            _exactly(client, 1)
            user = _exactly(client, _exactly(client, 1)[0]).decode()
            password = _exactly(client, _exactly(client, 1)[0]).decode()
            good = (user, password) == self._credentials
            client.sendall(b"\x01\x00" if good else b"\x01\x01")
            if not good:
                return
        _, _, _, kind = _exactly(client, 4)
        if kind == 1:
            host = socket.inet_ntoa(_exactly(client, 4))
        elif kind == 3:
            host = _exactly(client, _exactly(client, 1)[0]).decode()
        else:
            host = socket.inet_ntop(socket.AF_INET6, _exactly(client, 16))
        (port,) = struct.unpack("!H", _exactly(client, 2))
        self.targets.append((host, port))
        if self._refuse is not None:
            client.sendall(bytes([5, self._refuse, 0, 1]) + bytes(6))
            return
        with socket.create_connection((host, port)) as server:
            client.sendall(b"\x05\x00\x00\x01" + bytes(6))
            other = threading.Thread(target=_copy, args=(server, client), daemon=True)
            other.start()
            _copy(client, server)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise OSError("the client went away")
        data += more
    return data
