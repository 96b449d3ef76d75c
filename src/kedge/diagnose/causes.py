"""Decides why a connection failed: from values to findings, each with what it is about.

Recognised from OpenSSL's verify codes, from the presented chain and from how other sources of
trust fared; never from the text of a message. No clock, no file and no network here: the moment
is part of the evidence. Several causes may hold at once, and all are found; the first is what
stopped the connection, as far as that can be told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kedge.diagnose import verify
from kedge.diagnose.comparison import Role, Verdict
from kedge.diagnose.names import is_public, matches, product_of
from kedge.diagnose.route import read_answer
from kedge.diagnose.wire import Failure, Step, Trouble
from kedge.errors import BundleError, EmptySystemStoreError, TrustError
from kedge.model import Hop, Origin

if TYPE_CHECKING:
    from kedge.diagnose.capture import Capture
    from kedge.diagnose.chain import CertificateFacts, Chain
    from kedge.diagnose.route import Answer, Place
    from kedge.transport.proxies import Proxy


class Cause(str, Enum):
    """The closed set; the values are stable, and name the pages of the documentation."""

    UNTRUSTED_ROOT = "untrusted-root"
    TLS_INTERCEPTION = "tls-interception"
    SELF_SIGNED = "self-signed"
    MISSING_INTERMEDIATE = "missing-intermediate"
    WRONG_INTERMEDIATE = "wrong-intermediate"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    CLOCK_SKEW = "clock-skew"
    NAME_MISMATCH = "name-mismatch"
    BAD_CA_CERTIFICATE = "bad-ca-certificate"
    NAME_CONSTRAINTS = "name-constraints"
    CRITICAL_EXTENSION = "critical-extension"
    WRONG_PURPOSE = "wrong-purpose"
    WEAK_KEY = "weak-key"
    WEAK_SIGNATURE = "weak-signature"
    STRICT_ONLY = "strict-only"
    PROTOCOL_VERSION = "protocol-version"
    NO_SHARED_CIPHER = "no-shared-cipher"
    HANDSHAKE_REFUSED = "handshake-refused"
    CLIENT_CERT_REQUIRED = "client-cert-required"
    CLIENT_CERT_REJECTED = "client-cert-rejected"
    NOT_TLS = "not-tls"
    CONNECTION_CUT = "connection-cut"
    CONNECTION_REFUSED = "connection-refused"
    DNS = "dns"
    TIMEOUT = "timeout"
    PROXY_AUTH = "proxy-auth"
    PROXY_REFUSED = "proxy-refused"
    PROXY_UNREACHABLE = "proxy-unreachable"
    PROXY_TLS = "proxy-tls"
    CAPTIVE_PORTAL = "captive-portal"
    NOT_AN_INDEX = "not-an-index"
    INSECURE_REDIRECT = "insecure-redirect"
    BAD_BUNDLE = "bad-bundle"
    EMPTY_SYSTEM_STORE = "empty-system-store"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One cause, and what it is about; what does not apply is empty.

    ``certificate`` is the one at fault and ``moment`` the date in it that matters. ``known`` are
    local anchors that contradict what was presented (the same name, another key) or are at fault
    themselves. ``name`` is the host or the name that does not fit, ``issuer`` the issuer that is
    missing or unknown (RFC 4514), ``product`` who makes the interceptor. ``path`` and ``origin``
    are the file and the setting to look at. ``skew`` is how far this machine's clock is ahead.
    ``certain`` is false where the evidence fits another cause as well.
    """

    cause: Cause
    hop: Hop = Hop.SERVER
    certificate: CertificateFacts | None = None
    moment: datetime | None = None
    known: tuple[CertificateFacts, ...] = ()
    name: str = ""
    issuer: str = ""
    product: str = ""
    hosts: tuple[str, ...] = ()
    protocol: str = ""
    cipher: str = ""
    alert: int | None = None
    status: int | None = None
    url: str = ""
    path: str = ""
    origin: Origin | None = None
    said: bytes = b""
    reason: str = ""
    skew: timedelta | None = None
    certain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """Another configured host, and the fingerprint or name of the unknown issuer of its chain."""

    host: str
    issuer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known about one failed (or sound) connection.

    ``now`` is this machine's clock in UTC when the chain was captured, ``server_time`` what the
    peer's ``Date`` header said then. ``verify_code`` is what the failed command met, for where
    the probe met nothing. ``client_cert`` is the setting of the certificate that was presented,
    ``proxy`` the proxy on the way, also where it is the peer itself.
    """

    place: Place
    capture: Capture
    chain: Chain
    verdicts: tuple[Verdict, ...]
    now: datetime
    server_time: datetime | None = None
    verify_code: int | None = None
    client_cert: Origin | None = None
    proxy: Proxy | None = None
    neighbours: tuple[Neighbour, ...] = ()

    @property
    def host(self) -> str:
        return self.place.origin.host

    def verdict(self, role: Role) -> Verdict | None:
        """The first verdict of that role."""
        return next((each for each in self.verdicts if each.role is role), None)

    @property
    def decided(self) -> Verdict | None:
        return self.verdict(Role.DECIDED)

    @property
    def decided_paths(self) -> tuple[str, ...]:
        """The bundles in force."""
        sources = self.decided.contender.decision.sources if self.decided else ()
        return tuple(source.path for source in sources if source.path)

    @property
    def code(self) -> int | None:
        """OpenSSL's verify code with what was decided."""
        decided = self.decided
        if decided is not None and (decided.passed or decided.verify_code is not None):
            return decided.verify_code
        return self.verify_code

    @property
    def answer(self) -> Answer | None:
        """The head of the answer, over the verified connection where there was one."""
        verified = self.decided.answer if self.decided else None
        return verified or self.capture.answer


def find_causes(evidence: Evidence) -> tuple[Finding, ...]:
    """Every cause that the evidence shows, that which stopped the connection first.

    Empty where nothing is wrong, and where nothing explains what is.
    """
    findings: list[Finding] = []
    decided = evidence.decided
    sound = decided is not None and decided.passed
    for rule in _RULES if sound else (*_RULES, *_CERTIFICATE_RULES):
        for finding in rule(evidence):
            if all(finding.cause is not known.cause for known in findings):
                findings.append(finding)
    return tuple(findings)


# --------------------------------------------------------------------------------------------
# Before the network


def of_source(error: TrustError, hop: Hop = Hop.SERVER) -> Finding | None:
    """What is wrong with a source of trust that cannot be loaded."""
    match error:
        case BundleError():
            return Finding(cause=Cause.BAD_BUNDLE, hop=hop, path=error.path, origin=error.origin)
        case EmptySystemStoreError():
            places = ", ".join(error.looked_in)
            return Finding(
                cause=Cause.EMPTY_SYSTEM_STORE, hop=hop, path=places, origin=error.origin
            )
        case _:
            return None


def _sources(evidence: Evidence) -> Iterator[Finding]:
    decided = evidence.decided
    if decided is not None and decided.unusable is not None:
        found = of_source(decided.unusable)
        if found is not None:
            yield found


# --------------------------------------------------------------------------------------------
# The way there


def _route(evidence: Evidence) -> Iterator[Finding]:
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


def _handshake(evidence: Evidence) -> Iterator[Finding]:
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
    old = spoken is not None and spoken.protocol in _OLD_PROTOCOLS
    if old or alert == _PROTOCOL_VERSION or failure.reason in _LOCAL_VERSION:
        return Cause.PROTOCOL_VERSION
    if spoken is not None or alert == _INSUFFICIENT_SECURITY:
        return Cause.NO_SHARED_CIPHER
    return Cause.HANDSHAKE_REFUSED


def _nginx(evidence: Evidence) -> Iterator[Finding]:
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
# What vouches for it


def _vouching(evidence: Evidence) -> Iterator[Finding]:
    """No anchor vouches for the chain: why not."""
    chain, code = evidence.chain, evidence.code
    if code not in verify.NO_ANCHOR or chain.leaf is None:
        return
    intercepted = tuple(_interception(evidence))
    yield from intercepted
    if chain.leaf.self_signed:
        yield _about(Cause.SELF_SIGNED, evidence, chain.leaf)
        return
    broken = tuple(_broken_link(evidence))
    yield from broken
    if not intercepted and not broken:
        yield from _unknown_issuer(evidence)
    yield from _bad_links(evidence)


def _unknown_issuer(evidence: Evidence) -> Iterator[Finding]:
    """The path ends in an issuer that nobody in force knows: a root, or one that is missing."""
    chain, decided = evidence.chain, evidence.decided
    top = chain.top
    if top is None:
        return
    contradicted = tuple(
        each for each in (decided.related if decided else ()) if each.subject == top.issuer
    )
    certain = chain.root is not None or bool(contradicted) or _someone_knows(evidence)
    if not certain and top is chain.leaf:
        # A leaf alone: either its issuer is an intermediate that should have been sent, or a root
        # that nobody here knows. A CA that says where its certificates are to be had is seldom
        # its own root, and neither is one of an organisation that is trusted here already.
        kin = decided is not None and decided.kin
        if top.issuer_urls or kin:
            yield _about(
                Cause.MISSING_INTERMEDIATE, evidence, top, issuer=top.issuer, certain=False
            )
        if top.issuer_urls:
            return
    elif top is chain.leaf and _missing_known(evidence):
        yield _about(Cause.MISSING_INTERMEDIATE, evidence, top, issuer=top.issuer)
        return
    yield _about(
        Cause.UNTRUSTED_ROOT,
        evidence,
        top,
        issuer=top.issuer,
        known=contradicted,
        product=product_of(*(each.issuer for each in chain.certificates)),
        path=", ".join(evidence.decided_paths) if contradicted else "",
        certain=certain,
    )


def _interception(evidence: Evidence) -> Iterator[Finding]:
    """Only beyond doubt: a public host whose chain no root of Mozilla's set vouches for, or one
    unknown issuer that signs unrelated hosts."""
    chain, certifi = evidence.chain, evidence.verdict(Role.CERTIFI)
    top = chain.top
    unknown = certifi is not None and certifi.verify_code in verify.NO_ANCHOR
    if top is None or not unknown:
        return
    others = tuple(
        each.host
        for each in evidence.neighbours
        if each.issuer == top.issuer and _unrelated(each.host, evidence.host)
    )
    if is_public(evidence.host) or others:
        yield _about(
            Cause.TLS_INTERCEPTION,
            evidence,
            top,
            issuer=top.issuer,
            hosts=others,
            product=product_of(*(each.issuer for each in chain.certificates)),
        )


def _unrelated(one: str, other: str) -> bool:
    """Whether two names cannot well be one organisation's own; when in doubt they can."""
    if not (_may_be_public(one) and _may_be_public(other)):
        return False
    return one.split(".")[-2:] != other.split(".")[-2:]


_PRIVATE_TLDS = frozenset(
    {"local", "localhost", "internal", "intranet", "lan", "corp", "home", "arpa", "test", "private"}
)


def _may_be_public(host: str) -> bool:
    labels = host.split(".")
    last = labels[-1]
    return len(labels) > 1 and last not in _PRIVATE_TLDS and not last.isdecimal()


def _broken_link(evidence: Evidence) -> Iterator[Finding]:
    """An issuer was presented, and is not what it must be."""
    chain = evidence.chain
    top = chain.top
    if chain.impostors and top is not None and not _someone_knows(evidence):
        wrong = chain.certificates[chain.impostors[0]]
        yield _about(Cause.WRONG_INTERMEDIATE, evidence, wrong, issuer=top.issuer, name=top.label)


def _bad_links(evidence: Evidence) -> Iterator[Finding]:
    """Certificates that signed others and may not, whoever is at the top."""
    for each in evidence.chain.links[1:]:
        if each.may_sign is False or (each.is_ca is not True and not each.self_signed):
            yield _about(Cause.BAD_CA_CERTIFICATE, evidence, each)


def _someone_knows(evidence: Evidence) -> bool:
    """Whether any source vouches for the chain as presented."""
    return any(
        verdict.passed or (verdict.verify_code not in {None, *verify.NO_ANCHOR})
        for verdict in evidence.verdicts
    )


def _missing_known(evidence: Evidence) -> bool:
    """Whether some source passed only because it holds the very intermediate as an anchor."""
    anchors = [each.anchor for each in evidence.verdicts if each.passed and each.anchor]
    return bool(anchors) and all(not anchor.self_signed for anchor in anchors)


# --------------------------------------------------------------------------------------------
# What the certificates say


def _validity(evidence: Evidence) -> Iterator[Finding]:
    """Out of its time, or the clock is."""
    now = evidence.now
    late = [each for each in _judged(evidence) if each.not_after and each.not_after < now]
    early = [each for each in _judged(evidence) if each.not_before and each.not_before > now]
    if not late and not early:
        return
    skewed = _skewed(evidence, [*late, *early])
    if skewed is not None:
        yield skewed
        return
    for each in late:
        yield _about(Cause.EXPIRED, evidence, each, moment=each.not_after)
    for each in early:
        yield _about(Cause.NOT_YET_VALID, evidence, each, moment=each.not_before)


def _skewed(evidence: Evidence, outside: list[CertificateFacts]) -> Finding | None:
    """The clock is wrong where the peer's own clock is an hour off and would accept all, or where
    every certificate, roots included, begins only after now."""
    now, theirs = evidence.now, evidence.server_time
    if theirs is not None:
        if abs(theirs - now) <= timedelta(hours=1):
            return None
        if all(_valid(each, theirs) for each in outside):
            return _about(Cause.CLOCK_SKEW, evidence, outside[0], moment=theirs, skew=now - theirs)
        return None
    links = evidence.chain.links
    future = [each.not_before for each in links if each.not_before and each.not_before > now]
    if len(links) > 1 and len(future) == len(links):
        return _about(Cause.CLOCK_SKEW, evidence, outside[0], moment=max(future), certain=False)
    return None


def _valid(each: CertificateFacts, moment: datetime) -> bool:
    return not (
        (each.not_before and each.not_before > moment)
        or (each.not_after and each.not_after < moment)
    )


def _judged(evidence: Evidence) -> tuple[CertificateFacts, ...]:
    """The certificates that OpenSSL looked at: the path, and the local anchor above it.

    A presented CA whose name a valid anchor bears is passed over: the anchor counts, not it.
    """
    decided, top, now = evidence.decided, evidence.chain.top, evidence.now
    known_names = {each.subject for each in decided.related if _valid(each, now)} if decided else ()
    leaf = evidence.chain.leaf
    links = tuple(
        each for each in evidence.chain.links if each is leaf or each.subject not in known_names
    )
    if evidence.code in {verify.EXPIRED, verify.NOT_YET_VALID} and decided and top:
        known = {each.sha256 for each in links}
        above = (each for each in decided.related if each.subject == top.issuer)
        return (*links, *(each for each in above if each.sha256 not in known))
    return links


def _name(evidence: Evidence) -> Iterator[Finding]:
    if _wrong_name(evidence):
        yield _about(Cause.NAME_MISMATCH, evidence, evidence.chain.leaf, name=evidence.host)


def _wrong_name(evidence: Evidence) -> bool:
    """By OpenSSL's verdict, and by the names themselves where it did not come to that."""
    leaf = evidence.chain.leaf
    if leaf is None:
        return False
    readable = bool(leaf.key)
    return evidence.code in verify.NAME or (readable and not matches(evidence.host, leaf.names))


def _by_code(evidence: Evidence) -> Iterator[Finding]:
    """What one verify code says by itself; the chain tells which certificate it is about."""
    code = evidence.code
    for codes, cause, fits in _CODES:
        if code in codes:
            links = evidence.chain.links
            guilty = next((each for at, each in enumerate(links) if fits(at, each)), None)
            yield _about(
                cause, evidence, guilty or _local_or_leaf(evidence, cause), reason=str(code)
            )


def _local_or_leaf(evidence: Evidence, cause: Cause) -> CertificateFacts | None:
    """Where no presented certificate fits: the anchor itself, for faults of CAs."""
    decided, top = evidence.decided, evidence.chain.top
    if decided is not None and top is not None and cause is not Cause.WRONG_PURPOSE:
        above = [each for each in decided.related if each.subject == top.issuer]
        if above:
            return above[0]
    return evidence.chain.leaf


Fits = Callable[[int, "CertificateFacts"], bool]
_CODES: tuple[tuple[frozenset[int], Cause, Fits], ...] = (
    (
        verify.BAD_CA,
        Cause.BAD_CA_CERTIFICATE,
        lambda at, each: at > 0 and (each.is_ca is not True or each.may_sign is False),
    ),
    (
        verify.SIGNATURE,
        Cause.WRONG_INTERMEDIATE,
        lambda at, each: not each.self_signed,
    ),
    (
        verify.CONSTRAINTS,
        Cause.NAME_CONSTRAINTS,
        lambda at, each: bool(each.permitted or each.excluded),
    ),
    (
        verify.EXTENSION,
        Cause.CRITICAL_EXTENSION,
        lambda at, each: bool(each.unhandled_critical),
    ),
    (verify.PURPOSE, Cause.WRONG_PURPOSE, lambda at, each: each.for_servers is False),
    (
        verify.WEAK_KEY,
        Cause.WEAK_KEY,
        lambda at, each: each.security_bits is not None and each.security_bits < 112,
    ),
    (
        verify.WEAK_SIGNATURE,
        Cause.WEAK_SIGNATURE,
        lambda at, each: each.signature_hash in {"md5", "sha1"} and not each.self_signed,
    ),
)


def _strictness(evidence: Evidence) -> Iterator[Finding]:
    """Refused for its form alone: the same anchors pass without ``--strict-certs``."""
    decided = evidence.decided
    if decided is not None and not decided.passed and _relaxed_passes(evidence):
        yield _about(
            Cause.STRICT_ONLY,
            evidence,
            evidence.chain.leaf,
            origin=decided.contender.decision.strict.origin,
            reason=str(evidence.code),
        )


def _relaxed_passes(evidence: Evidence) -> bool:
    relaxed = evidence.verdict(Role.RELAXED)
    return relaxed is not None and relaxed.passed


def _about(
    cause: Cause,
    evidence: Evidence,
    certificate: CertificateFacts | None,
    **specifics: object,
) -> Finding:
    given: dict[str, object] = {"name": evidence.host, **specifics}
    return Finding(cause=cause, hop=evidence.place.hop, certificate=certificate, **given)  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------
# What answered


def _portal(evidence: Evidence) -> Iterator[Finding]:
    """Somebody else answers, and leads to a page of his own."""
    said = evidence.capture.failure.said if evidence.capture.failure else b""
    answer = evidence.answer or read_answer(said)
    if answer is None:
        return
    location = answer.headers.get("location", "")
    elsewhere = _leads_elsewhere(location, evidence.host)
    stranger = _wrong_name(evidence) or bool(said) or is_public(evidence.host)
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


_RULES = (_sources, _portal, _route, _handshake, _nginx)
#: Where what was decided vouches for the peer, what else its chain holds is nobody's trouble.
_CERTIFICATE_RULES = (_vouching, _validity, _name, _by_code, _strictness)
