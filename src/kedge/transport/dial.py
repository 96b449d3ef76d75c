"""Which connection a request is sent on: the one place where a context meets a connection.

Every path is pinned here: direct, through a plain proxy, through a TLS proxy, for redirects,
retries and new connections of a pool, for kedge's own session and for the ``requests`` one.

* A connection gets its ``SSLContext`` and nothing else: no ``ca_certs``, no ``cert_file``. What
  requests passes down (certifi, ``verify``, ``cert``) has no way in; urllib3 would load it into
  the context anew on every connection.
* The server's context is chosen by the server's origin: verified, verified with the client
  certificate (index origins), or unverified (``--trusted-host``). The proxy's is always the
  verified one without a client certificate, whatever the server's is.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import re
import socket
import ssl
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from kedge.classes import frozen
from kedge.model import NetworkOrigin
from kedge.transport.auth import Credentials
from kedge.transport.heads import QuickResponse
from kedge.transport.locations import Location
from kedge.transport.proxies import Proxy, ProxyTable, keeps_to_this_machine
from kedge.transport.staged import StagedConnection, StagedContexts
from kedge.transport.trusted_hosts import TrustedHosts, refuse_insecure, refuse_setting

_STATUS = re.compile(r"Tunnel connection failed: (\d{3})\s*(.*)", re.DOTALL)


class TunnelError(OSError):
    """The proxy was reached and did not open the tunnel. ``status`` where it answered at all."""

    def __init__(self, status: int | None, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class LiveSockets:
    """The sockets of a session, so that closing it wakes the threads that wait on them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[Any] = weakref.WeakSet()
        self._aborted = False

    def add(self, sock: Any) -> None:
        while hasattr(sock, "socket"):  # urllib3's TLS in TLS wraps the outer socket
            sock = sock.socket
        with self._lock:
            self._sockets.add(sock)
            late = self._aborted
        if late:
            self.abort()

    def abort(self) -> None:
        """Shut every connection down: a ``recv`` that waits in another thread returns at once."""
        with self._lock:
            self._aborted = True
            sockets = list(self._sockets)
        for sock in sockets:
            with contextlib.suppress(OSError):
                # Not SSLSocket.shutdown: it takes the TLS state away from the thread that reads.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _Connection(HTTPConnection):
    response_class = QuickResponse
    live: LiveSockets | None = None

    def connect(self) -> None:
        super().connect()
        if self.live is not None:
            self.live.add(self.sock)


class _TlsConnection(StagedConnection):
    response_class = QuickResponse
    live: LiveSockets | None = None

    def connect(self) -> None:
        super().connect()
        if self.live is not None:
            self.live.add(self.sock)

    def _connect_tls_proxy(self, hostname: str, sock: socket.socket) -> ssl.SSLSocket:
        # Up to 2.7 urllib3 writes the server's mode into the proxy's context, so that a trusted
        # host would switch off the verification of the proxy on the way to it.
        config = self.proxy_config
        lent, self.cert_reqs = self.cert_reqs, ssl.CERT_REQUIRED
        if config is not None and config.ssl_context is not None:
            self.cert_reqs = config.ssl_context.verify_mode
        try:
            return super()._connect_tls_proxy(hostname, sock)
        finally:
            self.cert_reqs = lent

    def _tunnel(self) -> None:
        # Only here is it known that it is the proxy that refuses, cuts off or talks nonsense.
        host = self._tunnel_host
        if host and ":" in host:
            # CONNECT needs brackets (RFC 9110, section 9.3.6): Python 3.10 and 3.11 leave them
            # out, and urllib3 puts them in since 2.5 only.
            self._tunnel_host = f"[{host.strip('[]')}]"
        try:
            super()._tunnel()
        except (OSError, http.client.HTTPException) as exc:
            answered = _STATUS.match(str(exc))
            if answered:
                raise TunnelError(int(answered[1]), answered[2].strip()) from exc
            raise TunnelError(None, str(exc) or type(exc).__name__) from exc
        self._tunnel_host = host


class _Pool(HTTPConnectionPool):
    ConnectionCls: Any = _Connection
    live: LiveSockets | None = None

    def _new_conn(self) -> Any:
        return _watched(super()._new_conn(), self.live)


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls: Any = _TlsConnection
    live: LiveSockets | None = None
    staged: StagedContexts | None = None

    def _new_conn(self) -> Any:
        connection = _watched(super()._new_conn(), self.live)
        connection.staged = self.staged
        return connection

    def _validate_conn(self, conn: Any) -> None:
        # As urllib3's, without its InsecureRequestWarning: the user asked for the exemption and
        # is told of it, once for each host, through the reporter.
        if conn.is_closed:
            conn.connect()


def _watched(connection: Any, live: LiveSockets | None) -> Any:
    connection.live = live
    return connection


@functools.cache
def _socks_pools() -> Mapping[str, type[HTTPConnectionPool]]:
    """The pools for SOCKS; ``ImportError`` where PySocks is missing."""
    from urllib3.contrib.socks import SOCKSConnection, SOCKSHTTPSConnection

    class SocksConnection(SOCKSConnection, _Connection):
        pass

    class SocksTlsConnection(SOCKSHTTPSConnection, _TlsConnection):
        pass

    class SocksPool(_Pool):
        ConnectionCls: Any = SocksConnection

    class SocksTlsPool(_TlsPool):
        ConnectionCls: Any = SocksTlsConnection

    return {"http": SocksPool, "https": SocksTlsPool}


@frozen(kw_only=True)
class Contexts:
    """The contexts of one session.

    ``verified`` may hold a part of the anchors, if ``staged`` knows how to go on. ``client`` and
    ``unverified_client`` present the client certificate; without them none is
    presented. ``unverified`` is made on first use.
    """

    verified: ssl.SSLContext
    client: ssl.SSLContext | None = None
    unverified: Callable[[], ssl.SSLContext]
    unverified_client: ssl.SSLContext | None = None
    staged: StagedContexts | None = None

    def __post_init__(self) -> None:
        for context in (self.verified, self.client):
            if context is not None and context.verify_mode != ssl.CERT_REQUIRED:
                raise ValueError("a session needs a context that verifies (CERT_REQUIRED)")


@frozen
class Route:
    """How one origin is reached. ``verified``: the server's certificate is checked."""

    pool: HTTPConnectionPool
    proxy: Proxy | None
    verified: bool

    def request_target(self, location: Location) -> str:
        """A forwarding proxy needs the whole URL (RFC 9112, section 3.2.2)."""
        forwarded = self.proxy and not self.proxy.is_socks and location.origin.scheme == "http"
        return location.url if forwarded else location.request_target


class Dialler:
    """Chooses and keeps the pools of one session. Thread-safe."""

    def __init__(
        self,
        *,
        contexts: Contexts,
        trusted: TrustedHosts,
        proxies: ProxyTable,
        client_origins: frozenset[NetworkOrigin],
        parallel: int,
        warn: Callable[[str], None],
    ) -> None:
        self._contexts = contexts
        self._trusted = trusted
        self._proxies = proxies
        self._client_origins = client_origins
        self._parallel = parallel
        self._warn = warn
        self._live = LiveSockets()
        self._lock = threading.Lock()
        self._routes: dict[tuple[NetworkOrigin, str, Proxy | None], Route] = {}
        self._managers: dict[Proxy | None, urllib3.PoolManager] = {}
        self._unverified: ssl.SSLContext | None = None

    def route(self, location: Location, *, proxy: Proxy | None = None) -> Route:
        """The way to a location; ``proxy`` overrides the one decided.

        Raises :class:`~kedge.errors.InsecureLocationError` for plain HTTP to another machine.
        """
        key = (location.origin, location.host, proxy)
        route = self._routes.get(key)
        if route is None:
            refuse_insecure(location, self._trusted)
            with self._lock:
                route = self._routes.get(key) or self._make_route(location, proxy)
                self._routes[key] = route
        return route

    def verifies(self, origin: NetworkOrigin) -> bool:
        """Whether a server at that origin has its certificate checked."""
        return self._trusted.verifies(origin)

    def presents_certificate(self, origin: NetworkOrigin) -> bool:
        """Whether a server at that origin is shown the client certificate, if it asks."""
        client = (
            self._contexts.client if self.verifies(origin) else self._contexts.unverified_client
        )
        return origin.scheme == "https" and origin in self._client_origins and client is not None

    def close(self) -> None:
        """Close every connection, also those in use by other threads, which then fail."""
        with self._lock:
            routes = list(self._routes.values())
            self._routes.clear()
        self._live.abort()
        for route in routes:
            route.pool.close()

    def _make_route(self, location: Location, explicit: Proxy | None) -> Route:
        origin = location.origin
        exempt = self._trusted.find(origin)
        proxy = explicit or self._proxies.choose(origin)
        if exempt is not None:
            what = "certificate is not checked" if origin.scheme == "https" else "HTTP is not safe"
            self._warn(f"{origin.hostport}: its {what} ({exempt.origin} trusts the host blindly).")
        elif keeps_to_this_machine(origin):
            proxy = None
        pool = self._manager(proxy).connection_from_host(
            location.host,
            port=origin.port,
            scheme=origin.scheme,
            pool_kwargs=self._tls(origin, proxy, exempt=exempt is not None),
        )
        pool.live = self._live  # type: ignore[attr-defined]
        pool.staged = self._contexts.staged  # type: ignore[attr-defined]
        return Route(pool, proxy, self.verifies(origin))

    def _tls(self, origin: NetworkOrigin, proxy: Proxy | None, *, exempt: bool) -> dict[str, Any]:
        """The TLS arguments of a pool: a context, its mode, and nothing to load into it."""
        contexts = self._contexts
        client = origin in self._client_origins
        if origin.scheme == "http":
            # No TLS with the server; what there may be is the hop to an https:// proxy.
            context = contexts.verified if proxy and proxy.scheme == "https" else None
        elif exempt:
            if self._unverified is None:
                self._unverified = contexts.unverified()
            context = (contexts.unverified_client if client else None) or self._unverified
        else:
            context = (contexts.client if client else None) or contexts.verified
        if context is None:
            return {}
        return {"ssl_context": context, "cert_reqs": context.verify_mode}

    def _manager(self, proxy: Proxy | None) -> urllib3.PoolManager:
        manager = self._managers.get(proxy)
        if manager is None:
            manager = self._managers[proxy] = self._make_manager(proxy)
        return manager

    def _make_manager(self, proxy: Proxy | None) -> urllib3.PoolManager:
        # Pools are never evicted: a route holds on to its pool as long as the session lives.
        common: dict[str, Any] = {"num_pools": 256, "maxsize": self._parallel, "block": False}
        manager: urllib3.PoolManager
        if proxy is None:
            manager = urllib3.PoolManager(**common)
        elif proxy.is_socks:
            return _socks_manager(proxy, common)
        else:
            manager = urllib3.ProxyManager(
                proxy.url,
                proxy_headers=proxy_headers(proxy),
                proxy_ssl_context=self._contexts.verified,
                **common,
            )
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        return manager


def proxy_headers(proxy: Proxy) -> dict[str, str]:
    """What the proxy alone is sent: urllib3 puts it into CONNECT, or into a forwarded request."""
    if proxy.username is None:
        return {}
    return {"Proxy-Authorization": Credentials(proxy.username, proxy.password or "").basic}


def _socks_manager(proxy: Proxy, common: dict[str, Any]) -> urllib3.PoolManager:
    try:
        import socks  # noqa: F401  (asked first: urllib3 warns where it is missing)
    except ImportError:
        refuse_setting(
            f"The proxy {proxy} needs PySocks, which is not installed.",
            origin=proxy.setting,
            hint="Install it with the extra: pip install 'kedge[socks]'",
        )
    from urllib3.contrib.socks import SOCKSProxyManager

    manager = SOCKSProxyManager(proxy.url, proxy.username, proxy.password, **common)
    # PySocks takes an IPv6 address without the brackets that a URL needs.
    manager.connection_pool_kw["_socks_options"]["proxy_host"] = proxy.host
    manager.pool_classes_by_scheme = _socks_pools()  # type: ignore[assignment]
    return manager
