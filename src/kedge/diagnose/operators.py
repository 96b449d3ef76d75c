"""Sentences for those who can mend what the user cannot, and what the user may look at.

From one finding to one sentence, by cause. Which remedies are offered is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable

from kedge.diagnose import verify
from kedge.diagnose.evidence import Cause, Finding
from kedge.diagnose.sentences import (
    alert_of,
    lacks_renegotiation,
    names_of,
    protocol_of,
    signature_of,
    status_of,
)
from kedge.model import Hop

#: Digits of a fingerprint that tell one certificate of an operator's from another. It is told
#: whole where something is to be trusted for it.
_ENOUGH = 23


def _label(finding: Finding) -> str:
    certificate = finding.certificate
    if certificate is None:
        return "the certificate"
    return f"the certificate “{certificate.label}” (SHA-256 {certificate.fingerprint[:_ENOUGH]}…)"


def _the(finding: Finding) -> str:
    """The same where a sentence begins."""
    label = _label(finding)
    return label[:1].upper() + label[1:]


def _day(finding: Finding) -> str:
    return f"{finding.moment:%Y-%m-%d %H:%M} UTC" if finding.moment else "an unknown date"


def _missing(finding: Finding, peer: str) -> str:
    urls = finding.certificate.issuer_urls if finding.certificate else ()
    if not urls and not finding.certain:  # it may be a root, which is not to be sent
        return (
            f"{peer} sends its certificate without the certificate that signed it, "
            f"“{finding.issuer}”. Unless that is a root, please add it to the server's chain file."
        )
    where = f", which is to be had from {urls[0]}" if urls else ""
    return (
        f"{peer} sends its certificate without the intermediate that signed it, “{finding.issuer}”"
        f"{where}. Please add it to the server's chain file."
    )


def _wrong_issuer(finding: Finding, peer: str) -> str:
    if finding.reason:  # OpenSSL's code: an issuer was found, and its key does not fit
        return (
            f"{_the(finding)} that {peer} presents has a signature that its issuer's key did not "
            "make. Please install the chain that came with the certificate."
        )
    return (
        f"{peer} sends {_label(finding)} as the issuer of its certificate, but that key did not "
        "sign it. Please install the intermediate that came with the certificate."
    )


def _names(finding: Finding, peer: str) -> str:
    held = names_of(finding) or "no name at all (a common name does not count)"
    return (
        f"The certificate of {peer} is for {held}, and not for {finding.name}. Please issue it "
        "with that name among its subject alternative names."
    )


def _not_a_ca(finding: Finding, peer: str) -> str:
    if finding.reason == str(verify.PATH_LENGTH):
        return (
            f"The chain of {peer} is longer than {_label(finding)} allows (path length, RFC 5280, "
            "section 4.2.1.9). Please issue the server's certificate from a CA that it allows."
        )
    return (
        f"In the chain of {peer}, {_label(finding)} signs others and may not (RFC 5280, sections "
        "4.2.1.3 and 4.2.1.9). Please have it issued again as a CA."
    )


def _protocol(finding: Finding, peer: str) -> str:
    spoken = protocol_of(finding)
    what = f"speaks only {spoken}" if spoken else "does not speak TLS 1.2 or newer"
    return f"{peer} {what}. Please switch TLS 1.2 and 1.3 on."


def _cipher(finding: Finding, peer: str) -> str:
    chosen = f" (it would take {finding.cipher})" if finding.cipher else ""
    return (
        f"{peer} and current clients have no cipher suite in common{chosen}. Please allow "
        "ECDHE suites with AES-GCM or ChaCha20."
    )


def _broken_off(finding: Finding, peer: str) -> str:
    if lacks_renegotiation(finding):
        return (
            f"What answers for {peer} lacks secure renegotiation (RFC 5746), which current clients "
            "insist on. Please update its TLS software, or that of the proxy before it."
        )
    return f"{peer} breaks the TLS handshake off ({alert_of(finding)}). Please see its log."


def _weak_key(finding: Finding, peer: str) -> str:
    if finding.certificate is None or finding.reason.startswith("DH_"):
        return f"{peer} offers a key that is too small. Please use DHE 2048, ECDHE or better."
    return (
        f"{_the(finding)} that {peer} presents has a key that is too weak: "
        f"{finding.certificate.key}. Please use RSA 2048, EC P-256 or better."
    )


def _client_refused(finding: Finding, peer: str) -> str:
    how = status_of(finding) if finding.status else alert_of(finding)
    return (
        f"{peer} does not accept my client certificate ({how}). Please tell me which CA it has to "
        "be from, or issue me a new one."
    )


def _proxy_refused(finding: Finding, peer: str) -> str:
    if finding.status is None:
        return f"The proxy {finding.name} does not answer as a proxy does. Please see its log."
    wish = "allow it" if finding.status < 500 else "see its log"
    return (
        f"The proxy {finding.name} answers {status_of(finding)} when it is asked for a tunnel to "
        f"{peer}. Please {wish}."
    )


Sentence = Callable[[Finding, str], str]
SENTENCES: dict[Cause, Sentence] = {
    Cause.MISSING_INTERMEDIATE: _missing,
    Cause.WRONG_INTERMEDIATE: _wrong_issuer,
    Cause.EXPIRED: lambda finding, peer: (
        f"{_the(finding)} that {peer} presents expired on {_day(finding)}. Please renew it."
    ),
    Cause.NOT_YET_VALID: lambda finding, peer: (
        f"{_the(finding)} that {peer} presents is not valid before "
        f"{_day(finding)}. Please see whether it was issued with the right dates."
    ),
    Cause.NAME_MISMATCH: _names,
    Cause.BAD_CA_CERTIFICATE: _not_a_ca,
    Cause.NAME_CONSTRAINTS: lambda finding, peer: (
        f"{_the(finding)} in the chain of {peer} may not vouch for {finding.name} "
        "(its name constraints). Please use a CA that may."
    ),
    Cause.CRITICAL_EXTENSION: lambda finding, peer: (
        f"{_the(finding)} that {peer} presents has a critical extension that "
        f"clients do not know ({', '.join(_unhandled(finding)) or 'unnamed'}). Please issue it "
        "without."
    ),
    Cause.WRONG_PURPOSE: lambda finding, peer: (
        f"{_the(finding)} that {peer} presents is not meant for servers (its "
        "extended key usage lacks serverAuth). Please issue it with that."
    ),
    Cause.WEAK_KEY: _weak_key,
    Cause.WEAK_SIGNATURE: lambda finding, peer: (
        f"{_the(finding)} that {peer} presents is signed with {signature_of(finding)}. "
        "Please have it signed with SHA-256."
    ),
    Cause.PROTOCOL_VERSION: _protocol,
    Cause.NO_SHARED_CIPHER: _cipher,
    Cause.HANDSHAKE_REFUSED: _broken_off,
    Cause.CLIENT_CERT_REJECTED: _client_refused,
    Cause.NOT_TLS: lambda finding, peer: (
        f"{peer} does not speak TLS. Please serve https there, or tell me the port that does."
    ),
    Cause.PROXY_REFUSED: _proxy_refused,
    Cause.INSECURE_REDIRECT: lambda finding, peer: (
        f"{peer} redirects from https to {finding.url or 'http'}. Please redirect to https."
    ),
}


def _unhandled(finding: Finding) -> tuple[str, ...]:
    return finding.certificate.unhandled_critical if finding.certificate else ()


# --------------------------------------------------------------------------------------------
# What the user may look at


def _other_name(finding: Finding) -> str:
    held = names_of(finding)
    if not held:
        return ""
    if "*" in held or "," in held:
        return (
            "If the server is known by such a name, use it in the URL in the place of "
            f"{finding.name}: {held}."
        )
    return f"If {held} is the same server, use that name in the URL in the place of {finding.name}."


def _cut(finding: Finding) -> str:
    if finding.hop is Hop.PROXY:
        return (
            f"See whether {finding.name} is the proxy of this network ({finding.origin}), and "
            "whether it allows this server."
        )
    return (
        f"{finding.name} takes the connection and closes it: a firewall that forbids the name, or "
        "a server in trouble. See whether this network wants a proxy (--proxy)."
    )


def _late(finding: Finding) -> str:
    if finding.hop is Hop.PROXY:
        return (
            f"See whether {finding.name} is the proxy of this network ({finding.origin}), and "
            "whether it can reach this server."
        )
    return (
        "See whether this network wants a proxy (--proxy), whether a VPN has to be up, and whether "
        f"a firewall stands before {finding.name}."
    )


#: An empty sentence says that there is nothing to look at.
CHECKS: dict[Cause, Callable[[Finding], str]] = {
    Cause.NAME_MISMATCH: _other_name,
    Cause.NOT_TLS: lambda finding: (
        f"See whether {finding.name} is the right host and port: https is most often on 443 or "
        "8443."
    ),
    Cause.DNS: lambda finding: (
        f"See whether {finding.name} is spelt right, whether a VPN has to be up to know it, and "
        "whether this network wants a proxy (--proxy)."
    ),
    Cause.CONNECTION_REFUSED: lambda finding: (
        f"See whether {finding.name} is the right host and port, whether the server runs, and "
        "whether this network wants a proxy (--proxy)."
    ),
    Cause.CONNECTION_CUT: _cut,
    Cause.TIMEOUT: _late,
    Cause.NOT_AN_INDEX: lambda finding: (
        f"See whether {finding.url or finding.name} is the right address: that of an index most "
        "often ends in /simple."
    ),
}
