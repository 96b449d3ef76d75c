"""What a finding and a verdict say to the user, in a sentence each.

Words alone: what holds was decided in :mod:`kedge.diagnose.causes`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from kedge.diagnose.comparison import Role, Verdict
from kedge.diagnose.evidence import Cause, Finding
from kedge.model import Hop


def sentence(finding: Finding) -> str:
    """The finding, with what it is about."""
    return _SENTENCES[finding.cause](finding)


def verdict(verdict: Verdict) -> str:
    """Which choice of anchors, and how it fared."""
    bundle = verdict.contender.bundle
    named = f"the bundle {bundle.path} ({bundle.origin})" if bundle else "a bundle"
    match verdict.role:
        case Role.DECIDED:
            choice = "what is trusted now"
        case Role.CERTIFI:
            choice = "the bundled certifi store"
        case Role.SYSTEM:
            choice = "the system's store"
        case Role.BUNDLE:
            choice = named
        case Role.ADDED:
            choice = f"what is trusted now, plus {named}"
        case Role.RELAXED:
            choice = "what is trusted now, without strictness"
        case Role.STRICT:
            choice = "what is trusted now, with strictness"
        case Role.TRUSTSTORE:
            choice = "the same as truststore itself has it"
    return f"{choice}: {_fared(verdict)}"


def _fared(verdict: Verdict) -> str:
    if verdict.unusable is not None:
        return f"cannot be used: {verdict.unusable.message}"
    if verdict.passed:
        anchor = verdict.anchor
        return f"passes (“{anchor.label}” vouches)" if anchor else "passes"
    if verdict.failure is None:
        return "was not tried"
    if verdict.verify_code is not None:
        return f"refuses it (OpenSSL's verify code {verdict.verify_code})"
    return f"fails: {verdict.failure.trouble.value} ({verdict.failure.step.value})"


def printable(said: bytes) -> str:
    """The first line of what a peer said, fit for a terminal."""
    line = said.partition(b"\n")[0][:80].decode("latin-1")
    return "".join(each if each.isprintable() and each.isascii() else "." for each in line).strip(
        " ."
    )


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "an unknown moment"


def _label(finding: Finding) -> str:
    return f"“{finding.certificate.label}”" if finding.certificate else "a certificate"


def _unknown(finding: Finding) -> str:
    text = f"Nothing that is trusted here vouches for {finding.name}: its chain ends with the "
    text += f"issuer {finding.issuer}"
    if finding.product:
        text += f", which is {finding.product}'s"
    if finding.known:
        text += f"; {finding.path} has a CA of that name with another key"
    if not finding.certain:
        text += "; that is a root nobody here knows, or an intermediate that should have been sent"
    return text + "."


def _interception(finding: Finding) -> str:
    who = f"{finding.product} " if finding.product else ""
    others = f", as it does for {', '.join(finding.hosts)}" if finding.hosts else ""
    return (
        f"Somebody on the way {who and '(' + who.strip() + ') '}opens this connection: "
        f"{finding.issuer} vouches for {finding.name}{others}, and is no public CA."
    )


def _missing(finding: Finding) -> str:
    doubt = "" if finding.certain else " (or that is a root that nobody here knows)"
    return f"{finding.name} did not send the intermediate {finding.issuer}{doubt}."


def _skew(finding: Finding) -> str:
    if finding.skew is None:
        return (
            "This machine's clock is behind: every certificate of the chain begins later, the "
            f"last on {_moment(finding.moment)}."
        )
    hours = finding.skew.total_seconds() / 3600
    by = f"{abs(hours) / 24:.0f} days" if abs(hours) > 48 else f"{abs(hours):.0f} hours"
    return (
        f"This machine's clock is {by} {'ahead' if hours > 0 else 'behind'}: the server says it "
        f"is {_moment(finding.moment)}, and then the certificates are valid."
    )


def _names(finding: Finding) -> str:
    names = finding.certificate.names if finding.certificate else ()
    held = ", ".join(names) or "no host name"
    return f"The certificate is for {held}, and not for {finding.name}."


def _alert(finding: Finding) -> str:
    return f"alert {finding.alert}" if finding.alert is not None else finding.reason


def _old(finding: Finding) -> str:
    spoken = f", only {finding.protocol}" if finding.protocol else ""
    return f"{finding.name} does not speak TLS 1.2 or newer{spoken}."


def _cipher(finding: Finding) -> str:
    chosen = f"; it would take {finding.cipher}" if finding.cipher else ""
    return f"{finding.name} and this machine have no acceptable cipher suite in common{chosen}."


def _client(finding: Finding) -> str:
    how = f" (it answered {finding.status})" if finding.status else ""
    return f"{finding.name} wants a client certificate, and was shown none{how}."


def _client_refused(finding: Finding) -> str:
    how = f"status {finding.status}" if finding.status else _alert(finding)
    return f"{finding.name} does not accept the client certificate of {finding.origin} ({how})."


def _not_tls(finding: Finding) -> str:
    said = printable(finding.said)
    looks = f": it says {said!r}" if said else ""
    return f"What answers at {finding.name} does not speak TLS{looks}."


def _cut(finding: Finding) -> str:
    who = "The proxy " if finding.hop is Hop.PROXY else ""
    return f"{who}{finding.name} cut the connection."


def _proxy_refused(finding: Finding) -> str:
    if finding.status:
        return f"The proxy {finding.name} ({finding.origin}) refused with status {finding.status}."
    said = printable(finding.said) or finding.reason
    return f"The proxy {finding.name} ({finding.origin}) does not answer as a proxy does ({said})."


def _proxy_tls(finding: Finding) -> str:
    said = printable(finding.said)
    looks = f": it says {said!r}" if said else ""
    return f"TLS with the proxy {finding.name} ({finding.origin}) failed{looks}."


def _portal(finding: Finding) -> str:
    where = f" and leads to {finding.url}" if finding.url else ""
    return f"A sign-in page of this network answers for {finding.name}{where}."


_SENTENCES: dict[Cause, Callable[[Finding], str]] = {
    Cause.UNTRUSTED_ROOT: _unknown,
    Cause.TLS_INTERCEPTION: _interception,
    Cause.SELF_SIGNED: lambda each: (
        f"{each.name} vouches for itself: {_label(each)} is self-signed, and not trusted here."
    ),
    Cause.MISSING_INTERMEDIATE: _missing,
    Cause.WRONG_INTERMEDIATE: lambda each: (
        f"{_label(each)} was sent as an issuer, and its key did not make the signature."
    ),
    Cause.EXPIRED: lambda each: f"{_label(each)} expired on {_moment(each.moment)}.",
    Cause.NOT_YET_VALID: lambda each: f"{_label(each)} is not valid before {_moment(each.moment)}.",
    Cause.CLOCK_SKEW: _skew,
    Cause.NAME_MISMATCH: _names,
    Cause.BAD_CA_CERTIFICATE: lambda each: f"{_label(each)} signs others and may not.",
    Cause.NAME_CONSTRAINTS: lambda each: (
        f"{_label(each)} may not vouch for {each.name}: its name constraints forbid it."
    ),
    Cause.CRITICAL_EXTENSION: lambda each: (
        f"{_label(each)} has a critical extension that OpenSSL does not handle."
    ),
    Cause.WRONG_PURPOSE: lambda each: f"{_label(each)} is not meant for servers.",
    Cause.WEAK_KEY: lambda each: (
        f"The key of {_label(each)} is too weak"
        + (f" ({each.certificate.key})." if each.certificate else ".")
    ),
    Cause.WEAK_SIGNATURE: lambda each: (
        f"The signature of {_label(each)} is too weak"
        + (f" ({each.certificate.signature_hash})." if each.certificate else ".")
    ),
    Cause.STRICT_ONLY: lambda each: (
        f"{each.name} is refused for the form of a certificate alone, because of {each.origin}."
    ),
    Cause.PROTOCOL_VERSION: _old,
    Cause.NO_SHARED_CIPHER: _cipher,
    Cause.HANDSHAKE_REFUSED: lambda each: (
        f"{each.name} broke the TLS handshake off ({_alert(each)})."
    ),
    Cause.CLIENT_CERT_REQUIRED: _client,
    Cause.CLIENT_CERT_REJECTED: _client_refused,
    Cause.NOT_TLS: _not_tls,
    Cause.CONNECTION_CUT: _cut,
    Cause.CONNECTION_REFUSED: lambda each: (
        f"{each.name} takes no connection ({each.reason or 'refused'})."
    ),
    Cause.DNS: lambda each: f"The name {each.name} has no address ({each.reason or 'not a name'}).",
    Cause.TIMEOUT: lambda each: (
        f"{'The proxy ' if each.hop is Hop.PROXY else ''}{each.name} did not answer in time."
    ),
    Cause.PROXY_AUTH: lambda each: (
        f"The proxy {each.name} ({each.origin}) wants a user name and a password, or others."
    ),
    Cause.PROXY_REFUSED: _proxy_refused,
    Cause.PROXY_UNREACHABLE: lambda each: (
        f"The proxy {each.name} ({each.origin}) cannot be reached ({each.reason or 'no answer'})."
    ),
    Cause.PROXY_TLS: _proxy_tls,
    Cause.CAPTIVE_PORTAL: _portal,
    Cause.NOT_AN_INDEX: lambda each: f"What answers at {each.url} is no package index.",
    Cause.INSECURE_REDIRECT: lambda each: (
        f"{each.name} redirects from https to {each.url or 'http'}, which is not followed."
    ),
    Cause.BAD_BUNDLE: lambda each: f"The bundle {each.path} ({each.origin}) cannot be used.",
    Cause.EMPTY_SYSTEM_STORE: lambda each: (
        f"The system's store ({each.origin}) holds no certificate; looked in: {each.path}."
    ),
}
