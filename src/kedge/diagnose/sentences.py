"""What a finding and a verdict say to the user, in a sentence each.

Words alone: what holds was decided in :mod:`kedge.diagnose.causes`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus

from kedge.diagnose import verify
from kedge.diagnose.comparison import Role, Verdict
from kedge.diagnose.evidence import Cause, Finding
from kedge.diagnose.wire import LEGACY_RENEGOTIATION
from kedge.model import Hop


def sentence(finding: Finding) -> str:
    """The finding, with what it is about."""
    return _SENTENCES[finding.cause](finding)


def choice(verdict: Verdict) -> str:
    """Which choice of anchors it is about."""
    bundle = verdict.contender.bundle
    named = f"the bundle {bundle.path} ({bundle.origin})" if bundle else "a bundle"
    match verdict.role:
        case Role.DECIDED:
            return "what is trusted now"
        case Role.CERTIFI:
            return "the bundled certifi store"
        case Role.SYSTEM:
            return "the system's store"
        case Role.BUNDLE:
            return named
        case Role.ADDED:
            return f"what is trusted now, plus {named}"
        case Role.RELAXED:
            return "what is trusted now, without strictness"
        case Role.STRICT:
            return "what is trusted now, with strictness"
        case Role.TRUSTSTORE:
            return "the same as truststore itself has it"


def fared(verdict: Verdict) -> str:
    """How it fared, in OpenSSL's words where those are known: people search for them."""
    if verdict.unusable is not None:
        return f"cannot be used: {verdict.unusable.message}"
    if verdict.passed:
        anchor = verdict.anchor
        return f"accepted (“{anchor.label}” vouches)" if anchor else "accepted"
    failure = verdict.failure
    if failure is None:
        return "not tried"
    if failure.verify_code is None:
        return f"ended in {failure.step.value}: {failure.trouble.value}"
    words = f", {failure.words}" if failure.words else ""
    return f"refused (OpenSSL's verify code {failure.verify_code}{words})"


def printable(said: bytes) -> str:
    """The first line of what a peer said, fit for a terminal; empty where it is not text."""
    line = said.partition(b"\n")[0][:80].decode("latin-1").strip()
    shown = "".join(each if each.isprintable() and each.isascii() else "." for each in line)
    text = shown.strip(" .")
    return text if len(text) >= len(line) / 2 else ""


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "an unknown moment"


def _label(finding: Finding) -> str:
    return f"“{finding.certificate.label}”" if finding.certificate else "a certificate"


def _whose(finding: Finding) -> str:
    """The certificate at fault where a sentence begins, and what it is to the peer."""
    certificate = finding.certificate
    if certificate is None:
        return f"A certificate of {finding.name}"
    if certificate.is_ca:
        return f"The CA certificate {_label(finding)} in the chain of {finding.name}"
    return f"The certificate {_label(finding)} of {finding.name}"


def _issuer(finding: Finding) -> str:
    """Who vouches at the end of the chain, by the name that people use."""
    certificate = finding.certificate
    if certificate is None:
        return finding.issuer or "an unknown issuer"
    return f"“{certificate.label if certificate.self_signed else certificate.issuer_label}”"


# --------------------------------------------------------------------------------------------
# Who vouches


def _unknown(finding: Finding) -> str:
    product = f" ({finding.product})" if finding.product else ""
    text = f"{_issuer(finding)}{product} vouches for {finding.name}, and is not trusted here"
    if finding.known:
        text += f": {finding.path} holds another CA of that name, with another key"
    if not finding.certain:
        text += ". It is either a private root, or an intermediate that should have been sent"
    return text + "."


def _interception(finding: Finding) -> str:
    others = f", as for {', '.join(finding.hosts)}" if finding.hosts else ""
    who = f"{finding.product} opens" if finding.product else "Somebody on the way opens"
    return (
        f"{who} this connection and signs it again: {_issuer(finding)} vouches for "
        f"{finding.name}{others}, and is no public CA. On a company's network that is usual."
    )


def _missing(finding: Finding) -> str:
    doubt = "" if finding.certain else ", unless that is a root, which nobody here knows"
    return (
        f"{finding.name} does not send the intermediate {_issuer(finding)}, which issued its "
        f"certificate{doubt}."
    )


def _wrong_issuer(finding: Finding) -> str:
    if finding.reason:  # OpenSSL's code: an issuer was found, and its key does not fit
        return f"{_whose(finding)} has a signature that its issuer's key did not make."
    return (
        f"{_label(finding)}, which was sent as the issuer of “{finding.name}”, has the right name "
        "and another key: it did not sign it."
    )


# --------------------------------------------------------------------------------------------
# What the certificates say


def _skew(finding: Finding) -> str:
    if finding.skew is None:
        return (
            "This machine's clock seems to be behind: every certificate of the chain begins "
            f"later, the last on {_moment(finding.moment)}."
        )
    hours = finding.skew.total_seconds() / 3600
    by = f"{abs(hours) / 24:.0f} days" if abs(hours) > 48 else f"{abs(hours):.0f} hours"
    return (
        f"This machine's clock is {by} {'ahead' if hours > 0 else 'behind'}: the server says that "
        f"it is {_moment(finding.moment)}, and then the certificates are valid."
    )


#: How many names of a certificate are told; some are for hundreds.
_NAMES = 5


def names_of(finding: Finding) -> str:
    """What the certificate is for: the first few names, and how many more."""
    names = finding.certificate.names if finding.certificate else ()
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


def _names(finding: Finding) -> str:
    held = names_of(finding)
    if held:
        return f"The certificate is for {held}, and not for {finding.name}."
    return (
        f"The certificate {_label(finding)} names no host at all, so not {finding.name} either: "
        "subject alternative names count, and a common name does not."
    )


def _not_a_ca(finding: Finding) -> str:
    certificate = finding.certificate
    if certificate is None:
        return f"A certificate in the chain of {finding.name} signs others and may not."
    if finding.reason == str(verify.PATH_LENGTH):
        length = certificate.path_length
        most = f"at most {length} may" if length is not None else "fewer must"
        return (
            f"The chain of {finding.name} is longer than {_label(finding)} allows: {most} stand "
            "between it and the server's certificate (its path length)."
        )
    if certificate.is_ca is not True:
        why = "its basic constraints do not say that it is a CA"
    elif certificate.may_sign is False:
        why = "its key usage lacks keyCertSign"
    else:
        why = "OpenSSL does not accept it as a CA"
    return f"{_label(finding)} in the chain of {finding.name} signs others and may not: {why}."


def _constraints(finding: Finding) -> str:
    certificate = finding.certificate
    only = certificate.permitted if certificate else ()
    never = certificate.excluded if certificate else ()
    limits = [f"allow {', '.join(only)} alone"] if only else []
    limits += [f"forbid {', '.join(never)}"] if never else []
    says = " and ".join(limits) or "forbid it"
    return f"{_label(finding)} may not vouch for {finding.name}: its name constraints {says}."


def _extension(finding: Finding) -> str:
    oids = finding.certificate.unhandled_critical if finding.certificate else ()
    which = f": {', '.join(oids)}" if oids else ""
    return f"{_whose(finding)} has a critical extension that OpenSSL does not handle{which}."


def _weak_key(finding: Finding) -> str:
    certificate = finding.certificate
    if finding.reason.startswith("DH_"):
        return f"{finding.name} offers a Diffie-Hellman key for the handshake that is too small."
    if certificate is None:
        return f"{_whose(finding)} has a key that is too weak."
    return f"{_whose(finding)} has a key that is too weak: {certificate.key}."


_HASHES = {"md5": "MD5", "sha1": "SHA-1"}


def signature_of(finding: Finding) -> str:
    """The hash of the signature, as it is written."""
    name = finding.certificate.signature_hash if finding.certificate else ""
    return _HASHES.get(name, name) or "a weak hash"


# --------------------------------------------------------------------------------------------
# Handshakes

#: RFC 8446, section 6 (10 to 120), and RFC 5246, section 7.2, for those that TLS 1.3 dropped.
_ALERTS = {
    10: "unexpected_message",
    20: "bad_record_mac",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    109: "missing_extension",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    116: "certificate_required",
    120: "no_application_protocol",
}


def alert_of(finding: Finding) -> str:
    """The alert by number and name, else OpenSSL's symbol for what went wrong."""
    if finding.alert is None:
        return f"OpenSSL: {finding.reason}" if finding.reason else "no reason was given"
    name = _ALERTS.get(finding.alert)
    return f"alert {finding.alert}, {name}" if name else f"alert {finding.alert}"


_PROTOCOLS = {"SSLv3": "SSL 3.0", "TLSv1": "TLS 1.0", "TLSv1.1": "TLS 1.1"}


def protocol_of(finding: Finding) -> str:
    """The version that the peer speaks, as people write it; empty where that is not known."""
    return _PROTOCOLS.get(finding.protocol, finding.protocol)


def _old(finding: Finding) -> str:
    spoken = protocol_of(finding)
    if spoken:
        return f"{finding.name} speaks only {spoken}, and TLS 1.2 is the least here."
    return f"{finding.name} does not speak TLS 1.2 or newer."


def _cipher(finding: Finding) -> str:
    chosen = f"; it would take {finding.cipher}" if finding.cipher else ""
    return f"{finding.name} and this machine have no acceptable cipher suite in common{chosen}."


def lacks_renegotiation(finding: Finding) -> bool:
    """Whether OpenSSL refused a peer that speaks TLS as it was before RFC 5746."""
    return finding.reason == LEGACY_RENEGOTIATION


def _broken_off(finding: Finding) -> str:
    if lacks_renegotiation(finding):
        return (
            f"What answers for {finding.name} lacks secure renegotiation (RFC 5746), and OpenSSL "
            "does not speak to it. Most often that is an old proxy or firewall on the way."
        )
    return f"{finding.name} broke the TLS handshake off ({alert_of(finding)})."


def _client(finding: Finding) -> str:
    how = f" (it answered {status_of(finding)})" if finding.status else ""
    return f"{finding.name} wants a client certificate, and was shown none{how}."


def _client_refused(finding: Finding) -> str:
    how = status_of(finding) if finding.status else alert_of(finding)
    return f"{finding.name} does not accept the client certificate of {finding.origin} ({how})."


# --------------------------------------------------------------------------------------------
# The way there


def status_of(finding: Finding) -> str:
    """An HTTP status with its name."""
    try:
        return f"{finding.status} {HTTPStatus(finding.status or 0).phrase}"
    except ValueError:
        return str(finding.status)


def _says(finding: Finding) -> str:
    said = printable(finding.said)
    return f" ({said!r})" if said else ""


def _not_tls(finding: Finding) -> str:
    if finding.said.startswith(b"HTTP/"):
        return f"{finding.name} speaks plain HTTP, and not TLS{_says(finding)}."
    if finding.said.startswith(b"SSH-"):
        return f"An SSH server answers at {finding.name}, and no TLS{_says(finding)}."
    return f"What answers at {finding.name} does not speak TLS{_says(finding)}."


def _who(finding: Finding) -> str:
    if finding.hop is not Hop.PROXY:
        return finding.name
    return f"The proxy {finding.name} ({finding.origin})"


_LOOK_UPS = {
    "EAI_NONAME": "there is no such name",
    "EAI_NODATA": "it has no address",
    "EAI_AGAIN": "no name server answered",
    "EAI_FAIL": "the name server failed",
    "UnicodeError": "that cannot be a name",
    "ValueError": "that cannot be a name",
}


def _why(finding: Finding) -> str:
    """The system's symbol, in its words."""
    if finding.reason in _LOOK_UPS:
        return f"{_LOOK_UPS[finding.reason]}, {finding.reason}"
    number = getattr(errno, finding.reason, None)
    return f"{os.strerror(number)}, {finding.reason}" if number else finding.reason or "no answer"


def _proxy_refused(finding: Finding) -> str:
    if finding.status:
        return f"{_who(finding)} refused a tunnel: {status_of(finding)}."
    said = _says(finding) or (f" ({finding.reason})" if finding.reason else "")
    return f"{_who(finding)} does not answer as a proxy does{said}."


def _proxy_tls(finding: Finding) -> str:
    if finding.said.startswith(b"HTTP/"):
        return f"{_who(finding)} speaks plain HTTP, and its address says https://."
    if finding.said[:1] == b"\x15":
        return f"{_who(finding)} speaks TLS, and its address says http://."
    if finding.reason in {"", "CERTIFICATE_VERIFY_FAILED"}:
        return f"{_who(finding)} is not trusted: its certificate could not be verified."
    return f"TLS with {_who(finding).replace('The', 'the', 1)} failed ({_why(finding)})."


def _portal(finding: Finding) -> str:
    where = f" and leads to {finding.url}" if finding.url else ""
    return f"A sign-in page of this network answers for {finding.name}{where}."


def _bundle(finding: Finding) -> str:
    if finding.reason:
        return f"{finding.reason.removesuffix('.')}."
    return f"The bundle {finding.path} ({finding.origin}) cannot be used."


_SENTENCES: dict[Cause, Callable[[Finding], str]] = {
    Cause.UNTRUSTED_ROOT: _unknown,
    Cause.TLS_INTERCEPTION: _interception,
    Cause.SELF_SIGNED: lambda each: (
        f"{each.name} presents a certificate that it signed itself, {_label(each)}, and that is "
        "not trusted here."
    ),
    Cause.MISSING_INTERMEDIATE: _missing,
    Cause.WRONG_INTERMEDIATE: _wrong_issuer,
    Cause.EXPIRED: lambda each: f"{_whose(each)} expired on {_moment(each.moment)}.",
    Cause.NOT_YET_VALID: lambda each: f"{_whose(each)} is not valid before {_moment(each.moment)}.",
    Cause.CLOCK_SKEW: _skew,
    Cause.NAME_MISMATCH: _names,
    Cause.BAD_CA_CERTIFICATE: _not_a_ca,
    Cause.NAME_CONSTRAINTS: _constraints,
    Cause.CRITICAL_EXTENSION: _extension,
    Cause.WRONG_PURPOSE: lambda each: (
        f"{_whose(each)} is not meant for TLS servers: its extended key usage lacks serverAuth."
    ),
    Cause.WEAK_KEY: _weak_key,
    Cause.WEAK_SIGNATURE: lambda each: (
        f"{_whose(each)} is signed with {signature_of(each)}, which is too weak."
    ),
    Cause.STRICT_ONLY: lambda each: (
        f"{each.name} is refused for the form of a certificate alone, because of {each.origin}"
        + (f": {each.reason}." if each.reason else ".")
    ),
    Cause.PROTOCOL_VERSION: _old,
    Cause.NO_SHARED_CIPHER: _cipher,
    Cause.HANDSHAKE_REFUSED: _broken_off,
    Cause.CLIENT_CERT_REQUIRED: _client,
    Cause.CLIENT_CERT_REJECTED: _client_refused,
    Cause.NOT_TLS: _not_tls,
    Cause.CONNECTION_CUT: lambda each: f"{_who(each)} closed the connection without an answer.",
    Cause.CONNECTION_REFUSED: lambda each: (
        f"No connection can be made to {each.name} ({_why(each)})."
    ),
    Cause.DNS: lambda each: f"The name {each.name} cannot be looked up ({_why(each)}).",
    Cause.TIMEOUT: lambda each: f"{_who(each)} did not answer in time.",
    Cause.PROXY_AUTH: lambda each: (
        f"{_who(each)} wants a user name and a password, or others than it was given."
    ),
    Cause.PROXY_REFUSED: _proxy_refused,
    Cause.PROXY_UNREACHABLE: lambda each: f"{_who(each)} cannot be reached ({_why(each)}).",
    Cause.PROXY_TLS: _proxy_tls,
    Cause.CAPTIVE_PORTAL: _portal,
    Cause.NOT_AN_INDEX: lambda each: f"What answers at {each.url} is no package index.",
    Cause.INSECURE_REDIRECT: lambda each: (
        f"{each.name} redirects from https to {each.url or 'http'}, which is not followed."
    ),
    Cause.BAD_BUNDLE: _bundle,
    Cause.EMPTY_SYSTEM_STORE: lambda each: (
        f"The system's store ({each.origin}) holds no certificate; looked in: {each.path}."
    ),
}
