"""The diagnosis as a value, and as JSON. As text it is in :mod:`kedge.diagnose.text`.

Nothing is decided here. The JSON's ``version`` grows when a field changes its meaning or goes;
fields may be added at any time.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from kedge.classes import frozen
from kedge.diagnose import sentences
from kedge.model import Hop, NetworkOrigin, TrustDecision

if TYPE_CHECKING:
    from kedge.diagnose.chain import Chain
    from kedge.diagnose.comparison import Verdict
    from kedge.diagnose.evidence import Evidence, Finding
    from kedge.diagnose.facts import CertificateFacts
    from kedge.diagnose.remedies import Remedy

JSON_VERSION = 1


@frozen(kw_only=True)
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
        "trusted": sources_json(diagnosis.decision),
        "overridden": overridden_json(diagnosis.decision),
        "strict": diagnosis.decision.strict.value,
        "anchor": certificate_json(anchor) if anchor else None,
        "presented": [certificate_json(each) for each in chain.certificates] if chain else [],
        "path": list(chain.path) if chain else [],
        "missing_issuer": chain.missing_issuer if chain else None,
        "causes": [_finding_json(finding) for finding in diagnosis.findings],
        "verdicts": [_verdict_json(verdict) for verdict in diagnosis.verdicts],
        "remedies": [_remedy_json(remedy) for remedy in diagnosis.remedies],
        "seconds": round(diagnosis.seconds, 3),
    }


def sources_json(decision: TrustDecision) -> list[dict[str, Any]]:
    """What is trusted, and the setting behind each source."""
    return [
        {
            "kind": source.kind.value,
            "path": source.path,
            "setting": str(source.origin),
            "extra": source.extra,
        }
        for source in decision.sources
    ]


def overridden_json(decision: TrustDecision) -> list[dict[str, Any]]:
    """The settings that lost, and to what."""
    return [
        {"value": lost.setting.value, "setting": str(lost.setting.origin), "by": str(lost.by)}
        for lost in decision.overridden
    ]


def certificate_json(certificate: CertificateFacts) -> dict[str, Any]:
    """One certificate's facts."""
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
        "openssl": failure.words or None if failure else None,
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
