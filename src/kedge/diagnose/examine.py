"""Gathers the evidence about one connection and has the causes found: probe, compare, conclude.

The steps, top to bottom: the route is decided as an install would decide it, the probe captures
what the peer presents, every choice of anchors is tried against it, and :mod:`.causes` concludes.
Contacts that one peer and its proxy, and nobody else.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from kedge import trust
from kedge.classes import field, frozen, replace
from kedge.diagnose import verify
from kedge.diagnose.capture import Capture, capture
from kedge.diagnose.causes import find_causes
from kedge.diagnose.chain import read_chain
from kedge.diagnose.comparison import Contender, Role, Terms, beyond, compare, contenders
from kedge.diagnose.evidence import Evidence, Finding, Neighbour
from kedge.diagnose.route import Place
from kedge.errors import TrustError
from kedge.model import Hop, NetworkOrigin, Origin, Sourced, StoreKind, TrustDecision
from kedge.transport.locations import locate
from kedge.transport.proxies import (
    Proxy,
    ProxyTable,
    keeps_to_this_machine,
    read_system_proxies,
)
from kedge.transport.trusted_hosts import TrustedHosts

#: Seconds for a glance at a host beside the one that is examined.
_BRIEFLY = 2.0


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


@frozen(kw_only=True)
class Surroundings:
    """What the failed command worked with.

    ``proxy`` is ``--proxy``; ``environ`` the process environment as it was snapshot.
    ``client_cert`` is presented to ``client_origins`` alone, over verified connections, and never
    where a proxy is the peer. ``trusted_hosts`` are the values of ``--trusted-host``. ``limit``
    bounds the probe, and the comparison after it, in seconds each. ``others`` are the other
    servers that the user configured. ``clock`` is asked for this machine's time, in UTC.
    """

    decision: TrustDecision
    environ: Mapping[str, str]
    proxy: Sourced[str] | None = None
    client_cert: trust.ClientCertificate | None = field(default=None, repr=False)
    client_origins: frozenset[NetworkOrigin] = frozenset()
    trusted_hosts: tuple[Sourced[str], ...] = ()
    others: frozenset[NetworkOrigin] = frozenset()
    limit: float = 6.0
    clock: Callable[[], datetime] = _utc_now


@frozen
class Examination:
    """The evidence about one peer, and what it shows."""

    evidence: Evidence
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether the peer was verified with what was decided, where it has to be, and nothing is
        wrong."""
        evidence, decided = self.evidence, self.evidence.decided
        if evidence.unverified:
            return evidence.capture.failure is None and not self.findings
        return decided is not None and decided.passed and not self.findings


def examine(
    url: str,
    surroundings: Surroundings,
    *,
    verify_code: int | None = None,
    neighbours: tuple[Neighbour, ...] = (),
) -> Examination:
    """Examine the server of an ``http(s)`` URL, on the way that an install would take.

    Nothing is raised for what is found; :class:`~kedge.errors.TransportError` for what is no URL,
    :class:`~kedge.errors.SettingError` or :class:`~kedge.errors.UsageError` for a proxy that
    cannot be read. ``verify_code`` is what the failed command met.
    """
    origin = locate(url).origin
    place = Place(origin, proxy_for(origin, surroundings))
    return _examine(place, place.proxy, surroundings, verify_code, neighbours)


def examine_proxy(proxy: Proxy, surroundings: Surroundings) -> Examination:
    """Examine an ``https://`` proxy as a peer of its own: what it presents, and who vouches."""
    return _examine(Place(proxy.origin, None, Hop.PROXY), proxy, surroundings, None, ())


def neighbour_at(origin: NetworkOrigin, surroundings: Surroundings) -> Neighbour | None:
    """The issuer that another host presents; ``None`` where it presents nothing in good time."""
    place, context = way_to(origin, surroundings)
    limit = min(surroundings.limit, _BRIEFLY)
    captured = capture(place, limit=limit, proxy_context=context)
    top = read_chain(captured.chain).top
    theirs = captured.hop is Hop.SERVER and top is not None
    return Neighbour(host=origin.host, issuer=top.issuer) if theirs and top else None


def way_to(
    origin: NetworkOrigin, surroundings: Surroundings
) -> tuple[Place, ssl.SSLContext | None]:
    """A server, the proxy on the way to it, and what verifies the proxy."""
    proxy = proxy_for(origin, surroundings)
    return Place(origin, proxy), _proxy_context(proxy, surroundings)


def _proxy_context(proxy: Proxy | None, surroundings: Surroundings) -> ssl.SSLContext | None:
    """What verifies an ``https://`` proxy; without it nothing is sent to such a one."""
    if proxy is None or proxy.scheme != "https":
        return None
    try:
        return trust.context_for(surroundings.decision, surroundings.environ)
    except TrustError:
        return None  # a verdict of its own


def proxy_for(origin: NetworkOrigin, surroundings: Surroundings) -> Proxy | None:
    """The proxy on an install's way to that origin; raises as :func:`examine` does."""
    table = ProxyTable.decide(surroundings.proxy, surroundings.environ, read_system_proxies())
    exempt = exempt_by(origin, surroundings) is not None
    return None if keeps_to_this_machine(origin) and not exempt else table.choose(origin)


def exempt_by(origin: NetworkOrigin, surroundings: Surroundings) -> Origin | None:
    """The ``--trusted-host`` by which that server's certificate is not looked at."""
    found = TrustedHosts.parse(surroundings.trusted_hosts).find(origin)
    return found.origin if found else None


def _examine(
    place: Place,
    proxy: Proxy | None,
    surroundings: Surroundings,
    verify_code: int | None,
    neighbours: tuple[Neighbour, ...],
) -> Examination:
    proxy_context = _proxy_context(proxy, surroundings)
    now = surroundings.clock()
    captured = capture(place, limit=surroundings.limit, proxy_context=proxy_context)
    client = None
    if captured.hop is Hop.SERVER and place.origin in surroundings.client_origins:
        client = surroundings.client_cert
    terms = Terms(
        place=captured.place,
        chain=read_chain(captured.chain),
        environ=surroundings.environ,
        limit=surroundings.limit,
        proxy_context=proxy_context,
        client_cert=client,
    )
    evidence = Evidence(
        place=captured.place,
        capture=captured,
        chain=terms.chain,
        verdicts=(),
        now=now,
        server_time=_server_time(captured),
        verify_code=verify_code,
        client_cert=client.origin if client else None,
        proxy=proxy,
        neighbours=neighbours,
        exempt=exempt_by(place.origin, surroundings) if captured.hop is Hop.SERVER else None,
    )
    if not evidence.unverified:
        worth = _worth_trying(captured, surroundings.decision, terms, verify_code)
        evidence = replace(evidence, verdicts=compare(worth, terms))
    if evidence.code in verify.NO_ANCHOR:
        evidence = replace(evidence, beyond=beyond(terms, surroundings.decision))
    findings = find_causes(evidence)
    if not findings and _asks_truststore(evidence):
        repeated = (Contender(Role.TRUSTSTORE, surroundings.decision),)
        again = compare(repeated, terms)
        evidence = replace(evidence, verdicts=(*evidence.verdicts, *again))
    return Examination(evidence, findings)


def _asks_truststore(evidence: Evidence) -> bool:
    """Whether TLS failed with the system's store, which is when truststore has a say."""
    decided = evidence.decided
    if decided is None or decided.failure is None:
        return False
    sources = decided.contender.decision.sources
    return any(source.kind is StoreKind.SYSTEM for source in sources)


def _worth_trying(
    captured: Capture, decision: TrustDecision, terms: Terms, verify_code: int | None
) -> tuple[Contender, ...]:
    """No anchor mends a handshake that fails unverified; a client certificate may. And strictness
    says nothing where a command has just found no anchor at all."""
    if captured.spoken is not None:
        unknown = verify_code in verify.NO_ANCHOR
        found = contenders(decision)
        return tuple(each for each in found if not (unknown and each.role is Role.STRICT))
    if terms.client_cert is not None and captured.wants_client_certificate:
        return (Contender(Role.DECIDED, decision),)
    return ()


def _server_time(captured: Capture) -> datetime | None:
    """The ``Date`` header (RFC 9110, section 6.6.1), in UTC."""
    answer = captured.answer
    if answer is None or "date" not in answer.headers:
        return None
    try:
        moment = parsedate_to_datetime(answer.headers["date"])
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.astimezone(timezone.utc)
