"""Sentences for those who can mend what the user cannot, and what the user may look at.

From one finding to one sentence, by cause. Which remedies are offered is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable

from kedge.diagnose.evidence import Cause, Finding


def _label(finding: Finding) -> str:
    certificate = finding.certificate
    if certificate is None:
        return "the certificate"
    return f"the certificate “{certificate.label}” (SHA-256 {certificate.fingerprint})"


def _the(finding: Finding) -> str:
    """The same where a sentence begins."""
    label = _label(finding)
    return label[:1].upper() + label[1:]


def _day(finding: Finding) -> str:
    return f"{finding.moment:%Y-%m-%d %H:%M} UTC" if finding.moment else "an unknown date"


def _missing(finding: Finding, peer: str) -> str:
    urls = finding.certificate.issuer_urls if finding.certificate else ()
    where = f" It can be had from {urls[0]}." if urls else ""
    return (
        f"{peer} sends its certificate without the intermediate that signed it, “{finding.issuer}”."
        f"{where} Please add it to the server's chain file."
    )


def _names(finding: Finding, peer: str) -> str:
    names = finding.certificate.names if finding.certificate else ()
    held = ", ".join(names) or "no name at all (a common name does not count)"
    return (
        f"The certificate of {peer} is for {held}, and not for {finding.name}. Please issue it "
        "with that name among its subject alternative names."
    )


def _protocol(finding: Finding, peer: str) -> str:
    spoken = f" It speaks {finding.protocol}." if finding.protocol else ""
    return f"{peer} does not speak TLS 1.2 or newer.{spoken} Please switch TLS 1.2 and 1.3 on."


def _cipher(finding: Finding, peer: str) -> str:
    chosen = f" It would take {finding.cipher}." if finding.cipher else ""
    return (
        f"{peer} and current clients have no cipher suite in common.{chosen} Please allow "
        "ECDHE suites with AES-GCM or ChaCha20."
    )


def _refused(finding: Finding, peer: str) -> str:
    number = f" with alert {finding.alert}" if finding.alert is not None else ""
    return f"{peer} broke off the TLS handshake{number} ({finding.reason}). Please see its log."


def _proxy_status(finding: Finding, peer: str) -> str:
    answer = f"answers {finding.status}" if finding.status else "does not answer as a proxy does"
    return (
        f"The proxy {finding.name} {answer} when a tunnel to {peer} is asked for. Please allow it."
    )


Sentence = Callable[[Finding, str], str]
SENTENCES: dict[Cause, Sentence] = {
    Cause.MISSING_INTERMEDIATE: _missing,
    Cause.WRONG_INTERMEDIATE: lambda finding, peer: (
        f"{peer} sends {_label(finding)} as the issuer of its certificate, but that key did not "
        "sign it. Please install the intermediate that came with the certificate."
    ),
    Cause.EXPIRED: lambda finding, peer: (
        f"{_the(finding)} that {peer} presents expired on {_day(finding)}. Please renew it."
    ),
    Cause.NOT_YET_VALID: lambda finding, peer: (
        f"{_the(finding)} that {peer} presents is not valid before "
        f"{_day(finding)}. Please see whether it was issued with the right dates."
    ),
    Cause.NAME_MISMATCH: _names,
    Cause.BAD_CA_CERTIFICATE: lambda finding, peer: (
        f"In the chain of {peer}, {_label(finding)} signs others and may not (RFC 5280, sections "
        "4.2.1.3 and 4.2.1.9). Please have it issued again as a CA."
    ),
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
    Cause.WEAK_KEY: lambda finding, peer: (
        f"{peer} uses a key that is too small"
        + (f": {finding.certificate.key} in {_label(finding)}" if finding.certificate else "")
        + ". Please use RSA 2048, EC P-256 or better."
    ),
    Cause.WEAK_SIGNATURE: lambda finding, peer: (
        f"{_the(finding)} that {peer} presents is signed with "
        f"{finding.certificate.signature_hash if finding.certificate else 'a weak hash'}. "
        "Please have it signed with SHA-256."
    ),
    Cause.PROTOCOL_VERSION: _protocol,
    Cause.NO_SHARED_CIPHER: _cipher,
    Cause.HANDSHAKE_REFUSED: _refused,
    Cause.CLIENT_CERT_REJECTED: lambda finding, peer: (
        f"{peer} does not accept my client certificate"
        + (f" (alert {finding.alert})" if finding.alert is not None else "")
        + ". Please tell me which CA it has to be from, or issue me a new one."
    ),
    Cause.NOT_TLS: lambda finding, peer: (
        f"{peer} does not speak TLS. Please serve https there, or tell me the port that does."
    ),
    Cause.PROXY_REFUSED: _proxy_status,
    Cause.INSECURE_REDIRECT: lambda finding, peer: (
        f"{peer} redirects from https to {finding.url or 'http'}. Please redirect to https."
    ),
}


def _unhandled(finding: Finding) -> tuple[str, ...]:
    return finding.certificate.unhandled_critical if finding.certificate else ()


CHECKS: dict[Cause, Callable[[Finding], str]] = {
    Cause.DNS: lambda finding: (
        f"See whether {finding.name} is spelt right, and whether this machine has to be on a VPN "
        "to know it."
    ),
    Cause.CONNECTION_REFUSED: lambda finding: (
        f"Nobody takes connections at {finding.name}: see whether host and port are right, and "
        "whether the server runs."
    ),
    Cause.CONNECTION_CUT: lambda finding: (
        f"{finding.name} takes the connection and cuts it: a firewall that forbids the name, or a "
        "server in trouble. See whether a proxy has to be used here."
    ),
    Cause.TIMEOUT: lambda finding: (
        f"{finding.name} does not answer: see whether a proxy has to be used here (--proxy), and "
        "whether a firewall is on the way."
    ),
    Cause.NOT_AN_INDEX: lambda finding: (
        f"What answers at {finding.url or finding.name} is no package index: see whether its "
        "address is right (most end in /simple)."
    ),
}
