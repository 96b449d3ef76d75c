"""From an error, or a URL, to a diagnosis: the one entry for commands.

It contacts the peer of the error and its proxy, once each for the probe and once for each choice
of anchors; for an error that came before the network, nobody.
"""

from __future__ import annotations

from dataclasses import replace

from kedge.diagnose.causes import find_causes
from kedge.diagnose.commands import User
from kedge.diagnose.connections import of_source
from kedge.diagnose.evidence import Cause, Finding, Neighbour
from kedge.diagnose.examine import Examination, Surroundings, examine, examine_proxy
from kedge.diagnose.operators import CHECKS
from kedge.diagnose.remedies import Remedy, RemedyKind, find_remedies, mend_source
from kedge.diagnose.report import Diagnosis
from kedge.errors import (
    BundleError,
    ConnectionFailedError,
    EmptySystemStoreError,
    HttpStatusError,
    KedgeError,
    PageError,
    VerificationError,
)
from kedge.model import Hop, NetworkOrigin, redact_url, strip_userinfo
from kedge.transport.proxies import Proxy

#: Statuses that may be about the connection: nginx's about client certificates, and RFC 6585's 511.
_ABOUT_THE_CONNECTION = frozenset({400, 407, 495, 496, 511})


def diagnose(
    error: KedgeError,
    surroundings: Surroundings,
    user: User,
    *,
    neighbours: tuple[Neighbour, ...] = (),
) -> Diagnosis | None:
    """Why it failed and what to do; ``None`` for errors that no connection and no trust is behind.

    Takes no longer than twice ``surroundings.limit`` (three times where the server speaks only
    what is out of date), and raises only for settings that cannot be read. Ask it once for each
    host: the caller knows which it has reported.
    """
    match error:
        case BundleError() | EmptySystemStoreError():
            finding = of_source(error)
            findings = (finding,) if finding else ()
            remedies = tuple(remedy for each in findings for remedy in mend_source(each, user))
            return Diagnosis(
                url="", decision=surroundings.decision, findings=findings, remedies=remedies
            )
        case ConnectionFailedError():
            code = error.verify_code if isinstance(error, VerificationError) else None
            return diagnose_url(
                error.url, surroundings, user, verify_code=code, neighbours=neighbours
            )
        case HttpStatusError() if error.status in _ABOUT_THE_CONNECTION:
            found = diagnose_url(error.url, surroundings, user, neighbours=neighbours)
            return found if found.findings else None
        case PageError():
            return _not_an_index(error, surroundings)
        case _:
            return None


def diagnose_url(
    url: str,
    surroundings: Surroundings,
    user: User,
    *,
    verify_code: int | None = None,
    neighbours: tuple[Neighbour, ...] = (),
) -> Diagnosis:
    """The same for a URL of which no failure is known. Credentials in it are not used."""
    examination = examine(
        strip_userinfo(url), surroundings, verify_code=verify_code, neighbours=neighbours
    )
    return _concluded(url, examination, surroundings, user)


def diagnose_proxy(proxy: Proxy, surroundings: Surroundings, user: User) -> Diagnosis:
    """The same for an ``https://`` proxy itself, as a peer to shake hands with."""
    return _concluded(proxy.url, examine_proxy(proxy, surroundings), surroundings, user)


def beside(diagnosis: Diagnosis, neighbours: tuple[Neighbour, ...], user: User) -> Diagnosis:
    """The diagnosis anew, knowing which issuers other hosts present; nobody is contacted."""
    if diagnosis.evidence is None:
        return diagnosis
    evidence = replace(diagnosis.evidence, neighbours=neighbours)
    findings = find_causes(evidence)
    remedies = find_remedies(findings, evidence, user)
    return replace(diagnosis, evidence=evidence, findings=findings, remedies=remedies)


def _concluded(
    url: str, examination: Examination, surroundings: Surroundings, user: User
) -> Diagnosis:
    evidence = examination.evidence
    failure, proxy = evidence.capture.failure, evidence.proxy
    at_proxy = proxy is not None and failure is not None and failure.hop is Hop.PROXY
    return Diagnosis(
        url=redact_url(url),
        decision=surroundings.decision,
        findings=examination.findings,
        remedies=find_remedies(examination.findings, evidence, user),
        peer=proxy.origin if at_proxy and proxy is not None else evidence.place.origin,
        hop=Hop.PROXY if at_proxy else evidence.place.hop,
        evidence=evidence,
        sound=examination.sound,
        seconds=evidence.capture.seconds,
    )


def _not_an_index(error: PageError, surroundings: Surroundings) -> Diagnosis | None:
    try:
        peer = NetworkOrigin.of(error.url)
    except ValueError:
        return None  # a file, or a folder
    finding = Finding(cause=Cause.NOT_AN_INDEX, name=peer.host, url=error.url)
    remedy = Remedy(kind=RemedyKind.CHECK, what=CHECKS[Cause.NOT_AN_INDEX](finding))
    return Diagnosis(
        url=error.url,
        decision=surroundings.decision,
        findings=(finding,),
        remedies=(remedy,),
        peer=peer,
    )
