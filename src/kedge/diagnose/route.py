"""The way to a server, through the proxy where one was decided, and one ``HEAD /`` over it.

The proxy's credentials go to the proxy alone, and where its address is ``https://`` only after its
certificate was verified. The server is never sent any. Failures are :class:`~.wire.StoppedError`.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from kedge.classes import field, frozen
from kedge.diagnose.wire import (
    Deadline,
    Failure,
    Step,
    StoppedError,
    Stream,
    TcpStream,
    TlsStream,
    Trouble,
    connect,
    stage,
)
from kedge.model import Hop, NetworkOrigin
from kedge.transport.auth import Credentials
from kedge.transport.proxies import Proxy

_HEAD_LIMIT = 65536
_USER_AGENT = "kedge"
#: Seconds for the answer to ``HEAD /``.
_PATIENCE = 2.0


@frozen
class Place:
    """A peer, and the proxy on the way to it. With ``hop`` PROXY the peer is a proxy itself."""

    origin: NetworkOrigin
    proxy: Proxy | None = None
    hop: Hop = Hop.SERVER

    def proxy_itself(self) -> Place:
        """The proxy as the peer, reached directly."""
        if self.proxy is None:
            raise ValueError("no proxy on the way")
        return Place(self.proxy.origin, None, Hop.PROXY)


@frozen
class Answer:
    """The head of an HTTP answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def reached(
    place: Place, deadline: Deadline, proxy_context: ssl.SSLContext | None
) -> Iterator[Stream]:
    """A stream to the place, closed after; raises :class:`StoppedError`.

    ``proxy_context`` verifies an ``https://`` proxy; without one such a proxy is not passed.
    """
    proxy = place.proxy
    if proxy is not None and proxy.is_socks:
        sock: Any = _through_socks(proxy, place.origin, deadline)
    else:
        first = proxy.origin if proxy is not None else place.origin
        hop = Hop.PROXY if proxy is not None else place.hop
        sock = _connected(first, hop, deadline)
    try:
        stream: Stream = TcpStream(sock, deadline)
        if proxy is not None and not proxy.is_socks:
            stream = _through_proxy(stream, proxy, place, proxy_context)
        yield stream
    finally:
        sock.close()


def _connected(origin: NetworkOrigin, hop: Hop, deadline: Deadline) -> Any:
    try:
        with stage(Step.CONNECT, hop):
            return connect(origin.host, origin.port, deadline)
    except StoppedError as stopped:
        if stopped.failure.trouble is not Trouble.NO_ADDRESS:
            raise
        symbol = stopped.failure.reason
        raise StoppedError(
            Failure(step=Step.RESOLVE, trouble=Trouble.NO_ADDRESS, hop=hop, reason=symbol)
        ) from stopped


def _through_proxy(
    stream: Stream, proxy: Proxy, place: Place, context: ssl.SSLContext | None
) -> Stream:
    if proxy.scheme == "https":
        if context is None:
            raise StoppedError(
                Failure(step=Step.PROXY_TLS, trouble=Trouble.UNVERIFIED, hop=Hop.PROXY)
            )
        tls = TlsStream(stream, context, proxy.host)
        with stage(Step.PROXY_TLS, Hop.PROXY, tls):
            tls.handshake()
        stream = tls
    if place.origin.scheme == "https":
        _open_tunnel(stream, proxy, place.origin)
    return stream


def _open_tunnel(stream: Stream, proxy: Proxy, target: NetworkOrigin) -> None:
    lines = [f"CONNECT {target.hostport} HTTP/1.1", f"Host: {target.hostport}", *_greeting(proxy)]
    answer = _ask(stream, lines, Step.TUNNEL, Hop.PROXY)
    if not 200 <= answer.status < 300:
        raise StoppedError(
            Failure(step=Step.TUNNEL, trouble=Trouble.STATUS, hop=Hop.PROXY, status=answer.status)
        )


def _greeting(proxy: Proxy) -> list[str]:
    """What the proxy alone is sent."""
    if proxy.username is None:
        return []
    return [f"Proxy-Authorization: {Credentials(proxy.username, proxy.password or '').basic}"]


def head(stream: Stream, place: Place) -> Answer:
    """``HEAD /``: no path, no credentials for the server, no body. Raises :class:`StoppedError`.

    The answer tells little that the handshake did not: it is waited for briefly.
    """
    stream.hurry(_PATIENCE)
    target, extra = "/", []
    if place.proxy is not None and place.origin.scheme == "http" and not place.proxy.is_socks:
        target, extra = f"http://{place.origin.hostport}/", _greeting(place.proxy)
    lines = [
        f"HEAD {target} HTTP/1.1",
        f"Host: {_host_header(place.origin)}",
        f"User-Agent: {_USER_AGENT}",
        "Accept: */*",
        "Connection: close",
        *extra,
    ]
    return _ask(stream, lines, Step.ANSWER, place.hop)


def _host_header(origin: NetworkOrigin) -> str:
    return str(origin).partition("://")[2]


def _ask(stream: Stream, lines: list[str], step: Step, hop: Hop) -> Answer:
    data = b""
    tls = stream if isinstance(stream, TlsStream) else None
    with stage(step, hop, tls):
        with contextlib.suppress(ConnectionError):
            # A peer that has gone may have said why: its alert is still to be read.
            stream.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        # One byte of a TLS alert is enough to know that no HTTP comes; a head has an end.
        while b"\r\n\r\n" not in data and b"\n\n" not in data and len(data) < _HEAD_LIMIT:
            more = stream.read()
            if not more:
                break
            data += more
            if not b"HTTP/".startswith(data[:5]):
                break
    if not data:
        raise StoppedError(Failure(step=step, trouble=Trouble.CUT, hop=hop))
    return _parse(data, step, hop)


def _parse(data: bytes, step: Step, hop: Hop) -> Answer:
    answer = read_answer(data)
    if answer is None:
        raise StoppedError(Failure(step=step, trouble=Trouble.NONSENSE, hop=hop, said=data[:512]))
    return answer


def read_answer(data: bytes) -> Answer | None:
    """The head of an HTTP/1 answer, as far as it came; ``None`` where it is none.

    Values are without control characters: they are shown on terminals.
    """
    first, *rest = data.decode("latin-1").replace("\r\n", "\n").partition("\n\n")[0].split("\n")
    words = first.split(" ", 2)
    if not first.startswith("HTTP/") or len(words) < 2 or not words[1].isdecimal():
        return None
    clean = ("".join(each for each in line if each.isprintable()) for line in rest)
    pairs = (line.partition(":") for line in clean if ":" in line)
    return Answer(int(words[1]), {name.strip().lower(): value.strip() for name, _, value in pairs})


def _through_socks(proxy: Proxy, target: NetworkOrigin, deadline: Deadline) -> Any:
    """A socket through a SOCKS proxy; ``PySocks`` is there, or no session could have been."""
    try:
        import socks
    except ImportError:
        raise StoppedError(
            Failure(step=Step.CONNECT, trouble=Trouble.UNREACHABLE, hop=Hop.PROXY, reason="PySocks")
        ) from None
    version = socks.SOCKS4 if proxy.scheme.startswith("socks4") else socks.SOCKS5
    remote_names = proxy.scheme in {"socks4a", "socks5h"}
    # The proxy itself is tried first: PySocks reports each failure of that in one and the same way.
    _connected(proxy.origin, Hop.PROXY, deadline).close()
    sock = socks.socksocket()
    sock.set_proxy(version, proxy.host, proxy.port, remote_names, proxy.username, proxy.password)
    try:
        with stage(Step.TUNNEL, Hop.PROXY):
            sock.settimeout(deadline.remaining())
            try:
                sock.connect((target.host, target.port))
            except socks.ProxyError as exc:
                status = 407 if isinstance(exc, socks.SOCKS5AuthError) else None
                raise StoppedError(
                    Failure(
                        step=Step.TUNNEL,
                        trouble=Trouble.STATUS,
                        hop=Hop.PROXY,
                        status=status,
                        reason=type(exc).__name__,
                    )
                ) from exc
    except StoppedError:
        sock.close()
        raise
    return sock
