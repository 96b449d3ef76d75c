"""Decides what can be done about the causes, best first: from values to commands and sentences.

A choice of other anchors is offered only where a handshake with it passed. What lowers protection
comes last, for one host, with its risk; where somebody seems to sit in the line, and for a proxy,
it does not come at all. Where only the operator can mend it, there is a sentence to send.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from kedge.classes import frozen, replace
from kedge.diagnose import operators, sentences
from kedge.diagnose.commands import (
    PLACEHOLDER,
    Change,
    User,
    by_hand,
    command,
    commands,
    common_options,
    without_switch,
)
from kedge.diagnose.comparison import Role
from kedge.diagnose.evidence import Cause, Evidence, Finding
from kedge.diagnose.names import is_public
from kedge.model import Hop, NetworkOrigin, OriginKind, StoreKind, TrustDecision

if TYPE_CHECKING:
    from kedge.diagnose.facts import CertificateFacts

#: The file that a certificate from IT is expected in, in commands.
ROOT_FILE = "company-root.pem"
#: And the one that fetched issuers are saved in.
ISSUER_FILE = "missing-issuer.pem"


class RemedyKind(str, Enum):
    """What kind of thing to do; the values are stable."""

    USE_SYSTEM_STORE = "use-system-store"
    ADD_BUNDLE = "add-bundle"
    USE_BUNDLE = "use-bundle"
    USE_CERTIFI = "use-certifi"
    DROP_STRICT = "drop-strict"
    DROP_SETTING = "drop-setting"
    MEND_BUNDLE = "mend-bundle"
    INSTALL_STORE = "install-store"
    OBTAIN_ROOT = "obtain-root"
    FETCH_ISSUER = "fetch-issuer"
    SET_CLOCK = "set-clock"
    CLIENT_CERTIFICATE = "client-certificate"
    PROXY_CREDENTIALS = "proxy-credentials"
    PROXY_SCHEME = "proxy-scheme"
    WITHOUT_PROXY = "without-proxy"
    SIGN_IN = "sign-in"
    CHECK = "check"
    TELL_OPERATOR = "tell-operator"
    TRUST_HOST = "trust-host"
    ASK = "ask"


@frozen(kw_only=True)
class Remedy:
    """One thing to do. ``what`` is a sentence.

    ``commands`` can be pasted, one after the other; ``lasting`` makes it so for good. ``first``
    is what must be done by hand before. ``proven``: a handshake with exactly this passed.
    ``to_operator`` is the sentence for whoever runs the server or the proxy. ``risk`` is set
    where protection is lowered.
    """

    kind: RemedyKind
    what: str
    commands: tuple[str, ...] = ()
    lasting: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    proven: bool = False
    to_operator: str = ""
    risk: str = ""


def find_remedies(
    findings: tuple[Finding, ...], evidence: Evidence, user: User
) -> tuple[Remedy, ...]:
    """What can be done, best first; without findings, whom to ask, where that is known."""
    if not findings:
        return tuple(_ask(evidence))
    found = (
        *_other_anchors(findings, evidence, user),
        *_local(findings, evidence, user),
        *_operator(findings, evidence),
        *_lowering(findings, evidence, user),
    )
    return tuple(_with_passwords(remedy) for remedy in found)


def _with_passwords(remedy: Remedy) -> Remedy:
    """A command that shows ``****`` for a password needs it back."""
    if not any("****@" in line for line in remedy.commands):
        return remedy
    return replace(remedy, first=(*remedy.first, "Put your own words in the place of ****."))


# --------------------------------------------------------------------------------------------
# Other anchors, of which a handshake showed that they vouch


def _other_anchors(
    findings: tuple[Finding, ...], evidence: Evidence, user: User
) -> Iterator[Remedy]:
    decided = evidence.decided
    if decided is None or decided.passed:
        return
    decision, broken = decided.contender.decision, decided.unusable is not None
    portal = any(finding.cause is Cause.CAPTIVE_PORTAL for finding in findings)
    for role in (
        () if portal else (Role.RELAXED, Role.SYSTEM, Role.ADDED, Role.BUNDLE, Role.CERTIFI)
    ):
        for verdict in evidence.verdicts:
            if verdict.role is not role or not verdict.passed:
                continue
            bundle = verdict.contender.bundle
            path = bundle.path if bundle is not None and bundle.path else ""
            remedy = _switch(role, path, decision, user, broken=broken)
            if remedy is not None:
                yield remedy


def _switch(
    role: Role, path: str, decision: TrustDecision, user: User, *, broken: bool
) -> Remedy | None:
    """The command that makes a choice of anchors the one in force.

    With ``broken`` a bundle in force cannot be loaded: it has to go, whatever is chosen.
    """
    here = Change(user.words)
    has_system = any(source.kind is StoreKind.SYSTEM for source in decision.sources)
    match role:
        case Role.RELAXED:
            change = here.without(decision.strict.origin)
            if decision.strict.origin.kind is OriginKind.COMMAND_LINE:
                change = Change(without_switch(user.words, "--strict-certs"))
            return _as_remedy(
                RemedyKind.DROP_STRICT,
                "The certificates pass without --strict-certs.",
                change,
                user,
            )
        case Role.SYSTEM if not has_system:
            start = _without_bundles(here, decision) if broken else here
            words = without_switch(start.words, "--use-deprecated=legacy-certs")
            change = Change(words, start.unset, start.edits).adding("--use-feature=truststore")
            return _as_remedy(
                RemedyKind.USE_SYSTEM_STORE,
                "The system's store vouches for it (newer pips use that store by default).",
                change,
                user,
                lasting=(command(user, ("config", "set", "global.use-feature", "truststore")),),
            )
        case Role.ADDED if not broken:
            return _as_remedy(
                RemedyKind.ADD_BUNDLE,
                f"The bundle {path} vouches for it, and is not in force: add it.",
                here.adding("--extra-cert", path),
                user,
                lasting=_to_last(path, user),
            )
        case Role.BUNDLE if broken:
            return _as_remedy(
                RemedyKind.USE_BUNDLE,
                f"The bundle {path} vouches for it.",
                _without_bundles(here, decision).adding("--cert", path),
                user,
            )
        case Role.CERTIFI:
            return _as_remedy(
                RemedyKind.USE_CERTIFI,
                "The bundled certifi store vouches for it: do without the setting that "
                "replaces it.",
                _to_certifi(here, decision),
                user,
            )
        case _:
            return None


def _to_last(path: str, user: User) -> tuple[str, ...]:
    """A file's ``extra-cert`` is a list of words: a path with a blank in it cannot be written
    there, and a relative one means another file in another folder."""
    absolute = PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()
    if not absolute or len(path.split()) != 1:
        return ()
    return (command(user, ("config", "set", "global.extra-cert", path)),)


def _as_remedy(
    kind: RemedyKind, what: str, change: Change, user: User, *, lasting: tuple[str, ...] = ()
) -> Remedy:
    return Remedy(
        kind=kind,
        what=what,
        commands=commands(user, change),
        lasting=lasting,
        first=tuple(f"Take out {origin}." for origin in by_hand(user, change)),
        proven=True,
    )


def _without_bundles(change: Change, decision: TrustDecision) -> Change:
    """No bundle is left, neither in force nor waiting behind it."""
    for source in decision.sources:
        if source.kind is StoreKind.BUNDLE:
            change = change.without(source.origin, source.path if source.extra else None)
    for lost in decision.overridden:
        change = change.without(lost.setting.origin)
    return change


def _to_certifi(change: Change, decision: TrustDecision) -> Change:
    change = _without_bundles(change, decision)
    system = next((each for each in decision.sources if each.kind is StoreKind.SYSTEM), None)
    if system is None:
        return change
    return _without_system(change)


def _without_system(change: Change) -> Change:
    """Wherever the truststore flag was given: the other one beats it."""
    words = without_switch(change.words, "--use-feature=truststore")
    return Change(words, change.unset, change.edits).adding("--use-deprecated=legacy-certs")


# --------------------------------------------------------------------------------------------
# What can be done on this machine


def _local(findings: tuple[Finding, ...], evidence: Evidence, user: User) -> Iterator[Remedy]:
    strangers = not _STRANGERS.isdisjoint(finding.cause for finding in findings)
    for finding in findings:
        match finding.cause:
            case Cause.UNTRUSTED_ROOT | Cause.TLS_INTERCEPTION | Cause.SELF_SIGNED:
                yield from _obtain(finding, findings, evidence, user)
            case Cause.MISSING_INTERMEDIATE:
                yield from _fetch_issuer(finding, findings, evidence, user)
            case Cause.CLOCK_SKEW:
                yield _set_clock(finding, user)
            case Cause.EXPIRED if _is_local(finding, evidence):
                yield _mend(finding, evidence.decided_paths, user)
            case Cause.CLIENT_CERT_REQUIRED:
                yield Remedy(
                    kind=RemedyKind.CLIENT_CERTIFICATE,
                    what=f"{finding.name} asks for a certificate of yours: name the file that "
                    "holds it with its key.",
                    first=("Get a client certificate from whoever runs the server.",),
                    commands=(_with(user, "--client-cert", "client.pem"),),
                )
            case Cause.BAD_BUNDLE:
                yield from mend_source(finding, user)
            case Cause.EMPTY_SYSTEM_STORE:
                yield from mend_source(finding, user)
            case Cause.PROXY_AUTH | Cause.PROXY_TLS | Cause.PROXY_UNREACHABLE:
                yield from _mend_proxy(finding, evidence, user)
            case Cause.CAPTIVE_PORTAL:
                yield Remedy(
                    kind=RemedyKind.SIGN_IN,
                    what="Sign in to the network in a browser"
                    + (f" ({finding.url})" if finding.url else "")
                    + ", then run the command again.",
                    commands=(command(user, user.words),),
                )
            case cause:
                yield from _check(finding, operators.CHECKS.get(cause), strangers=strangers)


def _check(
    finding: Finding, check: Callable[[Finding], str] | None, *, strangers: bool
) -> Iterator[Remedy]:
    """What to look at; nothing at what somebody else presented in the server's place."""
    theirs = strangers and finding.cause in {Cause.NAME_MISMATCH, Cause.NOT_TLS}
    what = check(finding) if check is not None and not theirs else ""
    if what:
        yield Remedy(kind=RemedyKind.CHECK, what=what)


def _with(user: User, *words: str) -> str:
    return command(user, Change(user.words).adding(*words).words)


def _obtain(
    finding: Finding, findings: tuple[Finding, ...], evidence: Evidence, user: User
) -> Iterator[Remedy]:
    """Only from somebody else, and compared: never what was presented on its own."""
    decided = evidence.decided
    shown = {each.cause for each in findings}
    if any(each.passed for each in evidence.verdicts) or Cause.CAPTIVE_PORTAL in shown:
        return
    if finding.cause is Cause.SELF_SIGNED and Cause.TLS_INTERCEPTION in shown:
        return
    if decided is not None and decided.unusable is not None:
        return
    certificate = evidence.chain.root or (
        finding.certificate if finding.cause is Cause.SELF_SIGNED else None
    )
    own = finding.cause is Cause.SELF_SIGNED and Cause.TLS_INTERCEPTION not in shown
    who = "whoever runs the server" if own else "your IT department"
    name = certificate.label if certificate else _issuer_label(evidence, finding)
    if evidence.knowing is not None:
        yield Remedy(
            kind=RemedyKind.CHECK,
            what=f"“{name}” need not be looked for: it is known to "
            f"{sentences.choice(evidence.knowing)}. The other causes have to go first.",
        )
        return
    # Where a missing intermediate is told as well, it is one or the other; either can be an anchor.
    either = Cause.MISSING_INTERMEDIATE in shown
    enough = shown <= _UNKNOWN | _INCOMPLETE and evidence.beyond is None
    yield Remedy(
        kind=RemedyKind.OBTAIN_ROOT,
        what=f"No store on this machine knows “{name}”"
        + (", be it a root or an intermediate" if either else "")
        + f": get it from {who}"
        + ("." if enough else "; the other causes have to go, too."),
        first=(
            f"Ask them for the certificate and its SHA-256 fingerprint; save it as {ROOT_FILE}.",
            _compare(certificate, evidence, enough=enough),
            *(f"{_contradicts(each)} {finding.path}." for each in finding.known[:1]),
        ),
        commands=(
            command(user, ("trust", "show", "-v", "--cert", ROOT_FILE)),
            _with(user, "--extra-cert", ROOT_FILE),
        )
        if enough
        else (),
    )


#: What goes when the right certificate is trusted. TLS with the proxy is what it is about there.
_UNKNOWN = frozenset(
    {Cause.UNTRUSTED_ROOT, Cause.TLS_INTERCEPTION, Cause.SELF_SIGNED, Cause.PROXY_TLS}
)


def _compare(certificate: CertificateFacts | None, evidence: Evidence, *, enough: bool) -> str:
    """Theirs is what counts; what was presented tells whether it is the right one."""
    shows = "The first command shows the file's fingerprint: it" if enough else "The fingerprint"
    if certificate is None:
        return f"{shows} must be the one that they tell you."
    number = evidence.chain.certificates.index(certificate) + 1
    return (
        f"{shows} must be the one that they tell you, and that of certificate {number} above. "
        "Where it is not, trust neither, and tell them."
    )


#: What goes when the missing issuers are there.
_INCOMPLETE = frozenset({Cause.MISSING_INTERMEDIATE, Cause.UNTRUSTED_ROOT})


def _fetch_issuer(
    finding: Finding, findings: tuple[Finding, ...], evidence: Evidence, user: User
) -> Iterator[Remedy]:
    """Where the certificate says where its issuer is: kedge can try, and verifies what comes."""
    urls = finding.certificate.issuer_urls if finding.certificate else ()
    where = next((each for each in urls if each.startswith(("http://", "https://"))), "")
    alone = {each.cause for each in findings} <= _INCOMPLETE
    mended = any(each.passed for each in evidence.verdicts)
    if not where or not alone or mended or evidence.place.hop is Hop.PROXY:
        return
    host = evidence.place.origin.hostport
    fetch = ("trust", "fetch-issuer", host, ISSUER_FILE, *common_options(user.words))
    yield Remedy(
        kind=RemedyKind.FETCH_ISSUER,
        what="Until the server sends it, kedge can fetch what is missing. It keeps only what a CA "
        f"that is trusted already vouches for. It would ask {where}",
        commands=(command(user, fetch), _with(user, "--extra-cert", ISSUER_FILE)),
    )


def _issuer_label(evidence: Evidence, finding: Finding) -> str:
    top = evidence.chain.top
    return top.issuer_label if top is not None else finding.issuer


def _contradicts(known: CertificateFacts) -> str:
    until = f" (valid until {known.not_after:%Y-%m-%d})" if known.not_after else ""
    return (
        f"Ask, too, whether the other “{known.label}”{until} is out of date: if so, take it out of"
    )


def _is_local(finding: Finding, evidence: Evidence) -> bool:
    """Whether the certificate at fault is an anchor of this machine's, and was not presented."""
    presented = {each.sha256 for each in evidence.chain.certificates}
    return finding.certificate is not None and finding.certificate.sha256 not in presented


def _mend(finding: Finding, paths: tuple[str, ...], user: User) -> Remedy:
    label = finding.certificate.label if finding.certificate else ""
    return Remedy(
        kind=RemedyKind.MEND_BUNDLE,
        what=f"The CA certificate “{label}” in {', '.join(paths) or 'the store'} has expired.",
        first=("Get its successor from whoever runs that CA, and put it there.",),
        commands=(command(user, user.words),),
    )


def mend_source(finding: Finding, user: User) -> Iterator[Remedy]:
    """For a source of trust that cannot be loaded."""
    if finding.cause is Cause.EMPTY_SYSTEM_STORE:
        install = {
            "apt-get": "apt-get install -y ca-certificates",
            "dnf": "dnf install -y ca-certificates",
            "apk": "apk add ca-certificates",
            "zypper": "zypper install -y ca-certificates",
            "pacman": "pacman -S --noconfirm ca-certificates",
        }.get(user.package_manager)
        yield Remedy(
            kind=RemedyKind.INSTALL_STORE,
            what="Install the system's certificates (the package ca-certificates, on most "
            "systems).",
            commands=(install, command(user, user.words)) if install else (),
        )
        yield Remedy(
            kind=RemedyKind.DROP_SETTING,
            what="Or do without the system's store, where the certificates are of public CAs.",
            commands=commands(user, _without_system(Change(user.words))),
        )
        return
    origin = finding.origin
    yield Remedy(
        kind=RemedyKind.MEND_BUNDLE,
        what=f"Put a sound bundle into {finding.path}, or name another one"
        + (f" ({origin})." if origin else "."),
        first=(finding.advice,) if finding.advice else (),
        commands=(command(user, user.words),),
    )
    if origin is not None and origin.kind is not OriginKind.DEFAULT:
        change = Change(user.words).without(origin, finding.path)
        yield Remedy(
            kind=RemedyKind.DROP_SETTING,
            what=f"Or do without {origin}.",
            first=tuple(f"Take out {each}." for each in by_hand(user, change)),
            commands=commands(user, change),
        )


def refused_address(finding: Finding, peer: NetworkOrigin, user: User) -> Iterator[Remedy]:
    """For an address that is refused before anybody is asked."""
    if finding.cause is Cause.NOT_TLS:
        yield Remedy(
            kind=RemedyKind.CHECK,
            what=f"Where {finding.name} offers https, write its address with https://.",
        )
        if not is_public(peer.host):
            yield _trust_blindly(peer, user)
        return
    yield Remedy(
        kind=RemedyKind.TELL_OPERATOR,
        what="Only whoever runs the server can mend this. Send them:",
        to_operator=operators.SENTENCES[finding.cause](finding, peer.hostport),
    )


_CLOCKS = {
    "linux": "sudo timedatectl set-ntp true",
    "darwin": "sudo sntp -sS time.apple.com",
    "win32": "w32tm /resync",
}


def _set_clock(finding: Finding, user: User) -> Remedy:
    clock = _CLOCKS.get(user.platform)
    said = finding.moment if finding.skew is not None else None
    theirs = f" (the server says {said:%Y-%m-%d %H:%M} UTC)" if said else ""
    return Remedy(
        kind=RemedyKind.SET_CLOCK,
        what=f"Set this machine's clock{theirs}.",
        commands=(clock, command(user, user.words)) if clock else (),
    )


def _mend_proxy(finding: Finding, evidence: Evidence, user: User) -> Iterator[Remedy]:
    proxy = evidence.proxy
    if proxy is None:
        return
    hostport = proxy.origin.hostport
    change = Change(user.words).without(proxy.setting)
    plain = Change(change.words)  # --proxy beats the variables: they may stay
    match finding.cause:
        case Cause.PROXY_AUTH:
            address = f"{proxy.scheme}://{PLACEHOLDER}@{hostport}"
            what = "wants a user name and a password: put them into its address"
            if proxy.username is not None:
                what = "refuses the user name and the password in its address: put the right ones"
            yield Remedy(
                kind=RemedyKind.PROXY_CREDENTIALS,
                what=f"The proxy {hostport} {what} ({proxy.setting}).",
                first=("Put your own in the place of USER and PASSWORD, percent-encoded.",),
                commands=(command(user, plain.adding("--proxy", address).words),),
            )
        case Cause.PROXY_TLS if finding.said.startswith(b"HTTP/"):
            yield _other_scheme("http", hostport, plain, user)
        case Cause.PROXY_TLS if finding.said[:1] == b"\x15":
            yield _other_scheme("https", hostport, plain, user)
        case Cause.PROXY_UNREACHABLE:
            yield Remedy(
                kind=RemedyKind.WITHOUT_PROXY,
                what=f"Correct the address of the proxy ({proxy.setting}); where this network "
                "needs none, go without it.",
                commands=(command(user, plain.adding("--proxy", "").words),),
            )
        case _:
            pass


def _other_scheme(scheme: str, hostport: str, change: Change, user: User) -> Remedy:
    word = "plain HTTP" if scheme == "http" else "TLS"
    return Remedy(
        kind=RemedyKind.PROXY_SCHEME,
        what=f"The proxy {hostport} speaks {word}: write its address with {scheme}://.",
        commands=(command(user, change.adding("--proxy", f"{scheme}://{hostport}").words),),
    )


# --------------------------------------------------------------------------------------------
# What others can do, and what should be left alone


_STRANGERS = frozenset({Cause.CAPTIVE_PORTAL, Cause.TLS_INTERCEPTION})


def _operator(findings: tuple[Finding, ...], evidence: Evidence) -> Iterator[Remedy]:
    if not _STRANGERS.isdisjoint(finding.cause for finding in findings):
        return  # what was presented is not the operator's
    told = [
        finding
        for finding in findings
        if finding.cause in operators.SENTENCES
        and not (finding.cause is Cause.EXPIRED and _is_local(finding, evidence))
    ]
    if not told:
        return
    peer = evidence.place.origin.hostport
    proxy = any(finding.hop is Hop.PROXY for finding in told)
    who = f"whoever runs the {'proxy' if proxy else 'server'}"
    # A missing intermediate that may as well be a root of the user's own.
    either = {each.cause for each in findings} == _INCOMPLETE
    yield Remedy(
        kind=RemedyKind.TELL_OPERATOR,
        what=f"If it is an intermediate, {who} should send it. Tell them:"
        if either
        else f"Only {who} can mend this. Send them:",
        to_operator=" ".join(operators.SENTENCES[each.cause](each, peer) for each in told),
    )


TRUSTSTORE_ISSUES = "https://github.com/sethmlarson/truststore/issues"


def _ask(evidence: Evidence) -> Iterator[Remedy]:
    """Nothing explains it: whose it is shows where truststore itself was tried."""
    again, decided = evidence.verdict(Role.TRUSTSTORE), evidence.decided
    if again is None and (decided is None or decided.failure is None):
        return
    attach = (
        "Attach this report and the certificates that were presented: "
        f"openssl s_client -showcerts -connect {evidence.place.origin.hostport}"
    )
    if again is None:
        what = f"kedge knows no cause for this, and should: please report it. {attach}"
    elif again.passed:
        what = f"truststore itself accepts it, so this is kedge's fault: please report it. {attach}"
    else:
        what = f"truststore itself refuses it, too: ask at {TRUSTSTORE_ISSUES}. {attach}"
    yield Remedy(kind=RemedyKind.ASK, what=what)


_MAY_BE_LOWERED = frozenset(
    {
        Cause.UNTRUSTED_ROOT,
        Cause.SELF_SIGNED,
        Cause.MISSING_INTERMEDIATE,
        Cause.WRONG_INTERMEDIATE,
        Cause.EXPIRED,
        Cause.NOT_YET_VALID,
        Cause.NAME_MISMATCH,
        Cause.BAD_CA_CERTIFICATE,
        Cause.NAME_CONSTRAINTS,
        Cause.CRITICAL_EXTENSION,
        Cause.WRONG_PURPOSE,
        Cause.WEAK_KEY,
        Cause.WEAK_SIGNATURE,
    }
)


def _lowering(findings: tuple[Finding, ...], evidence: Evidence, user: User) -> Iterator[Remedy]:
    spoken = evidence.capture.spoken is not None  # the same context, unverified, got through
    own = {finding.cause for finding in findings} <= _MAY_BE_LOWERED
    mended = any(verdict.passed for verdict in evidence.verdicts)
    if evidence.place.hop is Hop.PROXY or not spoken or not own or mended or evidence.unverified:
        return
    if is_public(evidence.host):
        return
    yield _trust_blindly(evidence.place.origin, user)


def _trust_blindly(origin: NetworkOrigin, user: User) -> Remedy:
    return Remedy(
        kind=RemedyKind.TRUST_HOST,
        what=f"Last of all: do not verify {origin.hostport} at all.",
        commands=(_with(user, "--trusted-host", origin.hostport),),
        risk=f"Whoever is on the way can pass for {origin.hostport} and have any code installed.",
    )
