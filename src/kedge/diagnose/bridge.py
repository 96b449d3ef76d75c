"""The issuers that a server forgot to send: fetched, verified, and only then given out.

A certificate may say where its issuer's can be had (RFC 5280, section 4.2.2.1), usually over plain
HTTP: what comes is believed by its signature alone. Since a certificate that is trusted ends a
chain even if it is no root, nothing leaves here that OpenSSL did not find between this server's
certificate and an anchor already in force. Where the bytes come from is the caller's business.
"""

from __future__ import annotations

from collections.abc import Callable

from kedge import trust
from kedge.classes import frozen
from kedge.diagnose.capture import capture
from kedge.diagnose.chain import (
    Chain,
    read_certificate,
    read_chain,
    related,
    signed_by,
)
from kedge.diagnose.examine import Surroundings, way_to
from kedge.diagnose.facts import CertificateFacts
from kedge.diagnose.route import Place, reached
from kedge.diagnose.wire import Deadline, Step, StoppedError, TlsStream, stage
from kedge.errors import KedgeError
from kedge.model import Hop, redact_url
from kedge.transport.locations import locate
from kedge.trust.contents import read as read_file
from kedge.trust.context import bridging_context, make_context
from kedge.trust.trusted import certificate_der

#: No honest chain lacks more.
_MOST = 4

Fetch = Callable[[str], bytes]


@frozen
class Bridge:
    """What a server should have sent, lowest first, where it was had, and the anchor above it."""

    issuers: tuple[CertificateFacts, ...]
    urls: tuple[str, ...]
    anchor: CertificateFacts


def find_bridge(url: str, surroundings: Surroundings, fetch: Fetch) -> Bridge:
    """The missing issuers of the server of ``url``.

    ``fetch`` gives the file behind a URL that a certificate names: DER, PEM or PKCS#7. Raises
    :class:`~kedge.errors.KedgeError` where nothing is missing, where it is not to be had, and
    where what was fetched does not lead to an anchor in force.
    """
    anchors = trust.load(surroundings.decision, environ=surroundings.environ)
    place, proxy_context = way_to(locate(url).origin, surroundings)
    captured = capture(place, limit=surroundings.limit, proxy_context=proxy_context)
    peer = place.origin.hostport
    chain = read_chain(captured.chain)
    if captured.hop is Hop.PROXY or chain.top is None:
        raise KedgeError(f"{peer} presented no certificate.", hint=f"kedge doctor {peer} says why.")
    if anchors.by_platform:
        raise KedgeError(
            f"What {peer} leaves out is for the platform to fetch, which verifies here.",
            hint=f"kedge doctor {peer} says what else is wrong.",
        )
    in_force = [certificate_der(block) for loaded in anchors.sources for block in loaded.blocks]
    issuers, urls = _climb(chain.top, in_force, fetch)
    if not issuers:
        raise KedgeError(
            f"{peer} leaves no issuer out.", hint=f"kedge doctor {peer} says what is wrong."
        )
    built = _verified(place, anchors, issuers, surroundings.limit)
    return Bridge(issuers, urls, read_certificate(built[-1]))


def _climb(
    top: CertificateFacts, in_force: list[bytes], fetch: Fetch
) -> tuple[tuple[CertificateFacts, ...], tuple[str, ...]]:
    """Issuer by issuer, until one is signed by what is trusted already."""
    issuers: list[CertificateFacts] = []
    urls: list[str] = []
    while not _vouched_for(top, in_force):
        if len(issuers) == _MOST:
            raise KedgeError(f"The chain does not end: {_MOST} issuers of it were fetched.")
        top, url = _issuer_of(top, fetch)
        if top.self_issued:
            raise KedgeError(
                f"What is missing is the root “{top.label}”, and that is not trusted here.",
                hint="A root is not to be believed because somebody serves it: get it from whoever "
                f"runs that CA. Its SHA-256 fingerprint: {top.fingerprint}",
            )
        issuers.append(top)
        urls.append(url)
    return tuple(issuers), tuple(urls)


def _vouched_for(top: CertificateFacts, in_force: list[bytes]) -> bool:
    namesakes, _ = related(in_force, Chain((top,), (0,)))
    return any(signed_by(top, each) or each.sha256 == top.sha256 for each in namesakes)


def _issuer_of(lower: CertificateFacts, fetch: Fetch) -> tuple[CertificateFacts, str]:
    where = [each for each in lower.issuer_urls if each.startswith(("http://", "https://"))]
    if not where:
        raise KedgeError(
            f"Nothing that is trusted here vouches for “{lower.label}”, and it does not say where "
            f"its issuer “{lower.issuer_label}” is to be had.",
            hint="Ask whoever runs the server.",
        )
    url = where[0]
    for block in read_file(fetch(url)).certificates:
        found = read_certificate(certificate_der(block))
        if signed_by(lower, found):
            return found, url
    raise KedgeError(
        f"What {redact_url(url)} serves is not the issuer of “{lower.label}”.",
        hint="Tell whoever runs the server: its certificate names a wrong address.",
    )


def _verified(
    place: Place, anchors: trust.Anchors, issuers: tuple[CertificateFacts, ...], limit: float
) -> tuple[bytes, ...]:
    """The chain that OpenSSL built to an anchor in force, with every issuer in it.

    In a handshake of its own: what counts is what the server presents then.
    """
    context = bridging_context(anchors, [each.der for each in issuers])
    deadline = Deadline.after(limit)
    try:
        with reached(place, deadline, make_context(anchors)) as stream:
            tls = TlsStream(stream, context, place.origin.host)
            with stage(Step.TLS, place.hop, tls):
                tls.handshake()
            built = tls.verified()
    except StoppedError as stopped:
        failure = stopped.failure
        why = failure.words or failure.reason or failure.trouble.value
        raise KedgeError(
            f"With its missing issuers, {place.origin.hostport} is refused all the same: {why}.",
            hint="Nothing was saved.",
        ) from stopped
    if not {each.der for each in issuers} <= set(built[1:-1]):
        raise KedgeError(
            f"{place.origin.hostport} was verified another way, without what was fetched.",
            hint="Run the command that failed again.",
        )
    return built
