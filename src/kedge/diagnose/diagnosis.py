"""From an error, or a URL, to a diagnosis: the one entry for commands.

It contacts the peer of the error and its proxy, once each for the probe and once for each choice
of anchors, and the other configured hosts where an unknown issuer is to be compared; for an error
that came before the network, nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from kedge.classes import replace
from kedge.diagnose.causes import find_causes
from kedge.diagnose.commands import User
from kedge.diagnose.connections import of_source
from kedge.diagnose.evidence import Cause, Evidence, Finding, Neighbour
from kedge.diagnose.examine import (
    Examination,
    Surroundings,
    examine,
    examine_proxy,
    neighbour_at,
)
from kedge.diagnose.names import unrelated
from kedge.diagnose.remedies import find_remedies, mend_source, refused_address
from kedge.diagnose.report import Diagnosis
from kedge.diagnose.wire import Trouble
from kedge.errors import (
    BundleError,
    ConnectionFailedError,
    ConnectionTimeoutError,
    EmptySystemStoreError,
    HttpStatusError,
    InsecureLocationError,
    InsecureRedirectError,
    KedgeError,
    NotAnIndexError,
    VerificationError,
)
from kedge.model import Hop, redact_url, strip_secrets
from kedge.transport.locations import locate
from kedge.transport.proxies import Proxy

#: Statuses that may be about the connection: nginx's about client certificates, and RFC 6585's 511.
_ABOUT_THE_CONNECTION = frozenset({400, 407, 495, 496, 511})
#: Seconds for a second look at what has just been waited for in vain.
_ENOUGH = 2.0


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
            return _of_source(error, surroundings, user)
        case VerificationError():
            found = _examined(error.url, surroundings, error.verify_code, neighbours)
            concluded = _concluded(error.url, found, surroundings, user)
            return _beside_others(concluded, surroundings, user)
        case ConnectionTimeoutError():
            brief = replace(surroundings, limit=min(surroundings.limit, _ENOUGH))
            found = _examined(error.url, brief, None, neighbours)
            return _concluded(error.url, _with(found, _cut_later), surroundings, user)
        case ConnectionFailedError():
            found = _examined(error.url, surroundings, None, neighbours)
            return _concluded(error.url, _with(found, _cut_later), surroundings, user)
        case HttpStatusError() if error.status in _ABOUT_THE_CONNECTION:
            found = _examined(error.url, surroundings, None, neighbours)
            return _concluded(error.url, found, surroundings, user) if found.findings else None
        case NotAnIndexError() if error.url.startswith(("http://", "https://")):
            known = diagnose_url(error.url, surroundings, user, neighbours=neighbours)
            return no_index(known, error, user)
        case InsecureRedirectError():
            return _before_connecting(
                error.url,
                Finding(cause=Cause.INSECURE_REDIRECT, url=error.target),
                surroundings,
                user,
            )
        case InsecureLocationError():
            plain = Finding(cause=Cause.NOT_TLS, url=error.url)
            return _before_connecting(error.url, plain, surroundings, user)
        case _:
            return None


def diagnose_url(
    url: str,
    surroundings: Surroundings,
    user: User,
    *,
    neighbours: tuple[Neighbour, ...] = (),
) -> Diagnosis:
    """The same for a URL of which no failure is known. Credentials in it are not used."""
    found = _examined(url, surroundings, None, neighbours)
    return _concluded(url, found, surroundings, user)


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


#: More hosts than this tell no more.
_OTHERS = 3


def _beside_others(diagnosis: Diagnosis, surroundings: Surroundings, user: User) -> Diagnosis:
    """Whether an unknown issuer signs other hosts, too: a glance at some that are unrelated."""
    peer = diagnosis.peer
    if Cause.UNTRUSTED_ROOT.value not in diagnosis.codes or peer is None:
        return diagnosis
    worth = sorted(
        (each for each in surroundings.others if unrelated(each.host, peer.host)),
        key=lambda each: each.host,
    )
    secure = [each for each in worth if each.scheme == "https"][:_OTHERS]
    if diagnosis.hop is Hop.PROXY or not secure:
        return diagnosis
    with ThreadPoolExecutor(_OTHERS, "glance") as threads:
        seen = threads.map(lambda each: neighbour_at(each, surroundings), secure)
        return beside(diagnosis, tuple(each for each in seen if each is not None), user)


def _examined(
    url: str, surroundings: Surroundings, code: int | None, neighbours: tuple[Neighbour, ...]
) -> Examination:
    return examine(strip_secrets(url), surroundings, verify_code=code, neighbours=neighbours)


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


def _with(found: Examination, rule: Callable[[Evidence], Iterator[Finding]]) -> Examination:
    """The examination with what only the failed command could know."""
    return replace(found, findings=(*found.findings, *rule(found.evidence)))


def _cut_later(evidence: Evidence) -> Iterator[Finding]:
    """A handshake is through, and then comes nothing, or the end, be it in the one that verifies:
    a command met the same."""
    decided = evidence.decided
    ended = evidence.capture.after if decided is None else decided.after or decided.failure
    cause = {Trouble.TIMEOUT: Cause.TIMEOUT, Trouble.CUT: Cause.CONNECTION_CUT}.get(
        ended.trouble if ended is not None else Trouble.ALERT
    )
    if cause is not None and evidence.capture.failure is None:
        yield Finding(cause=cause, hop=evidence.place.hop, name=evidence.place.origin.hostport)


def no_index(diagnosis: Diagnosis, error: NotAnIndexError, user: User) -> Diagnosis:
    """The diagnosis with what the index's answer showed; nobody is contacted."""
    evidence = diagnosis.evidence
    if evidence is None:
        return diagnosis
    found = Finding(cause=Cause.NOT_AN_INDEX, name=evidence.host, url=error.url)
    return _knowing(diagnosis, (found,), evidence, user)


def fell_silent(diagnosis: Diagnosis, error: ConnectionFailedError, user: User) -> Diagnosis:
    """The diagnosis of a sound handshake after which a request failed as the probe's did; nobody
    is contacted."""
    evidence = diagnosis.evidence
    found = tuple(_cut_later(evidence)) if evidence is not None else ()
    if evidence is None or not found or diagnosis.findings or error.peer != diagnosis.peer:
        return diagnosis
    return _knowing(diagnosis, found, evidence, user)


def _knowing(
    diagnosis: Diagnosis, more: tuple[Finding, ...], evidence: Evidence, user: User
) -> Diagnosis:
    findings = (*diagnosis.findings, *more)
    remedies = find_remedies(findings, evidence, user)
    return replace(diagnosis, findings=findings, remedies=remedies, sound=False)


def _of_source(
    error: BundleError | EmptySystemStoreError, surroundings: Surroundings, user: User
) -> Diagnosis:
    finding = of_source(error)
    findings = (finding,) if finding else ()
    remedies = tuple(remedy for each in findings for remedy in mend_source(each, user))
    return Diagnosis(url="", decision=surroundings.decision, findings=findings, remedies=remedies)


def _before_connecting(
    url: str, finding: Finding, surroundings: Surroundings, user: User
) -> Diagnosis:
    """What is refused for its address alone: there is nobody to ask more."""
    peer = locate(url).origin
    named = replace(finding, name=peer.host)
    return Diagnosis(
        url=url,
        decision=surroundings.decision,
        findings=(named,),
        remedies=tuple(refused_address(named, peer, user)),
        peer=peer,
    )
