"""A TLS connection whose context may hold only a part of the anchors that are trusted.

It begins with that part. Where the peer's certificate is refused, or the part would have ended at
another anchor than the whole, the connection is made once more with the whole, whose verdict and
whose error stand. No request, and nothing to a proxy, is sent before that is settled. Which
anchors, and whether they suffice, is :mod:`kedge.trust.staged`'s business.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from urllib3.connection import HTTPSConnection


class StagedContexts(Protocol):
    """What is asked of the trust in stages: :class:`kedge.trust.staged.StagedTrust`."""

    @property
    def context(self) -> ssl.SSLContext: ...
    def owns(self, context: ssl.SSLContext | None) -> bool: ...
    def is_whole(self, context: ssl.SSLContext) -> bool: ...
    def whole(self) -> ssl.SSLContext: ...
    def suffices(self, context: ssl.SSLContext, chain: Callable[[], Sequence[bytes]]) -> bool: ...


class _NotSufficientError(ssl.SSLCertVerificationError):
    """The part verified, but perhaps not as the whole would have."""


class StagedConnection(HTTPSConnection):
    """``staged`` None: the context that it was given is the whole."""

    staged: StagedContexts | None = None

    def connect(self) -> None:
        if self.staged is None:
            super().connect()
            return
        tunnel = (self._tunnel_host, self._tunnel_port, self._tunnel_scheme)
        context = self.staged.context
        try:
            self._connect_with(context)
            return
        except ssl.SSLCertVerificationError:
            if self.staged.is_whole(context):
                raise
        # Outside: an error that comes now is the whole's, and is not to be told with the other.
        self.close()
        self._tunnel_host, self._tunnel_port, self._tunnel_scheme = tunnel
        self._connect_with(self.staged.whole())

    def _connect_with(self, context: ssl.SSLContext) -> None:
        """Put it in the place of every context of the stages, the proxy's too, and connect."""
        if self.staged is None:
            raise AssertionError("nothing is staged")
        if self.staged.owns(self.ssl_context):
            self.ssl_context = context
        config = self.proxy_config
        if config is not None and self.staged.owns(config.ssl_context):
            self.proxy_config = config._replace(ssl_context=context)
        super().connect()
        self._settle(self.sock, self.ssl_context)

    def _connect_tls_proxy(self, hostname: str, sock: socket.socket) -> ssl.SSLSocket:
        wrapped = super()._connect_tls_proxy(hostname, sock)
        config = self.proxy_config
        self._settle(wrapped, config.ssl_context if config is not None else None)
        return wrapped

    def _settle(self, sock: Any, context: ssl.SSLContext | None) -> None:
        staged = self.staged
        if staged is None or context is None or not staged.owns(context):
            return
        if not staged.suffices(context, lambda: verified_chain(sock)):
            raise _NotSufficientError


def verified_chain(sock: Any) -> tuple[bytes, ...]:
    """The chain that was built and verified, in DER, the anchor last; empty where it is unknown.

    Public since Python 3.13; before that the same under ``_sslobj``, since 3.10.
    """
    tls = getattr(sock, "sslobj", sock)  # urllib3's TLS in TLS
    public = getattr(tls, "get_verified_chain", None)
    if public is not None:
        return tuple(public() or ())
    inner = getattr(getattr(tls, "_sslobj", None), "get_verified_chain", None)
    if inner is None:
        return ()
    import _ssl

    encoding: int = _ssl.ENCODING_DER
    return tuple(each.public_bytes(encoding) for each in inner() or ())
