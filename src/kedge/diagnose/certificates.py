"""Reads any certificate, and says whether one signed another: what ``cryptography`` is needed for.

Importing it takes 10 MB and 60 ms. So it is left to certificates that :mod:`.plain` does not know,
and to signatures.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Iterator
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

from kedge.classes import replace
from kedge.diagnose.facts import CertificateFacts, factoring_bits
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
#: KeyError: cryptography before 44 had it for a kind of string that it does not know.
_READING = (
    ValueError,
    TypeError,
    KeyError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

E = TypeVar("E", bound=x509.ExtensionType)


def signed_by(lower: bytes, upper: bytes) -> bool:
    """Whether the second (DER) bears the issuer's name and its key made the first's signature."""
    below, above = _parse(lower), _parse(upper)
    return below is not None and above is not None and _signed(below, above)


def read(der: bytes) -> CertificateFacts:
    """The facts about one certificate, but whether it signed itself; its fingerprint alone where
    it cannot be read."""
    sha256 = hashlib.sha256(der).hexdigest()
    certificate = _parse(der)
    if certificate is None:
        return CertificateFacts(sha256=sha256, der=der)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in _parse: extensions are read when they are asked for
        facts = _facts(certificate, der, sha256)
        try:
            certificate.extensions  # noqa: B018 - read when they are asked for
        except x509.UnsupportedGeneralNameType:
            # None of them is to be had then: without a key nothing is held against its names.
            return replace(facts, key="")
        except (x509.DuplicateExtension, *_READING):
            pass
        return facts


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
    """The key's kind and size, and its strength."""
    try:
        key = certificate.public_key()
    except _READING:
        return "a key of an unknown kind", None
    if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey):
        kind = "RSA" if isinstance(key, rsa.RSAPublicKey) else "DSA"
        return f"{kind} {key.key_size}", factoring_bits(key.key_size)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}", key.curve.key_size // 2
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519", 128
    if isinstance(key, ed448.Ed448PublicKey):
        return "Ed448", 224
    return type(key).__name__.removesuffix("PublicKey"), None


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
