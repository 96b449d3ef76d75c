"""The diagnosis as a value, as lines of plain text, and as JSON.

Readable without colour; nothing is decided here. The JSON's ``version`` grows when a field changes
its meaning or goes; fields may be added at any time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kedge.diagnose import sentences
from kedge.diagnose.comparison import Role, anchors_of
from kedge.model import Hop, NetworkOrigin, TrustDecision

if TYPE_CHECKING:
    from kedge.diagnose.chain import CertificateFacts, Chain
    from kedge.diagnose.comparison import Verdict
    from kedge.diagnose.evidence import Evidence, Finding
    from kedge.diagnose.remedies import Remedy

JSON_VERSION = 1
#: Where it matters that the chain ends without its issuer; a root is left out everywhere.
_ISSUER_MATTERS = frozenset(
    {"untrusted-root", "tls-interception", "missing-intermediate", "wrong-intermediate"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Why one connection failed, or that it did not, and what to do.

    ``peer`` and ``hop`` say who is meant: the server, or the proxy before it; both are ``None``
    where a source of trust could not be loaded, and nobody was asked. ``url`` is redacted.
    ``sound``: the peer was verified with what was decided, and nothing is wrong. Without findings
    and not sound, nothing here explains it. ``seconds`` is what the probe took.
    """

    url: str
    decision: TrustDecision
    findings: tuple[Finding, ...]
    remedies: tuple[Remedy, ...]
    peer: NetworkOrigin | None = None
    hop: Hop = Hop.SERVER
    evidence: Evidence | None = None
    sound: bool = False
    seconds: float = 0.0

    @property
    def codes(self) -> tuple[str, ...]:
        """The stable codes of the causes."""
        return tuple(finding.cause.value for finding in self.findings)

    @property
    def chain(self) -> Chain | None:
        """What was presented."""
        return self.evidence.chain if self.evidence else None

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return self.evidence.verdicts if self.evidence else ()

    @property
    def vouching(self) -> CertificateFacts | None:
        """The anchor that vouches with what was decided."""
        decided = self.evidence.decided if self.evidence else None
        return decided.anchor if decided else None


# --------------------------------------------------------------------------------------------
# Text


def lines(diagnosis: Diagnosis) -> Iterator[str]:
    """The whole report, a line at a time: what failed, trust, chain, causes, remedies."""
    yield from _headline(diagnosis)
    yield f"Trusted: {diagnosis.decision}"
    for lost in diagnosis.decision.overridden:
        yield f"  not in force: {lost.setting.value} ({lost.setting.origin}), because of {lost.by}"
    chain = diagnosis.chain
    if chain is not None and chain.certificates:
        yield "Presented:"
        for number, certificate in enumerate(chain.certificates, start=1):
            yield from _certificate(number, certificate)
        if chain.missing_issuer and _ISSUER_MATTERS.intersection(diagnosis.codes):
            yield f"  and not its issuer: {chain.missing_issuer}"
    for finding in diagnosis.findings:
        yield f"Cause: {finding.cause.value}"
        yield f"  {sentences.sentence(finding)}"
    if not diagnosis.findings and not diagnosis.sound:
        yield "Cause: none that is known here explains it."
    yield from _verdicts(diagnosis)
    for number, remedy in enumerate(diagnosis.remedies, start=1):
        yield from _remedy(number, remedy)


def _headline(diagnosis: Diagnosis) -> Iterator[str]:
    if diagnosis.peer is None:
        yield "A source of trust cannot be used; nothing was connected to."
    elif diagnosis.sound:
        anchor = diagnosis.vouching
        by = f", vouched for by “{anchor.label}” (SHA-256 {anchor.fingerprint})" if anchor else ""
        yield f"Sound: the {diagnosis.hop.value} {diagnosis.peer.hostport}{by}."
    else:
        yield f"Failed: the {diagnosis.hop.value} {diagnosis.peer.hostport}, for {diagnosis.url}"


def _certificate(number: int, certificate: CertificateFacts) -> Iterator[str]:
    yield f"  {number}. {certificate.subject or certificate.label}"
    if certificate.issuer:
        own = " (itself)" if certificate.self_signed else ""
        yield f"     issued by {certificate.issuer}{own}"
    if certificate.not_before and certificate.not_after:
        yield f"     valid {_moment(certificate.not_before)} to {_moment(certificate.not_after)}"
    yield f"     SHA-256 {certificate.fingerprint}"


def _verdicts(diagnosis: Diagnosis) -> Iterator[str]:
    if not diagnosis.verdicts or diagnosis.sound:
        return
    yield "Tried:"
    told: set[object] = set()
    for verdict in diagnosis.verdicts:
        same = anchors_of(verdict.contender)
        if same not in told and verdict.role is not Role.STRICT:
            told.add(same)
            yield f"  {sentences.verdict(verdict)}"


def _remedy(number: int, remedy: Remedy) -> Iterator[str]:
    yield f"Remedy {number}: {remedy.what}"
    if remedy.risk:
        yield f"  Risk: {remedy.risk}"
    for step in remedy.first:
        yield f"  First: {step}"
    for command in remedy.commands:
        yield f"    {command}"
    if remedy.to_operator:
        yield f"    {remedy.to_operator}"
    if remedy.lasting:
        yield "  To make it last:"
        for command in remedy.lasting:
            yield f"    {command}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


# --------------------------------------------------------------------------------------------
# JSON


def as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Plain values for ``json.dumps``. Moments are ISO 8601 in UTC, fingerprints lower-case hex."""
    anchor = diagnosis.vouching
    chain = diagnosis.chain
    return {
        "version": JSON_VERSION,
        "url": diagnosis.url,
        "peer": diagnosis.peer.hostport if diagnosis.peer else None,
        "hop": diagnosis.hop.value,
        "sound": diagnosis.sound,
        "trusted": [
            {
                "kind": source.kind.value,
                "path": source.path,
                "setting": str(source.origin),
                "extra": source.extra,
            }
            for source in diagnosis.decision.sources
        ],
        "overridden": [
            {"value": lost.setting.value, "setting": str(lost.setting.origin), "by": str(lost.by)}
            for lost in diagnosis.decision.overridden
        ],
        "strict": diagnosis.decision.strict.value,
        "anchor": _certificate_json(anchor) if anchor else None,
        "presented": [_certificate_json(each) for each in chain.certificates] if chain else [],
        "path": list(chain.path) if chain else [],
        "missing_issuer": chain.missing_issuer if chain else None,
        "causes": [_finding_json(finding) for finding in diagnosis.findings],
        "verdicts": [_verdict_json(verdict) for verdict in diagnosis.verdicts],
        "remedies": [_remedy_json(remedy) for remedy in diagnosis.remedies],
        "seconds": round(diagnosis.seconds, 3),
    }


def _certificate_json(certificate: CertificateFacts) -> dict[str, Any]:
    return {
        "sha256": certificate.sha256,
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "not_before": _iso(certificate.not_before),
        "not_after": _iso(certificate.not_after),
        "names": list(certificate.names),
        "key": certificate.key,
        "signature_hash": certificate.signature_hash,
        "is_ca": certificate.is_ca,
        "self_signed": certificate.self_signed,
        "issuer_urls": list(certificate.issuer_urls),
    }


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.cause.value,
        "hop": finding.hop.value,
        "sentence": sentences.sentence(finding),
        "certain": finding.certain,
        "certificate": finding.certificate.sha256 if finding.certificate else None,
        "moment": _iso(finding.moment),
        "name": finding.name or None,
        "issuer": finding.issuer or None,
        "product": finding.product or None,
        "hosts": list(finding.hosts),
        "contradicts": [each.sha256 for each in finding.known],
        "protocol": finding.protocol or None,
        "cipher": finding.cipher or None,
        "alert": finding.alert,
        "status": finding.status,
        "url": finding.url or None,
        "path": finding.path or None,
        "setting": str(finding.origin) if finding.origin else None,
        "said": sentences.printable(finding.said) or None,
        "clock_ahead_seconds": finding.skew.total_seconds() if finding.skew else None,
    }


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    failure = verdict.failure
    return {
        "role": verdict.role.name.lower(),
        "trusted": str(verdict.contender.decision),
        "passed": verdict.passed,
        "verify_code": verdict.verify_code,
        "reason": failure.reason if failure else None,
        "unusable": verdict.unusable.message if verdict.unusable else None,
        "anchor": verdict.anchor.sha256 if verdict.anchor else None,
    }


def _remedy_json(remedy: Remedy) -> dict[str, Any]:
    return {
        "kind": remedy.kind.value,
        "what": remedy.what,
        "first": list(remedy.first),
        "commands": list(remedy.commands),
        "lasting": list(remedy.lasting),
        "proven": remedy.proven,
        "to_operator": remedy.to_operator or None,
        "risk": remedy.risk or None,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
