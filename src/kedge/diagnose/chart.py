"""Draws one connection: the way to the peer, and the chain from leaf to root with its break.

From evidence to markup; every word of a certificate goes through :mod:`.markup`, which escapes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from kedge.diagnose import sentences, verify
from kedge.diagnose.comparison import Role, Verdict, anchors_of
from kedge.diagnose.markup import Html, element, joined
from kedge.model import Hop

if TYPE_CHECKING:
    from kedge.diagnose.chain import Chain
    from kedge.diagnose.evidence import Evidence, Finding
    from kedge.diagnose.facts import CertificateFacts
    from kedge.diagnose.report import Diagnosis

#: A chain longer than any honest one is cut here.
_MOST = 8


def route(diagnosis: Diagnosis) -> Html:
    """This machine, the proxy if there is one, the server; and where the way ends."""
    evidence = diagnosis.evidence
    if evidence is None:
        return joined()
    failure = evidence.capture.failure
    proxy = evidence.proxy
    at_proxy = diagnosis.hop is Hop.PROXY or (failure is not None and failure.hop is Hop.PROXY)
    nodes = [_node("this machine")]
    if proxy is not None:
        broken = at_proxy and bool(diagnosis.findings)
        nodes.append(_way("✕ fails" if broken else "→", bad=broken))
        nodes.append(_node(f"proxy {proxy.origin.hostport}"))
    if evidence.place.hop is Hop.SERVER:
        broken = not at_proxy and bool(diagnosis.findings)
        nodes.append(_way("✕ fails" if broken else "→", bad=broken))
        nodes.append(_node(f"server {evidence.place.origin.hostport}"))
    return element("ol", *nodes, class_="route", aria_label="The way")


def _node(text: str) -> Html:
    return element("li", element("span", text, class_="node"))


def _way(text: str, *, bad: bool) -> Html:
    return element("li", element("span", text, class_="way bad" if bad else "way"))


# --------------------------------------------------------------------------------------------
# The chain


def chain(diagnosis: Diagnosis) -> Html | None:
    """The certificates, leaf first, and above them the root that vouches or is missing."""
    presented, evidence = diagnosis.chain, diagnosis.evidence
    if presented is None or evidence is None or not presented.certificates:
        return None
    links = presented.links[:_MOST]
    told: list[Html] = []
    for at, certificate in enumerate(links):
        if at:
            told.append(element("li", "↑ signed by", class_="joint"))
        told.append(_card(certificate, _role(certificate, at), diagnosis, evidence.now))
    told += _above(diagnosis, evidence, presented)
    drawn = element("ol", *told, class_="chain", aria_label="The chain, from leaf to root")
    if not presented.unused:
        return drawn
    names = ", ".join(f"“{each.label}”" for each in presented.unused[:_MOST])
    return joined(drawn, element("p", f"Presented, and no part of it: {names}.", class_="soft"))


def _role(certificate: CertificateFacts, at: int) -> str:
    if at == 0:
        own = ", signed by itself" if certificate.self_signed else ""
        return f"1. The peer's own certificate (leaf){own}"
    return f"{at + 1}. {'Root' if certificate.self_signed else 'Intermediate'}, presented"


def _above(diagnosis: Diagnosis, evidence: Evidence, presented: Chain) -> Iterator[Html]:
    """What ends the chain: the anchor of what is in force, or the break."""
    anchor, top = diagnosis.vouching, presented.top
    passed = evidence.decided is not None and evidence.decided.passed
    if passed:
        if anchor is not None and all(anchor.sha256 != each.sha256 for each in presented.links):
            yield element("li", "↑ signed by", class_="joint")
            yield _card(anchor, "Root, from what is trusted here", diagnosis, evidence.now)
        where = holders(evidence)
        known = f" Held by: {', '.join(where)}." if where else ""
        yield element("li", f"✓ Trusted.{known}", class_="joint mark good")
        return
    if evidence.code in verify.NO_ANCHOR:
        yield element("li", "✕ The chain breaks here", class_="joint bad")
        yield element("li", _end(evidence, presented), class_="card missing")
        return
    for each in evidence.decided.related if evidence.decided is not None else ():
        if top is not None and each.subject == top.issuer:
            yield element("li", "↑ signed by", class_="joint")
            yield _card(each, "From what is trusted here", diagnosis, evidence.now)
            break
    if evidence.code is not None:
        yield element("li", "✕ Not accepted: see why above", class_="joint bad")


def _end(evidence: Evidence, presented: Chain) -> Html:
    where = holders(evidence)
    root = presented.root
    role = "Nothing in force vouches for" if root else "The issuer, not presented"
    name = f"“{root.label}”" if root else presented.missing_issuer
    told = "In none of the stores that were tried."
    if where:
        told = f"Not trusted now, but known to: {', '.join(where)}."
    return joined(
        element("p", role, class_="role"), element("p", name, class_="name"), element("p", told)
    )


def _card(certificate: CertificateFacts, role: str, diagnosis: Diagnosis, now: datetime) -> Html:
    faults = [each for each in diagnosis.findings if _is_about(each, certificate)]
    good = diagnosis.vouching is not None and diagnosis.vouching.sha256 == certificate.sha256
    return element(
        "li",
        element("p", role, class_="role"),
        element("p", certificate.label, class_="name"),
        _facts(certificate, now),
        *(element("p", f"✕ {each.cause.value}", class_="mark bad") for each in faults),
        class_="card bad" if faults else "card good" if good else "card",
    )


def _is_about(finding: Finding, certificate: CertificateFacts) -> bool:
    about = finding.certificate
    return about is not None and about.sha256 == certificate.sha256


def _facts(certificate: CertificateFacts, now: datetime) -> Html:
    key = ", ".join(filter(None, (certificate.key, certificate.signature_hash.upper())))
    rows = [
        ("Subject", certificate.subject),
        ("Issued by", "itself" if certificate.self_signed else certificate.issuer),
        ("Names", _shortened(certificate.names)),
        ("Valid", _validity(certificate, now)),
        ("Key", key),
    ]
    return element(
        "dl",
        *(joined(element("dt", name), element("dd", text)) for name, text in rows if text),
        element("dt", "SHA-256"),
        element("dd", *pairs(certificate.fingerprint), class_="print"),
    )


def pairs(fingerprint: str) -> Iterator[Html]:
    """The fingerprint, to be wrapped after a colon and nowhere else."""
    for pair in fingerprint.replace(":", ": ").split():
        yield joined(element("span", pair), element("wbr"))


def _shortened(names: Sequence[str]) -> str:
    more = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {more} more" if more > 0 else "")


def _validity(certificate: CertificateFacts, now: datetime) -> str:
    start, end = certificate.not_before, certificate.not_after
    if start is None or end is None:
        return ""
    state = " (expired)" if end < now else " (not yet)" if start > now else ""
    return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC{state}"


# --------------------------------------------------------------------------------------------
# The stores


def holders(evidence: Evidence) -> list[str]:
    """The stores that vouch for the chain, in words; what is trusted now is not named."""
    found = [
        sentences.choice(verdict)
        for verdict in evidence.verdicts
        if verdict.passed and verdict.role in {Role.CERTIFI, Role.SYSTEM, Role.BUNDLE}
    ]
    return list(dict.fromkeys(found))


def stores(diagnosis: Diagnosis) -> Html | None:
    """Each choice of anchors, and how the peer fared with it; strictness where all else passed."""
    rows: list[Html] = []
    told: set[object] = set()
    for verdict in diagnosis.verdicts:
        same = anchors_of(verdict.contender)
        if same not in told and (diagnosis.sound or verdict.role is not Role.STRICT):
            told.add(same)
            rows.append(_store(verdict))
    return element("ul", *rows, class_="stores") if rows else None


def _store(verdict: Verdict) -> Html:
    mood, word = ("good", "accepts") if verdict.passed else ("bad", "refuses")
    if verdict.unusable is not None:
        mood, word = "warn", "unusable"
    name = sentences.choice(verdict)
    if verdict.role is Role.DECIDED:
        name = f"{name}: {verdict.contender.decision}"
    return element(
        "li",
        element("span", word, class_=f"badge {mood}"),
        element("span", name[:1].upper() + name[1:]),
        element("p", sentences.fared(verdict), class_="soft"),
    )
