"""The same peer with each set of trust anchors that the user could choose, all at once.

A verdict comes from a handshake with the very context that an install would use
(:func:`kedge.trust.make_context`). A source that cannot be loaded is a verdict, too. What the
verdicts mean is :mod:`kedge.diagnose.causes`' business.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import Enum

from kedge import trust
from kedge.classes import field, frozen, replace
from kedge.diagnose.chain import Chain, read_certificate, related
from kedge.diagnose.facts import CertificateFacts
from kedge.diagnose.route import Answer, Place, head, reached
from kedge.diagnose.wire import Deadline, Failure, Step, StoppedError, TlsStream, stage
from kedge.errors import TrustError
from kedge.model import (
    Hop,
    Sourced,
    StoreKind,
    TrustDecision,
    TrustSource,
)
from kedge.trust.context import supposing_context
from kedge.trust.trusted import certificate_der

_PARALLEL = 8


class Role(Enum):
    """What a choice of anchors is, from the user's side."""

    DECIDED = "what was decided"
    CERTIFI = "certifi alone"
    SYSTEM = "the system's store alone"
    BUNDLE = "one bundle alone"
    ADDED = "what was decided, plus one bundle"
    RELAXED = "what was decided, without strictness"
    STRICT = "what was decided, with strictness"
    TRUSTSTORE = "what was decided, as truststore itself has it"


@frozen
class Contender:
    """One choice of anchors. ``bundle`` is the one that BUNDLE and ADDED are about."""

    role: Role
    decision: TrustDecision
    bundle: TrustSource | None = None


@frozen(kw_only=True)
class Verdict:
    """How one choice fared.

    ``passed``: the peer was verified. ``failure`` is what the handshake ended with otherwise,
    ``unusable`` why there was none. ``anchor`` is the certificate that vouched, ``related`` are
    the choice's anchors that bear the name of an issuer in the presented chain, and ``kin`` whether
    one is of the organisation that issued the leaf. ``answer`` and
    ``after`` are there for what was decided: the answer to ``HEAD /`` over the verified
    connection, or how waiting for it ended.
    """

    contender: Contender
    passed: bool = False
    failure: Failure | None = None
    unusable: TrustError | None = None
    anchor: CertificateFacts | None = None
    related: tuple[CertificateFacts, ...] = ()
    kin: bool = False
    answer: Answer | None = None
    after: Failure | None = None
    warnings: tuple[str, ...] = ()

    @property
    def role(self) -> Role:
        return self.contender.role

    @property
    def verify_code(self) -> int | None:
        """OpenSSL's ``X509_V_ERR_*`` where the certificate was refused."""
        return self.failure.verify_code if self.failure else None


@frozen(kw_only=True)
class Terms:
    """What is the same for every contender.

    ``client_cert`` is presented with the decided anchors alone, and only to a host that the user
    configured it for.
    """

    place: Place
    chain: Chain
    environ: Mapping[str, str]
    limit: float
    proxy_context: ssl.SSLContext | None = None
    client_cert: trust.ClientCertificate | None = field(default=None, repr=False)


def contenders(decision: TrustDecision) -> tuple[Contender, ...]:
    """What a user with this decision could choose instead, what was decided first.

    Bundles are those that some setting names, also where another setting overrode it.
    """
    lax = Sourced(False)
    certifi = TrustDecision((TrustSource(StoreKind.CERTIFI),), strict=decision.strict)
    system = TrustDecision((TrustSource(StoreKind.SYSTEM),), strict=decision.strict)
    named = tuple(named_bundles(decision))
    found = [
        Contender(Role.DECIDED, decision),
        Contender(Role.CERTIFI, certifi),
        Contender(Role.SYSTEM, system),
        *(
            Contender(Role.BUNDLE, TrustDecision((bundle,), strict=decision.strict), bundle)
            for bundle in named
        ),
        *(
            Contender(Role.ADDED, replace(decision, sources=(*decision.sources, bundle)), bundle)
            for bundle in named
            if bundle.path not in {each.path for each in decision.sources}
        ),
    ]
    if decision.strict.value:
        found.append(Contender(Role.RELAXED, replace(decision, strict=lax)))
    else:
        found.append(Contender(Role.STRICT, replace(decision, strict=Sourced(True))))
    return tuple(found)


def named_bundles(decision: TrustDecision) -> Iterator[TrustSource]:
    """Every bundle that a setting names, also where another setting overrode it."""
    seen: set[str | None] = set()
    for source in decision.sources:
        if source.kind is StoreKind.BUNDLE and source.path not in seen:
            seen.add(source.path)
            yield replace(source, extra=False)
    for lost in decision.overridden:
        if lost.setting.value not in seen:
            seen.add(lost.setting.value)
            yield TrustSource(StoreKind.BUNDLE, lost.setting.origin, lost.setting.value)


def compare(those: Iterable[Contender], terms: Terms) -> tuple[Verdict, ...]:
    """A verdict for each contender, in their order; nothing is raised for what is found.

    Contenders that come to the same anchors share one handshake.
    """
    listed = tuple(those)
    shared: dict[object, Contender] = {}
    for each in listed:
        shared.setdefault(anchors_of(each), each)
    deadline = Deadline.after(terms.limit)
    with ThreadPoolExecutor(_PARALLEL, "compare") as threads:
        found = dict(
            zip(
                shared,
                threads.map(lambda each: _try(each, terms, deadline), shared.values()),
                strict=True,
            )
        )
    return tuple(replace(found[anchors_of(each)], contender=each) for each in listed)


def beyond(terms: Terms, decision: TrustDecision) -> int | None:
    """OpenSSL's verify code once the top of what was presented is supposed to be trusted.

    What else is wrong shows only then: OpenSSL stops at the first error. ``None`` where nothing
    is, or where it did not come to a verdict.
    """
    top = terms.chain.top
    if top is None:
        return None
    try:
        context = supposing_context(top.der, strict=decision.strict.value)
    except ssl.SSLError:
        return None
    supposed = Verdict(contender=Contender(Role.ADDED, decision))
    deadline = Deadline.after(terms.limit)
    return _shake(supposed, terms.place, deadline, context, terms.proxy_context).verify_code


def anchors_of(contender: Contender) -> object:
    """Equal for contenders that come to the same anchors, strictness and way of verifying."""
    decision = contender.decision
    sources = frozenset((source.kind, source.path) for source in decision.sources)
    return sources, decision.strict.value, contender.role is Role.TRUSTSTORE


def _try(contender: Contender, terms: Terms, deadline: Deadline) -> Verdict:
    decided = contender.role is Role.DECIDED
    try:
        anchors = trust.load(contender.decision, environ=terms.environ)
        client = terms.client_cert if decided else None
        if contender.role is Role.TRUSTSTORE:
            context = trust.truststore_context(anchors)
        else:
            context = trust.make_context(anchors, client_cert=client)
    except TrustError as exc:
        return Verdict(contender=contender, unusable=exc)
    named, kin = related(_certificates(anchors), terms.chain)
    verdict = Verdict(
        contender=contender,
        related=named,
        kin=kin,
        warnings=anchors.warnings,
    )
    proxy_context = terms.proxy_context
    if decided and terms.place.proxy is not None and proxy_context is None:
        proxy_context = trust.make_context(anchors)
    return _shake(verdict, terms.place, deadline, context, proxy_context)


def _certificates(anchors: trust.Anchors) -> Iterator[bytes]:
    """Those that were read. What a platform lists says nothing about what it would accept."""
    for loaded in anchors.sources:
        for block in loaded.blocks:
            yield certificate_der(block)


def _shake(
    verdict: Verdict,
    place: Place,
    deadline: Deadline,
    context: ssl.SSLContext,
    proxy_context: ssl.SSLContext | None,
) -> Verdict:
    try:
        with reached(place, deadline, proxy_context) as stream:
            tls = TlsStream(stream, context, place.origin.host)
            with stage(Step.TLS, place.hop, tls):
                tls.handshake()
            built = tls.verified()
            verdict = replace(
                verdict, passed=True, anchor=read_certificate(built[-1]) if built else None
            )
            if verdict.role is Role.DECIDED and place.hop is Hop.SERVER:
                try:
                    verdict = replace(verdict, answer=head(tls, place))
                except StoppedError as stopped:
                    verdict = replace(verdict, after=stopped.failure)
    except StoppedError as stopped:
        verdict = replace(verdict, failure=stopped.failure)
    return verdict
