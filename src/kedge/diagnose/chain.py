"""Facts about certificates: what each says, and which of them really signed which.

``cryptography`` reads; nothing here knows what is trusted, and nothing is judged: that a
certificate has expired is for whoever knows the time. A certificate that cannot be read keeps its
fingerprint.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    ExtendedKeyUsageOID,
    ExtensionOID,
    NameOID,
    ObjectIdentifier,
)

from kedge.classes import field, frozen
from kedge.model import printable

_SERVER_USES = frozenset(
    {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
)
#: What OpenSSL handles when it is critical (``X509_supported_extension``, v3_purp.c).
_HANDLED = frozenset(
    {
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.INHIBIT_ANY_POLICY,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.ISSUING_DISTRIBUTION_POINT,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    }
)
#: Short names beside those of RFC 4514, as OpenSSL prints them.
_SHORT_NAMES = {
    NameOID.EMAIL_ADDRESS: "emailAddress",
    NameOID.SERIAL_NUMBER: "serialNumber",
    NameOID.BUSINESS_CATEGORY: "businessCategory",
    NameOID.JURISDICTION_COUNTRY_NAME: "jurisdictionC",
    NameOID.JURISDICTION_STATE_OR_PROVINCE_NAME: "jurisdictionST",
    NameOID.JURISDICTION_LOCALITY_NAME: "jurisdictionL",
    NameOID.POSTAL_CODE: "postalCode",
}
_READING = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)

E = TypeVar("E", bound=x509.ExtensionType)


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


@frozen
class Chain:
    """The certificates of one peer, as presented, and how they hang together.

    ``path`` are the positions from the leaf upward, each signed by the next. ``impostors`` are
    positions of certificates that have the name of the path's missing issuer and another key.
    """

    certificates: tuple[CertificateFacts, ...] = ()
    path: tuple[int, ...] = ()
    impostors: tuple[int, ...] = ()

    @property
    def leaf(self) -> CertificateFacts | None:
        return self.certificates[0] if self.certificates else None

    @property
    def links(self) -> tuple[CertificateFacts, ...]:
        """The certificates of the path, leaf first."""
        return tuple(self.certificates[at] for at in self.path)

    @property
    def top(self) -> CertificateFacts | None:
        """Where the path ends."""
        return self.certificates[self.path[-1]] if self.path else None

    @property
    def root(self) -> CertificateFacts | None:
        """The self-signed certificate at its end, where it was presented."""
        top = self.top
        return top if top is not None and top.self_signed else None

    @property
    def missing_issuer(self) -> str | None:
        """The issuer (RFC 4514) that the path ends without; ``None`` where it ends in a root."""
        top = self.top
        return None if top is None or top.self_signed else top.issuer

    @property
    def in_order(self) -> bool:
        """Whether each certificate certifies the one before it, as TLS 1.2 asks (RFC 5246)."""
        return self.path == tuple(range(len(self.certificates)))

    @property
    def unused(self) -> tuple[CertificateFacts, ...]:
        """What was presented and is no part of the path."""
        return tuple(each for at, each in enumerate(self.certificates) if at not in set(self.path))


def read_chain(presented: Sequence[bytes]) -> Chain:
    """The facts about a chain of DER certificates, leaf first."""
    certificates = tuple(read_certificate(der) for der in presented)
    if not certificates:
        return Chain()
    path = [0]
    while not certificates[path[-1]].self_signed:
        lower = certificates[path[-1]]
        rest = (at for at in range(len(certificates)) if at not in path)
        above = next((at for at in rest if signed_by(lower, certificates[at])), None)
        if above is None:
            break
        path.append(above)
    top = certificates[path[-1]]
    named = tuple(
        at
        for at, each in enumerate(certificates)
        if at not in path and each.subject and each.subject == top.issuer
    )
    return Chain(certificates, tuple(path), () if top.self_signed else named)


def related(anchors: Iterable[bytes], chain: Chain) -> tuple[tuple[CertificateFacts, ...], bool]:
    """Those anchors (DER) that bear the name of an issuer in the chain, and whether any is of the
    organisation that issued the leaf."""
    wanted = {each.issuer for each in chain.certificates if each.issuer}
    organization = chain.leaf.issuer_organization if chain.leaf else ""
    found = []
    kin = False
    needles = _needles(chain, organization)
    for der in anchors if wanted else ():
        # A look at the bytes: reading all of a store takes 30 ms.
        if needles is not None and not any(needle in der for needle in needles):
            continue
        parsed = _parse(der)
        if parsed is None:
            continue
        if _name(parsed.subject) in wanted:
            found.append(read_certificate(der))
        kin = kin or (
            bool(organization)
            and _attribute(parsed.subject, NameOID.ORGANIZATION_NAME) == organization
        )
    return tuple(found), kin


#: How an attribute's text may stand in a name (RFC 5280, section 4.1.2.4).
_ENCODINGS = ("utf-8", "latin-1", "utf-16-be", "utf-32-be")


def _needles(chain: Chain, organization: str) -> set[bytes] | None:
    """What must stand in a certificate that bears an issuer's name or is of the organisation;
    ``None`` where a name has no attribute to look for."""
    issued = [each for each in chain.certificates if each.issuer]
    texts = {each.issuer_label for each in issued} | ({organization} - {""})
    whole = {each.issuer for each in issued}
    if texts & whole or any("\N{REPLACEMENT CHARACTER}" in text for text in texts):
        return None
    return {text.encode(encoding, "replace") for text in texts for encoding in _ENCODINGS}


def signed_by(lower: CertificateFacts, upper: CertificateFacts) -> bool:
    """Whether ``upper`` bears the issuer's name and its key made the signature."""
    if not lower.issuer or lower.issuer != upper.subject:
        return False
    below, above = _parse(lower.der), _parse(upper.der)
    return below is not None and above is not None and _signed(below, above)


def read_certificate(der: bytes) -> CertificateFacts:
    """The facts about one certificate; its fingerprint alone where it cannot be read."""
    sha256 = hashlib.sha256(der).hexdigest()
    certificate = _parse(der)
    if certificate is None:
        return CertificateFacts(sha256=sha256, der=der)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in _parse: extensions are read when they are asked for
        return _facts(certificate, der, sha256)


def _facts(certificate: x509.Certificate, der: bytes, sha256: str) -> CertificateFacts:
    key, bits = _key(certificate)
    constraints = _extension(certificate, x509.NameConstraints)
    basic = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    return CertificateFacts(
        sha256=sha256,
        der=der,
        subject=_name(certificate.subject),
        issuer=_name(certificate.issuer),
        label=_label(certificate.subject) or _first_name(certificate) or "without a name",
        issuer_label=_label(certificate.issuer) or "without a name",
        organization=_attribute(certificate.subject, NameOID.ORGANIZATION_NAME),
        issuer_organization=_attribute(certificate.issuer, NameOID.ORGANIZATION_NAME),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        names=tuple(_names(certificate)),
        key=key,
        security_bits=bits,
        signature_hash=_signature_hash(certificate),
        is_ca=basic.ca if basic else None,
        path_length=basic.path_length if basic else None,
        may_sign=usage.key_cert_sign if usage else None,
        for_servers=_for_servers(certificate),
        unhandled_critical=tuple(_unhandled(certificate)),
        permitted=_subtrees(constraints.permitted_subtrees if constraints else None),
        excluded=_subtrees(constraints.excluded_subtrees if constraints else None),
        issuer_urls=tuple(_issuer_urls(certificate)),
        key_id=_key_id(certificate),
        issuer_key_id=_issuer_key_id(certificate),
        self_signed=_signed(certificate, certificate),
    )


def _parse(der: bytes) -> x509.Certificate | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old roots have serial numbers that it deprecates
        try:
            certificate = x509.load_der_x509_certificate(der)
            _name(certificate.subject), _name(certificate.issuer)
            return certificate
        except _READING:
            return None


def _signed(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(upper)
    except (InvalidSignature, *_READING):
        return False
    return True


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, *_READING):
        return None


def _name(name: x509.Name) -> str:
    return printable(name.rfc4514_string(_SHORT_NAMES))


def _attribute(name: x509.Name, kind: ObjectIdentifier) -> str:
    found = name.get_attributes_for_oid(kind)
    return printable(str(found[0].value)) if found else ""


def _label(name: x509.Name) -> str:
    kinds = (NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME)
    return next((text for kind in kinds if (text := _attribute(name, kind))), _name(name))


def _first_name(certificate: x509.Certificate) -> str:
    return next(_names(certificate), "")


def _names(certificate: x509.Certificate) -> Iterator[str]:
    listed = _extension(certificate, x509.SubjectAlternativeName)
    for each in listed or ():
        if isinstance(each, x509.DNSName | x509.IPAddress):
            yield printable(str(each.value))


def _key(certificate: x509.Certificate) -> tuple[str, int | None]:
    """The key's kind and size, and its strength (NIST SP 800-57 part 1, table 2)."""
    try:
        key = certificate.public_key()
    except _READING:
        return "a key of an unknown kind", None
    if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey):
        kind = "RSA" if isinstance(key, rsa.RSAPublicKey) else "DSA"
        return f"{kind} {key.key_size}", _factoring_bits(key.key_size)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}", key.curve.key_size // 2
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519", 128
    if isinstance(key, ed448.Ed448PublicKey):
        return "Ed448", 224
    return type(key).__name__.removesuffix("PublicKey"), None


def _factoring_bits(size: int) -> int:
    table = ((15360, 256), (7680, 192), (3072, 128), (2048, 112), (1024, 80))
    return next((bits for least, bits in table if size >= least), 0)


def _signature_hash(certificate: x509.Certificate) -> str:
    try:
        algorithm = certificate.signature_hash_algorithm
    except _READING:
        return ""
    return algorithm.name if algorithm is not None else ""


def _for_servers(certificate: x509.Certificate) -> bool | None:
    uses = _extension(certificate, x509.ExtendedKeyUsage)
    return None if uses is None else not _SERVER_USES.isdisjoint(uses)


def _unhandled(certificate: x509.Certificate) -> Iterator[str]:
    try:
        extensions = list(certificate.extensions)
    except (x509.DuplicateExtension, *_READING):
        return
    for each in extensions:
        if each.critical and each.oid not in _HANDLED:
            yield each.oid.dotted_string


def _subtrees(names: Iterable[x509.GeneralName] | None) -> tuple[str, ...]:
    return tuple(printable(str(getattr(each, "value", each))) for each in names or ())


def _issuer_urls(certificate: x509.Certificate) -> Iterator[str]:
    """Where the issuer's certificate can be had (RFC 5280, section 4.2.2.1)."""
    listed = _extension(certificate, x509.AuthorityInformationAccess)
    for each in listed or ():
        location = each.access_location
        issuers = each.access_method == AuthorityInformationAccessOID.CA_ISSUERS
        if issuers and isinstance(location, x509.UniformResourceIdentifier):
            yield printable(location.value)


def _key_id(certificate: x509.Certificate) -> str:
    found = _extension(certificate, x509.SubjectKeyIdentifier)
    return found.digest.hex() if found else ""


def _issuer_key_id(certificate: x509.Certificate) -> str:
    found = _extension(certificate, x509.AuthorityKeyIdentifier)
    return found.key_identifier.hex() if found and found.key_identifier else ""
