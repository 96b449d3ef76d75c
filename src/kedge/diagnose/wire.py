"""One connection, bounded in time, directly or through a proxy; every failure is a value.

TLS runs over memory buffers: the bytes that arrive are seen before OpenSSL sees them (plain text
where TLS was expected), TLS in TLS is no special case, and one deadline holds for all of it. It
knows neither what is trusted nor why a connection is made; sessions are :mod:`kedge.transport`'s.
"""

from __future__ import annotations

import contextlib
import errno
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from enum import Enum
from typing import Any, Protocol

from kedge.classes import frozen, mutable
from kedge.diagnose.verify import as_openssl
from kedge.model import Hop

_CHUNK = 65536
#: How much of what arrives first is kept, to say what it looks like.
_KEPT = 512
#: TLS record types: ChangeCipherSpec to Heartbeat (RFC 8446, section 5.1).
_RECORD_TYPES = range(0x14, 0x19)
_HANDSHAKE_RECORD = 22
#: Handshake messages (RFC 8446, section 4).
_CERTIFICATE, _CERTIFICATE_REQUEST = 11, 13


class Step(Enum):
    """How far a connection came."""

    RESOLVE = "looking up the name"
    CONNECT = "connecting"
    PROXY_TLS = "the TLS handshake with the proxy"
    TUNNEL = "asking the proxy for a tunnel"
    TLS = "the TLS handshake"
    ANSWER = "waiting for the answer"


class Trouble(Enum):
    """What ended a connection."""

    NO_ADDRESS = "no address"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    CUT = "cut"
    ALERT = "alert"
    PLAIN_TEXT = "no TLS"
    UNVERIFIED = "not verified"
    TLS = "TLS failure"
    STATUS = "refused with a status"
    NONSENSE = "no HTTP"


@frozen(kw_only=True)
class Failure:
    """Where and how a connection ended.

    ``verify_code`` is an ``X509_V_ERR_*`` number, ``alert`` a number of RFC 8446, section 6, as
    the peer sent it, ``reason`` OpenSSL's or the system's symbol, ``words`` the verifier's own
    about the code (for people; nothing is recognised by them), ``status`` the proxy's answer,
    ``said`` the first bytes that arrived where TLS or HTTP was expected.
    """

    step: Step
    trouble: Trouble
    hop: Hop = Hop.SERVER
    verify_code: int | None = None
    alert: int | None = None
    reason: str = ""
    words: str = ""
    status: int | None = None
    said: bytes = b""


class StoppedError(Exception):
    """Carries a :class:`Failure` out of a connection; never leaves this layer."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


@frozen
class Deadline:
    """The moment (of ``time.monotonic``) after which nothing is waited for."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left; ``TimeoutError`` when there are none."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class Stream(Protocol):
    """Bytes both ways. ``read`` gives nothing at the end; ``hurry`` brings the deadline nearer."""

    def read(self) -> bytes: ...

    def write(self, data: bytes) -> None: ...

    def hurry(self, seconds: float) -> None: ...


@mutable
class TcpStream:
    """A socket under a deadline."""

    sock: Any
    deadline: Deadline

    def hurry(self, seconds: float) -> None:
        self.deadline = Deadline(min(self.deadline.at, Deadline.after(seconds).at))

    def read(self) -> bytes:
        self.sock.settimeout(self.deadline.remaining())
        data: bytes = self.sock.recv(_CHUNK)
        return data

    def write(self, data: bytes) -> None:
        self.sock.settimeout(self.deadline.remaining())
        self.sock.sendall(data)


class TlsStream:
    """TLS over another stream. ``first`` are the first bytes that the peer sent.

    With ``watch`` the handshake's messages are looked at, to know whether a client certificate
    was asked for: give it only a context that nobody else uses.
    """

    def __init__(
        self, outer: Stream, context: ssl.SSLContext, name: str, *, watch: bool = False
    ) -> None:
        self._outer = outer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.first = b""
        self.certificate_requested = False
        self._sent: tuple[bytes, ...] = ()
        if watch:
            watched: Any = context
            watched._msg_callback = self._note
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)

    def handshake(self) -> None:
        """Raises ``ssl.SSLError``, ``OSError``, and ``ConnectionResetError`` at an early end."""
        self._drive(self.tls.do_handshake)

    def read(self) -> bytes:
        try:
            data: bytes = self._drive(lambda: self.tls.read(_CHUNK))
        except (ssl.SSLZeroReturnError, ConnectionResetError):
            return b""
        return data

    def write(self, data: bytes) -> None:
        self._drive(lambda: self.tls.write(data))

    def hurry(self, seconds: float) -> None:
        self._outer.hurry(seconds)

    def presented(self) -> tuple[bytes, ...]:
        """The chain that the peer sent, in its order, as DER; verified or not.

        With ``watch`` also where the handshake failed after it was sent.
        """
        return _chain(self.tls, "get_unverified_chain") or self._sent

    def verified(self) -> tuple[bytes, ...]:
        """The chain that was built and verified, anchor last; empty where nothing was."""
        return _chain(self.tls, "get_verified_chain")

    @property
    def looks_like_tls(self) -> bool:
        return len(self.first) < 2 or (self.first[0] in _RECORD_TYPES and self.first[1] == 3)

    def _drive(self, call: Any) -> Any:
        while True:
            try:
                result = call()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._outer.read()
                if not data:
                    raise ConnectionResetError(errno.ECONNRESET, "early end") from None
                self.first = self.first or data[:_KEPT]
                self._incoming.write(data)
                continue
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self._flush()  # the alert, so that the peer knows
                raise
            self._flush()
            return result

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self._outer.write(data)

    def _note(
        self, _: object, direction: str, __: object, kind: int, message: int, data: bytes
    ) -> None:
        if direction != "read" or kind != _HANDSHAKE_RECORD:
            return
        if message == _CERTIFICATE_REQUEST:
            self.certificate_requested = True
        elif message == _CERTIFICATE:
            self._sent = certificates_of(data[4:])


def certificates_of(message: bytes) -> tuple[bytes, ...]:
    """The DER certificates of a Certificate message's body.

    TLS 1.2 (RFC 5246, section 7.4.2) lists them bare; TLS 1.3 (RFC 8446, section 4.4.2) has a
    request context before and extensions after each. Empty where it is neither.
    """
    for start, extensions in ((0, False), (1 + (message[0] if message else 0), True)):
        found = _listed(message[start:], extensions=extensions)
        if found is not None:
            return found
    return ()


def _listed(data: bytes, *, extensions: bool) -> tuple[bytes, ...] | None:
    """``None`` where the lengths do not add up."""
    if len(data) < 3 or int.from_bytes(data[:3], "big") != len(data) - 3:
        return None
    found: list[bytes] = []
    at = 3
    while at < len(data):
        end = at + 3 + int.from_bytes(data[at : at + 3], "big")
        found.append(data[at + 3 : end])
        at = end
        if extensions:
            at += 2 + int.from_bytes(data[at : at + 2], "big")
    return tuple(found) if at == len(data) else None


def _chain(tls: ssl.SSLObject, method: str) -> tuple[bytes, ...]:
    """Public since Python 3.13, in DER; before that the same under ``_sslobj`` (since 3.10)."""
    public = getattr(tls, method, None)
    if public is not None:
        return tuple(public() or ())
    inner = getattr(getattr(tls, "_sslobj", None), method, None)
    if inner is None:
        return ()
    import _ssl

    encoding: int = _ssl.ENCODING_DER
    return tuple(each.public_bytes(encoding) for each in inner() or ())


@contextlib.contextmanager
def stage(step: Step, hop: Hop, tls: TlsStream | None = None) -> Iterator[None]:
    """Whatever fails inside leaves as :class:`StoppedError`."""
    try:
        yield
    except ssl.SSLError as exc:
        raise StoppedError(_tls_failure(exc, step, hop, tls)) from exc
    except TimeoutError as exc:
        raise StoppedError(Failure(step=step, trouble=Trouble.TIMEOUT, hop=hop)) from exc
    except OSError as exc:
        raise StoppedError(_os_failure(exc, step, hop)) from exc
    except (ValueError, UnicodeError) as exc:  # a name that cannot be one
        raise StoppedError(
            Failure(step=step, trouble=Trouble.NO_ADDRESS, hop=hop, reason=type(exc).__name__)
        ) from exc


_CUT = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ESHUTDOWN})


def _os_failure(exc: OSError, step: Step, hop: Hop) -> Failure:
    reason = errno.errorcode.get(exc.errno or 0, "")
    if isinstance(exc, socket.gaierror):
        trouble, reason = Trouble.NO_ADDRESS, _gai_symbol(exc)
    elif isinstance(exc, ConnectionRefusedError):
        trouble = Trouble.REFUSED
    elif exc.errno in _CUT:
        trouble = Trouble.CUT
    else:
        trouble = Trouble.UNREACHABLE
    return Failure(step=step, trouble=trouble, hop=hop, reason=reason)


def _gai_symbol(exc: socket.gaierror) -> str:
    names = (name for name in dir(socket) if name.startswith("EAI_"))
    return next((name for name in names if getattr(socket, name) == exc.errno), "")


def _tls_failure(exc: ssl.SSLError, step: Step, hop: Hop, tls: TlsStream | None) -> Failure:
    reason = exc.reason or ""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return Failure(
            step=step,
            trouble=Trouble.UNVERIFIED,
            hop=hop,
            verify_code=as_openssl(getattr(exc, "verify_code", None)),
            reason=reason,
            words=(getattr(exc, "verify_message", None) or "").rstrip("."),
        )
    said = tls.first if tls is not None else b""
    if tls is not None and not tls.looks_like_tls:
        return Failure(step=step, trouble=Trouble.PLAIN_TEXT, hop=hop, reason=reason, said=said)
    if reason in ALERTS:
        return Failure(
            step=step, trouble=Trouble.ALERT, hop=hop, reason=reason, alert=ALERTS[reason]
        )
    if isinstance(exc, ssl.SSLEOFError):
        return Failure(step=step, trouble=Trouble.CUT, hop=hop, reason=reason)
    return Failure(step=step, trouble=Trouble.TLS, hop=hop, reason=reason)


#: OpenSSL 3's symbol for a peer without secure renegotiation (RFC 5746): it does not speak to it.
LEGACY_RENEGOTIATION = "UNSAFE_LEGACY_RENEGOTIATION_DISABLED"

#: OpenSSL's symbols for alerts that arrive (``sslerr.h``), by their number (RFC 8446, section 6).
ALERTS = {
    "SSLV3_ALERT_UNEXPECTED_MESSAGE": 10,
    "SSLV3_ALERT_BAD_RECORD_MAC": 20,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": 40,
    "SSLV3_ALERT_NO_CERTIFICATE": 41,
    "SSLV3_ALERT_BAD_CERTIFICATE": 42,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": 43,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": 44,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": 45,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": 46,
    "SSLV3_ALERT_ILLEGAL_PARAMETER": 47,
    "TLSV1_ALERT_UNKNOWN_CA": 48,
    "TLSV1_ALERT_ACCESS_DENIED": 49,
    "TLSV1_ALERT_DECODE_ERROR": 50,
    "TLSV1_ALERT_DECRYPT_ERROR": 51,
    "TLSV1_ALERT_PROTOCOL_VERSION": 70,
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": 71,
    "TLSV1_ALERT_INTERNAL_ERROR": 80,
    "TLSV1_ALERT_INAPPROPRIATE_FALLBACK": 86,
    "TLSV1_ALERT_USER_CANCELLED": 90,
    "TLSV13_ALERT_MISSING_EXTENSION": 109,
    "TLSV1_UNRECOGNIZED_NAME": 112,
    "TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE": 113,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": 116,
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": 120,
}


# --------------------------------------------------------------------------------------------
# TCP


def connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """A connected socket; every address of the name gets its share of the time that is left.

    Raises what ``socket`` raises. A resolver that hangs is left behind in a thread of its own.
    """
    addresses = _resolve(host, port, deadline)
    last: OSError = OSError(errno.EHOSTUNREACH, "no address")
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(deadline.remaining() / (len(addresses) - number))
            sock.connect(address)
        except OSError as exc:
            sock.close()
            last = exc
        else:
            return sock
    raise last


def _resolve(host: str, port: int, deadline: Deadline) -> list[tuple[Any, ...]]:
    found: queue.SimpleQueue[list[tuple[Any, ...]] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except Exception as exc:  # handed over to the thread that waits
            found.put(exc)

    threading.Thread(target=ask, daemon=True, name=f"look up {host}").start()
    try:
        answer = found.get(timeout=deadline.remaining())
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer
    return answer
