"""Rules for what goes wrong beside the certificates: sources, the way, handshakes, answers.

Each takes the evidence and yields findings; their order is :mod:`kedge.diagnose.causes`'.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from kedge.diagnose.evidence import Cause, Evidence, Finding
from kedge.diagnose.names import is_public
from kedge.diagnose.route import read_answer
from kedge.diagnose.wire import LEGACY_RENEGOTIATION, Failure, Step, Trouble
from kedge.errors import BundleError, EmptySystemStoreError, TrustError
from kedge.model import Hop

# --------------------------------------------------------------------------------------------
# Before the network


def of_source(error: TrustError, hop: Hop = Hop.SERVER) -> Finding | None:
    """What is wrong with a source of trust that cannot be loaded."""
    match error:
        case BundleError():
            return Finding(
                cause=Cause.BAD_BUNDLE,
                hop=hop,
                path=error.path,
                origin=error.origin,
                reason=error.message,
                advice=error.hint or "",
            )
        case EmptySystemStoreError():
            places = ", ".join(error.looked_in)
            return Finding(
                cause=Cause.EMPTY_SYSTEM_STORE, hop=hop, path=places, origin=error.origin
            )
        case _:
            return None


def sources(evidence: Evidence) -> Iterator[Finding]:
    decided = evidence.decided
    if decided is not None and decided.unusable is not None:
        found = of_source(decided.unusable)
        if found is not None:
            yield found


# --------------------------------------------------------------------------------------------
# The way there


def route(evidence: Evidence) -> Iterator[Finding]:
    """No connection, or none that TLS could begin on."""
    failure = evidence.capture.failure
    if failure is None:
        return
    hop = failure.hop
    proxy = evidence.proxy
    peer = proxy.origin if hop is Hop.PROXY and proxy is not None else evidence.place.origin
    cause = _route_cause(failure)
    if cause is None:
        return
    yield Finding(
        cause=cause,
        hop=hop,
        name=peer.host if cause is Cause.DNS or failure.step is Step.RESOLVE else peer.hostport,
        status=failure.status,
        said=failure.said,
        reason=failure.reason,
        origin=proxy.setting if hop is Hop.PROXY and proxy is not None else None,
    )


def _route_cause(failure: Failure) -> Cause | None:
    if failure.hop is Hop.PROXY:
        return _proxy_cause(failure)
    if failure.step in {Step.RESOLVE, Step.CONNECT}:
        return {
            Trouble.NO_ADDRESS: Cause.DNS,
            Trouble.TIMEOUT: Cause.TIMEOUT,
            Trouble.CUT: Cause.CONNECTION_CUT,
        }.get(failure.trouble, Cause.CONNECTION_REFUSED)
    return {
        Trouble.TIMEOUT: Cause.TIMEOUT,
        Trouble.CUT: Cause.CONNECTION_CUT,
        Trouble.PLAIN_TEXT: Cause.NOT_TLS,
    }.get(failure.trouble)


def _proxy_cause(failure: Failure) -> Cause | None:
    match failure.step, failure.trouble:
        case ((Step.RESOLVE | Step.CONNECT), _):
            return Cause.PROXY_UNREACHABLE
        case Step.TUNNEL, Trouble.STATUS:
            return Cause.PROXY_AUTH if failure.status == 407 else Cause.PROXY_REFUSED
        case Step.TUNNEL, Trouble.NONSENSE if failure.said[:1] == b"\x15":
            return Cause.PROXY_TLS  # a TLS alert: its address wants to be https://
        case Step.TUNNEL, Trouble.NONSENSE:
            return Cause.PROXY_REFUSED
        case _, Trouble.TIMEOUT:
            return Cause.TIMEOUT
        case Step.TUNNEL, _:
            return Cause.CONNECTION_CUT
        case _:
            return Cause.PROXY_TLS


# --------------------------------------------------------------------------------------------
# The handshake, before any certificate is judged

_CERTIFICATE_ALERTS = frozenset({42, 43, 44, 45, 46, 48, 49, 51})
_CERTIFICATE_REQUIRED, _HANDSHAKE_FAILURE, _PROTOCOL_VERSION = 116, 40, 70
_INSUFFICIENT_SECURITY = 71
_OLD_PROTOCOLS = frozenset({"SSLv3", "TLSv1", "TLSv1.1"})
_LOCAL_VERSION = frozenset({"UNSUPPORTED_PROTOCOL", "WRONG_SSL_VERSION", "VERSION_TOO_LOW"})
_LOCAL_WEAK = frozenset({"DH_KEY_TOO_SMALL", "EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL"})


def handshake(evidence: Evidence) -> Iterator[Finding]:
    """The peer, or this machine's OpenSSL, broke the handshake off."""
    failure = _broken_off(evidence)
    if failure is None:
        return
    spoken = evidence.capture.tolerated
    yield Finding(
        cause=_handshake_cause(evidence, failure),
        hop=evidence.place.hop,
        name=evidence.host,
        alert=failure.alert,
        reason=failure.reason,
        protocol=spoken.protocol if spoken else "",
        cipher=spoken.cipher if spoken else "",
        origin=evidence.client_cert,
    )


def _broken_off(evidence: Evidence) -> Failure | None:
    """The alert, or OpenSSL's own refusal, wherever it showed: TLS 1.3 tells a client only after
    the handshake that its certificate will not do."""
    capture, decided = evidence.capture, evidence.decided
    ours = (decided.failure, decided.after) if decided else ()
    # With a certificate of our own, what becomes of a visitor without one says nothing.
    alone = evidence.client_cert is None or decided is None
    seen = (capture.failure, *ours, capture.after) if alone else ours
    tells = (Trouble.ALERT, Trouble.TLS)
    return next((each for each in seen if each is not None and each.trouble in tells), None)


def _handshake_cause(evidence: Evidence, failure: Failure) -> Cause:
    spoken = evidence.capture.tolerated
    alert = failure.alert
    wanted = evidence.capture.wants_client_certificate
    if alert == _CERTIFICATE_REQUIRED:
        return Cause.CLIENT_CERT_REQUIRED
    if wanted and (alert in _CERTIFICATE_ALERTS or alert == _HANDSHAKE_FAILURE):
        own = evidence.client_cert is not None
        return Cause.CLIENT_CERT_REJECTED if own else Cause.CLIENT_CERT_REQUIRED
    if failure.reason in _LOCAL_WEAK:
        return Cause.WEAK_KEY
    if failure.reason == LEGACY_RENEGOTIATION:  # whatever else it would take
        return Cause.HANDSHAKE_REFUSED
    old = spoken is not None and spoken.protocol in _OLD_PROTOCOLS
    if old or alert == _PROTOCOL_VERSION or failure.reason in _LOCAL_VERSION:
        return Cause.PROTOCOL_VERSION
    if spoken is not None or alert == _INSUFFICIENT_SECURITY:
        return Cause.NO_SHARED_CIPHER
    return Cause.HANDSHAKE_REFUSED


def nginx(evidence: Evidence) -> Iterator[Finding]:
    """nginx completes the handshake and then answers 400: "no required certificate was sent"."""
    answer = evidence.answer
    asked = evidence.capture.wants_client_certificate
    if answer is not None and answer.status in {400, 495, 496} and asked:
        own = evidence.client_cert is not None
        yield Finding(
            cause=Cause.CLIENT_CERT_REJECTED if own else Cause.CLIENT_CERT_REQUIRED,
            name=evidence.host,
            status=answer.status,
            origin=evidence.client_cert,
        )


# --------------------------------------------------------------------------------------------
# What answered


def portal(evidence: Evidence) -> Iterator[Finding]:
    """Somebody else answers, and leads to a page of his own."""
    said = evidence.capture.failure.said if evidence.capture.failure else b""
    answer = evidence.answer or read_answer(said)
    if answer is None:
        return
    location = answer.headers.get("location", "")
    elsewhere = _leads_elsewhere(location, evidence.host)
    stranger = evidence.wrong_name or bool(said) or is_public(evidence.host)
    refused = evidence.decided is None or not evidence.decided.passed
    if answer.status == 511 or (refused and stranger and elsewhere):
        yield Finding(
            cause=Cause.CAPTIVE_PORTAL,
            hop=evidence.place.hop,
            name=evidence.host,
            status=answer.status,
            url=location,
        )


def _leads_elsewhere(location: str, host: str) -> bool:
    try:
        target = urlsplit(location).hostname
    except ValueError:
        return False
    return bool(target) and str(target).split(".")[-2:] != host.split(".")[-2:]
