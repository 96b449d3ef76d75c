"""The one boundary at which exceptions of urllib3, requests, ssl and sockets become kedge's.

Causes are read from types and codes along the whole chain of exceptions (urllib3 and requests wrap
one another, and which wrapper comes outermost differs between their releases), never from
message text, but for OpenSSL's own wording, which is passed on.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import re
import socket
import ssl
from collections.abc import Iterator
from enum import Enum
from typing import TypeVar

from urllib3 import exceptions as urllib3_errors
from urllib3.util.ssl_match_hostname import CertificateError

from kedge.classes import frozen
from kedge.errors import (
    ConnectionFailedError,
    ConnectionTimeoutError,
    HttpStatusError,
    KedgeError,
    ProxyFailedError,
    ResolveHostError,
    TlsError,
    VerificationError,
)
from kedge.model import Hop, NetworkOrigin, TrustDecision, redact_url
from kedge.transport.dial import TunnelError
from kedge.transport.proxies import Proxy

_E = TypeVar("_E", bound=BaseException)

#: X509_V_ERR_HOSTNAME_MISMATCH, for where urllib3 compares names itself.
_HOSTNAME_MISMATCH = 62

#: What a request can raise besides programming errors.
RAISED = (
    urllib3_errors.HTTPError,
    http.client.HTTPException,
    ssl.SSLError,
    ssl.CertificateError,
    CertificateError,
    OSError,
)


class Phase(Enum):
    """How far a request had come."""

    HEAD = "until the status line and the headers were read"
    BODY = "while the body was read"


@frozen
class Call:
    """What was being done when something failed: enough to say it in one sentence."""

    url: str
    origin: NetworkOrigin
    proxy: Proxy | None
    decision: TrustDecision

    def peer(self, hop: Hop) -> NetworkOrigin:
        return self.proxy.origin if hop is Hop.PROXY and self.proxy else self.origin

    def name(self, hop: Hop) -> str:
        if hop is Hop.PROXY and self.proxy:
            return f"the proxy {self.proxy}"
        return f"{self.origin.scheme}://{self.origin.hostport}"


@contextlib.contextmanager
def translated(call: Call, phase: Phase) -> Iterator[None]:
    """Run one exchange; what it raises leaves as a :class:`~kedge.errors.KedgeError`."""
    try:
        yield
    except RAISED as exc:
        raise translate(exc, call, phase) from exc


def translate(exc: BaseException, call: Call, phase: Phase = Phase.HEAD) -> KedgeError:
    """The error that says what ``exc`` means for this call."""
    chain = list(_chain(exc))
    hop = _hop(chain, call)
    tunnel = _first(chain, TunnelError)
    certificate = _first(chain, ssl.SSLCertVerificationError) or _first(chain, CertificateError)
    tls = _first(chain, ssl.SSLError)
    timed_out = _first(chain, TimeoutError) or _timed_out(chain)
    if certificate is not None:
        return _untrusted(certificate, call, hop)
    if tunnel is not None:
        return _tunnel_failed(tunnel, call, timed_out=timed_out is not None)
    if tls is not None and phase is Phase.HEAD:
        return _tls_failed(tls, call, hop)
    if _unresolved(chain):
        return _host_unknown(call, hop)
    if timed_out is not None:
        return _too_slow(call, hop)
    return _no_connection(chain, call, hop, phase)


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """``exc`` and all that it came from, nearest first, each once."""
    waiting: list[BaseException] = [exc]
    seen: set[int] = set()
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        linked = [
            getattr(current, "reason", None),
            getattr(current, "original_error", None),
            current.__cause__,
            None if current.__suppress_context__ else current.__context__,
            *current.args,
        ]
        waiting.extend(link for link in linked if isinstance(link, BaseException))


def is_refused_certificate(exc: BaseException) -> bool:
    """Whether a certificate was refused: repeating the request cannot help."""
    kinds = (ssl.SSLCertVerificationError, CertificateError)
    return any(isinstance(link, kinds) for link in _chain(exc))


def _first(chain: list[BaseException], kind: type[_E]) -> _E | None:
    return next((link for link in chain if isinstance(link, kind)), None)


def _hop(chain: list[BaseException], call: Call) -> Hop:
    if call.proxy is None:
        return Hop.SERVER
    if _first(chain, urllib3_errors.ProxyError):
        return Hop.PROXY
    if call.proxy.is_socks and _socks_error(chain):
        return Hop.PROXY
    # A forwarding proxy is the only party that was spoken to.
    forwarded = call.origin.scheme == "http" and not call.proxy.is_socks
    return Hop.PROXY if forwarded and _first(chain, ssl.SSLError) else Hop.SERVER


def _socks_error(chain: list[BaseException]) -> BaseException | None:
    return next((link for link in chain if type(link).__module__ == "socks"), None)


def _untrusted(exc: BaseException, call: Call, hop: Hop) -> KedgeError:
    if isinstance(exc, ssl.SSLCertVerificationError):
        reason = (exc.verify_message or openssl_words(exc)).rstrip(".")
        code = exc.verify_code
    else:
        reason, code = str(exc).rstrip("."), _HOSTNAME_MISMATCH
    return VerificationError(
        f"Cannot trust {call.name(hop)}: {reason}.",
        url=call.url,
        peer=call.peer(hop),
        hop=hop,
        decision=call.decision,
        reason=reason,
        verify_code=code,
        hint=f"Trusted here: {call.decision}.",
    )


def _tls_failed(exc: ssl.SSLError, call: Call, hop: Hop) -> KedgeError:
    reason = openssl_words(exc)
    return TlsError(
        f"The TLS handshake with {call.name(hop)} failed: {reason}.",
        url=call.url,
        peer=call.peer(hop),
        hop=hop,
        decision=call.decision,
        reason=reason,
        hint=f"Trusted here: {call.decision}.",
    )


def openssl_words(exc: ssl.SSLError) -> str:
    """OpenSSL's wording alone: without Python's ``[SSL: …]`` before and ``(_ssl.c:…)`` after.

    >>> openssl_words(ssl.SSLError(1, "[SSL: NO_CIPHERS] no ciphers available (_ssl.c:1006)"))
    'no ciphers available'
    """
    words = exc.strerror or (str(exc.args[-1]) if exc.args else "") or type(exc).__name__
    words = re.sub(r"^\[[^]]*\]\s*", "", str(words))
    return re.sub(r"\s*\(_ssl\.c:\d+\)\s*$", "", words).rstrip(".")


def _tunnel_failed(exc: TunnelError, call: Call, *, timed_out: bool) -> KedgeError:
    peer = call.peer(Hop.PROXY)
    name = call.name(Hop.PROXY)
    server = call.origin.hostport
    if timed_out:
        return ConnectionTimeoutError(
            f"{_capital(name)} did not open a tunnel to {server} in time.",
            url=call.url,
            peer=peer,
            hop=Hop.PROXY,
        )
    if exc.status == http.HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return proxy_wants_credentials(call)
    said = f"answered {exc.status} {exc.reason}" if exc.status else f"broke off: {exc}"
    said = " ".join(said.split())  # a proxy's own words, line ends included
    return ProxyFailedError(
        f"{_capital(name)} did not open a tunnel to {server}: it {said}.",
        url=call.url,
        peer=peer,
        status=exc.status,
        hint=None if exc.status else "Is it an HTTP proxy, and is the scheme of its address right?",
    )


def proxy_wants_credentials(call: Call) -> KedgeError:
    """407, from CONNECT or in answer to a forwarded request."""
    if call.proxy is not None and call.proxy.username is not None:
        who = f"user {call.proxy.username!r}" if call.proxy.password else "a user"
        hint = f"It does not accept the credentials of {who}, from {call.proxy.setting}. Correct "
        hint += "them there, percent-encoded; kedge speaks Basic alone, not NTLM or Kerberos."
    else:
        hint = "None were sent to it. Put them into its address, percent-encoded: "
        hint += "http://user:password@host:port"
    return ProxyFailedError(
        f"{_capital(call.name(Hop.PROXY))} asks for a user name and password (407).",
        url=call.url,
        peer=call.peer(Hop.PROXY),
        status=407,
        hint=hint,
    )


def _unresolved(chain: list[BaseException]) -> bool:
    return bool(_first(chain, urllib3_errors.NameResolutionError) or _first(chain, socket.gaierror))


def _host_unknown(call: Call, hop: Hop) -> KedgeError:
    host = call.peer(hop).host
    return ResolveHostError(
        f"The host name {host} of {call.name(hop)} has no address.",
        url=call.url,
        peer=call.peer(hop),
        hop=hop,
        hint="Check the spelling, and that this machine can reach a name server.",
    )


def _timed_out(chain: list[BaseException]) -> BaseException | None:
    for link in chain:
        timeout = isinstance(link, urllib3_errors.TimeoutError)
        if timeout and not isinstance(link, urllib3_errors.NewConnectionError):
            return link
    return None


def _too_slow(call: Call, hop: Hop) -> KedgeError:
    return ConnectionTimeoutError(
        f"{_capital(call.name(hop))} did not answer in time.",
        url=call.url,
        peer=call.peer(hop),
        hop=hop,
    )


def _no_connection(chain: list[BaseException], call: Call, hop: Hop, phase: Phase) -> KedgeError:
    socks = _socks_error(chain)
    if hop is Hop.PROXY and socks is not None and type(socks).__name__ != "ProxyConnectionError":
        return ProxyFailedError(
            f"{_capital(call.name(hop))} did not connect to {call.origin.hostport}: {socks}.",
            url=call.url,
            peer=call.peer(hop),
        )
    verb = "was cut" if phase is Phase.BODY else "failed"
    return ConnectionFailedError(
        f"The connection to {call.name(hop)} {verb}: {_system_words(chain)}.",
        url=call.url,
        peer=call.peer(hop),
        hop=hop,
    )


def _system_words(chain: list[BaseException]) -> str:
    """The innermost cause in the system's own words."""
    for link in reversed(chain):
        if isinstance(link, http.client.RemoteDisconnected | http.client.IncompleteRead):
            return "the other side closed it early"
        if isinstance(link, OSError) and link.errno in (errno.ECONNRESET, errno.EPIPE):
            return "the other side reset it"
        if isinstance(link, OSError) and link.strerror:
            return link.strerror.rstrip(".")
        if isinstance(link, http.client.HTTPException):
            return f"the answer is not HTTP ({type(link).__name__})"
    return str(chain[-1]).rstrip(".") or type(chain[-1]).__name__


def cut_short(call: Call) -> KedgeError:
    """The error for an answer that ended before it began.

    ``http.client`` takes an end of the line inside the headers for the end of the headers.
    """
    return ConnectionFailedError(
        f"The connection to {call.name(Hop.SERVER)} was cut: the answer ended early.",
        url=call.url,
        peer=call.origin,
    )


def status_error(
    call: Call, status: int, reason: str, *, retry_after: float | None, hint: str | None = None
) -> KedgeError:
    """The error for an answer that is no success."""
    if status == http.HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and call.proxy is not None:
        return proxy_wants_credentials(call)
    words = "".join(filter(str.isprintable, reason)) or http.client.responses.get(status, "")
    if status == http.HTTPStatus.TOO_MANY_REQUESTS:
        hint = "The server asks for fewer requests; try again later."
    return HttpStatusError(
        f"{redact_url(call.url)} answered {status} {words}".rstrip() + ".",
        url=call.url,
        status=status,
        retry_after=retry_after,
        hint=hint,
    )


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:] if words.startswith("the ") else words
