"""Decides why a connection failed: from values to findings, each with what it is about.

Recognised from OpenSSL's verify codes, from the presented chain and from how other sources of
trust fared; never from the text of a message. No clock, no file and no network here: the moment
is part of the evidence. Several causes may hold at once, and all are found; the first is what
stopped the connection, as far as that can be told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from kedge.diagnose import connections, verify
from kedge.diagnose.comparison import Role
from kedge.diagnose.evidence import Cause, Evidence, Finding
from kedge.diagnose.names import is_public, product_of, unrelated

if TYPE_CHECKING:
    from kedge.diagnose.facts import CertificateFacts


def find_causes(evidence: Evidence) -> tuple[Finding, ...]:
    """Every cause that the evidence shows, that which stopped the connection first.

    Empty where nothing is wrong, and where nothing explains what is.
    """
    findings: list[Finding] = []
    decided = evidence.decided
    sound = evidence.unverified or (decided is not None and decided.passed)
    for rule in _RULES if sound else (*_RULES, *_CERTIFICATE_RULES):
        for finding in rule(evidence):
            if all(finding.cause is not known.cause for known in findings):
                findings.append(finding)
    return tuple(findings)


# --------------------------------------------------------------------------------------------
# What vouches for it


def _vouching(evidence: Evidence) -> Iterator[Finding]:
    """No anchor vouches for the chain: why not."""
    chain, code = evidence.chain, evidence.code
    if code not in verify.NO_ANCHOR or chain.leaf is None:
        return
    intercepted = tuple(interception(evidence))
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
    certain = chain.root is not None or bool(contradicted) or evidence.knowing is not None
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
    elif not certain and top.issuer_urls and decided is not None and decided.kin:
        # An intermediate without its issuer, of an organisation that is trusted here.
        yield _about(Cause.MISSING_INTERMEDIATE, evidence, top, issuer=top.issuer, certain=False)
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


def interception(evidence: Evidence) -> Iterator[Finding]:
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
        if each.issuer == top.issuer and unrelated(each.host, evidence.host)
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


def _broken_link(evidence: Evidence) -> Iterator[Finding]:
    """An issuer was presented, and is not what it must be."""
    chain = evidence.chain
    top = chain.top
    if chain.impostors and top is not None and evidence.knowing is None:
        wrong = chain.certificates[chain.impostors[0]]
        yield _about(Cause.WRONG_INTERMEDIATE, evidence, wrong, issuer=top.issuer, name=top.label)


def _bad_links(evidence: Evidence) -> Iterator[Finding]:
    """Certificates that signed others and may not, whoever is at the top."""
    for each in evidence.chain.links[1:]:
        if each.may_sign is False or (each.is_ca is not True and not each.self_signed):
            yield _about(Cause.BAD_CA_CERTIFICATE, evidence, each)


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
    if evidence.wrong_name:
        yield _about(Cause.NAME_MISMATCH, evidence, evidence.chain.leaf, name=evidence.host)


def _by_code(evidence: Evidence) -> Iterator[Finding]:
    """What a verify code says by itself; the chain tells which certificate it is about.

    Behind an unknown issuer there may be more, which shows when that is supposed to be known.
    """
    for code in filter(None, (evidence.code, evidence.beyond)):
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


def _overlong(at: int, each: CertificateFacts) -> bool:
    """Whether more CAs stand below it than it allows (RFC 5280, section 4.2.1.9)."""
    return each.path_length is not None and at - 1 > each.path_length


Fits = Callable[[int, "CertificateFacts"], bool]
_CODES: tuple[tuple[frozenset[int], Cause, Fits], ...] = (
    (
        verify.BAD_CA,
        Cause.BAD_CA_CERTIFICATE,
        lambda at, each: (
            at > 0 and (each.is_ca is not True or each.may_sign is False or _overlong(at, each))
        ),
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
            reason=decided.failure.words if decided.failure else "",
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


_RULES = (
    connections.sources,
    connections.portal,
    connections.route,
    connections.handshake,
    connections.nginx,
)
#: Where what was decided vouches for the peer, what else its chain holds is nobody's trouble.
_CERTIFICATE_RULES = (_vouching, _validity, _name, _by_code, _strictness)
