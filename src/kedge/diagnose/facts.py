"""What one certificate says, as a value. Who reads it is :mod:`.plain`'s and :mod:`.certificates`'
business, and what it means is :mod:`.causes`'.
"""

from __future__ import annotations

from datetime import datetime

from kedge.classes import field, frozen


@frozen(kw_only=True)
class CertificateFacts:
    """What one certificate says. Moments are in UTC, fingerprints lower-case hex.

    ``subject`` and ``issuer`` are RFC 4514 strings; ``label`` and ``issuer_label`` what people
    call them (the common name, else the organisation, else all of it). ``names`` are the DNS names
    and addresses it is for. ``is_ca``, ``may_sign`` and ``for_servers`` are ``None`` where the
    certificate does not say. ``security_bits`` is the strength of its key by NIST SP 800-57.
    """

    sha256: str
    der: bytes = field(default=b"", repr=False)
    subject: str = ""
    issuer: str = ""
    label: str = "a certificate that cannot be read"
    issuer_label: str = ""
    organization: str = ""
    issuer_organization: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None
    names: tuple[str, ...] = ()
    key: str = ""
    security_bits: int | None = None
    signature_hash: str = ""
    is_ca: bool | None = None
    path_length: int | None = None
    may_sign: bool | None = None
    for_servers: bool | None = None
    unhandled_critical: tuple[str, ...] = ()
    permitted: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    issuer_urls: tuple[str, ...] = ()
    key_id: str = ""
    issuer_key_id: str = ""
    self_signed: bool = False

    @property
    def self_issued(self) -> bool:
        """Whether it names itself as its issuer; whether it signed itself is another matter."""
        return bool(self.subject) and self.subject == self.issuer

    @property
    def fingerprint(self) -> str:
        """The SHA-256 fingerprint as people compare it: pairs with colons, upper case."""
        return ":".join(self.sha256[at : at + 2] for at in range(0, 64, 2)).upper()


def factoring_bits(size: int) -> int:
    """The strength of an RSA or DSA key of that size (NIST SP 800-57 part 1, table 2)."""
    table = ((15360, 256), (7680, 192), (3072, 128), (2048, 112), (1024, 80))
    return next((bits for least, bits in table if size >= least), 0)
