"""The probe: what a server, or the proxy before it, presents to whoever connects.

It verifies nothing, so that it sees what verification would hide, and therefore sends nothing but
``HEAD /``: no path, no credentials, no client certificate. What is to be made of it is
:mod:`kedge.diagnose.causes`' business.
"""

from __future__ import annotations

import ssl
import time

from kedge import trust
from kedge.classes import frozen, replace
from kedge.diagnose.route import Answer, Place, head, reached
from kedge.diagnose.wire import (
    Deadline,
    Failure,
    Step,
    StoppedError,
    Stream,
    TlsStream,
    Trouble,
    stage,
)
from kedge.model import Hop

#: What a handshake may end with when the server speaks only what is no longer let pass.
_TOO_OLD = frozenset({Trouble.ALERT, Trouble.TLS, Trouble.CUT})

#: A proxy's handshake that failed with one of these is worth a second look, without verifying.
_TLS_WAS_SPOKEN = frozenset({Trouble.UNVERIFIED, Trouble.ALERT, Trouble.TLS})


@frozen
class Spoken:
    """The protocol (``TLSv1.2``) and the cipher suite, by OpenSSL's name, of a handshake."""

    protocol: str
    cipher: str


@frozen(kw_only=True)
class Capture:
    """What one peer presented.

    ``chain`` is DER, in the order in which it was sent. ``failure`` is where the connection ended
    before the handshake was through, ``after`` where it ended later (TLS 1.3 refuses a client
    only then). ``tolerated`` is what the peer speaks with a client that takes everything, where
    the handshake failed with today's settings.
    """

    place: Place
    chain: tuple[bytes, ...] = ()
    spoken: Spoken | None = None
    wants_client_certificate: bool = False
    failure: Failure | None = None
    answer: Answer | None = None
    after: Failure | None = None
    tolerated: Spoken | None = None
    seconds: float = 0.0

    @property
    def hop(self) -> Hop:
        return self.place.hop


def capture(place: Place, *, limit: float, proxy_context: ssl.SSLContext | None = None) -> Capture:
    """Connect, shake hands without verifying, ask ``HEAD /``; raises nothing for what it finds.

    ``limit`` bounds it all, in seconds. ``proxy_context`` is the decided one: an ``https://``
    proxy is verified with it before it is sent anything. Where that fails, the proxy itself is
    what is captured (``place.hop`` of the result is PROXY).
    """
    begun = time.monotonic()
    deadline = Deadline.after(limit)
    found = _capture(place, deadline, proxy_context, trust.unverified_context())
    failure = found.failure
    if failure is not None and failure.step is Step.PROXY_TLS:
        proxy = place.proxy_itself()
        if failure.trouble in _TLS_WAS_SPOKEN:
            seen = _capture(proxy, deadline, None, trust.unverified_context())
            found = replace(seen, failure=failure)
        else:
            found = Capture(place=proxy, failure=failure)
    elif failure is not None and failure.step is Step.TLS and failure.trouble in _TOO_OLD:
        old = _capture(place, deadline, proxy_context, _tolerant_context())
        found = replace(found, chain=found.chain or old.chain, tolerated=old.spoken)
    return replace(found, seconds=time.monotonic() - begun)


def _capture(
    place: Place,
    deadline: Deadline,
    proxy_context: ssl.SSLContext | None,
    context: ssl.SSLContext,
) -> Capture:
    try:
        with reached(place, deadline, proxy_context) as stream:
            if place.origin.scheme != "https":
                return _asked(Capture(place=place), stream)
            return _shaken(place, stream, context)
    except StoppedError as stopped:
        return Capture(place=place, failure=stopped.failure)


def _shaken(place: Place, stream: Stream, context: ssl.SSLContext) -> Capture:
    tls = TlsStream(stream, context, place.origin.host, watch=True)
    try:
        with stage(Step.TLS, place.hop, tls):
            tls.handshake()
    except StoppedError as stopped:
        return Capture(
            place=place,
            chain=tls.presented(),
            failure=stopped.failure,
            wants_client_certificate=tls.certificate_requested,
        )
    cipher = tls.tls.cipher()
    shaken = Capture(
        place=place,
        chain=tls.presented(),
        spoken=Spoken(tls.tls.version() or "", cipher[0] if cipher else ""),
        wants_client_certificate=tls.certificate_requested,
    )
    return _asked(shaken, tls)


def _asked(so_far: Capture, stream: Stream) -> Capture:
    try:
        return replace(so_far, answer=head(stream, so_far.place))
    except StoppedError as stopped:
        return replace(so_far, after=stopped.failure)


def _tolerant_context() -> ssl.SSLContext:
    """Takes every protocol and cipher that this OpenSSL still has, to learn what a peer speaks."""
    context = trust.unverified_context()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.options |= getattr(ssl, "OP_LEGACY_SERVER_CONNECT", 0x4)  # a name since Python 3.12
    return context
