"""Certificate authorities and certificates, made on the spot, sound or wrong on purpose.

::

    root = authority("Example Root")
    leaf = root.intermediate("Example Issuing CA").leaf("localhost", "127.0.0.1")
    leaf.chain_pem          # the leaf and its intermediates, as a server sends them
    root.write_pem(path)    # what a client trusts

Keys are EC P-256 unless a test asks otherwise: an RSA key takes a hundred times as long to make.
Whatever a test may want to break is a keyword; the defaults make what a careful operator would.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import ipaddress
import ssl
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
KeyKind = Literal["ec", "rsa-1024", "rsa-2048"]
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH
CODE_SIGNING = ExtendedKeyUsageOID.CODE_SIGNING
EMAIL_PROTECTION = ExtendedKeyUsageOID.EMAIL_PROTECTION

#: The loopback names of test servers: each is a host of its own to a client.
LOOPBACK = ("localhost", "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "::1")


@dataclass(frozen=True)
class Validity:
    """From when until when, as offsets from now in days (``Validity(-2, -1)``: expired)."""

    start: float = -1
    end: float = 365

    def moments(self) -> tuple[datetime, datetime]:
        now = datetime.now(timezone.utc).replace(microsecond=0)
        return now + timedelta(days=self.start), now + timedelta(days=self.end)


VALID = Validity()
EXPIRED = Validity(-30, -1)
NOT_YET = Validity(1, 30)


@dataclass(frozen=True, eq=False)
class Certificate:
    """A certificate, its key and the certificate that issued it (None: itself)."""

    certificate: x509.Certificate
    key: Key
    issuer: Authority | None = None

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    @property
    def chain(self) -> tuple[Certificate, ...]:
        """This one and its intermediates: what a server sends, without the root."""
        if self.issuer is None or self.issuer.issuer is None:
            return (self,)
        return (self, *self.issuer.chain)

    @property
    def chain_pem(self) -> bytes:
        return b"".join(link.pem for link in self.chain)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the DER, lower-case hex."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def subject(self) -> str:
        return self.certificate.subject.rfc4514_string()

    def write_pem(self, path: Path) -> Path:
        """The certificate alone, in a PEM file; returns the path."""
        path.write_bytes(self.pem)
        return path

    def write_identity(self, path: Path, *, password: str | None = None) -> Path:
        """Key and chain in one PEM file, as ``--client-cert`` and mitmproxy want it."""
        key = self.key_pem
        if password is not None:
            key = self.key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(password.encode()),
            )
        path.write_bytes(key + self.chain_pem)
        path.chmod(0o600)
        return path

    def pkcs12(self, password: str | None = None) -> bytes:
        """Key and chain as PKCS#12."""
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            encryption = serialization.BestAvailableEncryption(password.encode())
        return pkcs12.serialize_key_and_certificates(
            b"kedge test",
            self.key,
            self.certificate,
            [link.certificate for link in self.chain[1:]],
            encryption,
        )


@dataclass(frozen=True, eq=False)
class Authority(Certificate):
    """A certificate that issues others."""

    def intermediate(
        self,
        name: str,
        *,
        path_length: int | None = 0,
        key: KeyKind = "ec",
        validity: Validity = VALID,
        is_ca: bool = True,
        key_usage: bool = True,
        permitted: Sequence[x509.GeneralName] = (),
        purposes: Sequence[ObjectIdentifier] = (),
        extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    ) -> Authority:
        """An authority under this one. ``permitted`` are name constraints."""
        private = make_key(key)
        added = _authority_extensions(private, is_ca, path_length, key_usage)
        added.append((self._identifier(), False))
        if permitted:
            added.append((x509.NameConstraints(list(permitted), None), True))
        if purposes:
            added.append((x509.ExtendedKeyUsage(list(purposes)), False))
        signed = _sign(
            subject(name), private, [*added, *extensions], validity=validity, issuer=self
        )
        return Authority(signed, private, self)

    def leaf(
        self,
        *names: str,
        common_name: str = "Kedge Test Server",
        alternative_names: bool = True,
        key: KeyKind = "ec",
        validity: Validity = VALID,
        purposes: Sequence[ObjectIdentifier] | None = (SERVER_AUTH,),
        key_usage: bool = True,
        hash_algorithm: hashes.HashAlgorithm | None = None,
        extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    ) -> Certificate:
        """An end-entity certificate for DNS names and IP addresses (told apart by their look).

        ``alternative_names=False`` leaves the common name alone to carry the name.
        """
        private = make_key(key)
        added: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.SubjectKeyIdentifier.from_public_key(private.public_key()), False),
            (self._identifier(), False),
        ]
        if alternative_names and names:
            general = [general_name(name) for name in names]
            added.append((x509.SubjectAlternativeName(general), False))
        if key_usage:
            added.append((_usage("digital_signature"), True))
        if purposes is not None:
            added.append((x509.ExtendedKeyUsage(list(purposes)), False))
        signed = _sign(
            subject(common_name),
            private,
            [*added, *extensions],
            validity=validity,
            issuer=self,
            algorithm=hash_algorithm,
        )
        return Certificate(signed, private, self)

    def client(self, common_name: str = "Kedge Test Client") -> Certificate:
        """A certificate that a client presents."""
        return self.leaf(common_name=common_name, purposes=(CLIENT_AUTH,))

    def _identifier(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())


def authority(
    name: str,
    *,
    key: KeyKind = "ec",
    validity: Validity = VALID,
    path_length: int | None = None,
    is_ca: bool = True,
    key_usage: bool = True,
    identifiers: bool = True,
    extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
) -> Authority:
    """A self-signed root.

    ``key_usage=False`` leaves out the extension that ``VERIFY_X509_STRICT`` asks for, as many
    company roots do (python/cpython#133564); ``identifiers=False`` the key identifiers.
    """
    private = make_key(key)
    added = _authority_extensions(private, is_ca, path_length, key_usage)
    if not identifiers:
        added = [pair for pair in added if not isinstance(pair[0], x509.SubjectKeyIdentifier)]
    signed = _sign(subject(name), private, [*added, *extensions], validity=validity, issuer=None)
    return Authority(signed, private)


def self_signed(*names: str, validity: Validity = VALID, is_ca: bool = False) -> Certificate:
    """A server's own certificate, vouched for by nobody else (the usual devpi)."""
    private = make_key("ec")
    added: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=is_ca, path_length=None), True),
        (x509.SubjectKeyIdentifier.from_public_key(private.public_key()), False),
        (x509.SubjectAlternativeName([general_name(name) for name in names]), False),
    ]
    signed = _sign(subject("Kedge Test Self"), private, added, validity=validity, issuer=None)
    return Certificate(signed, private)


#: Makes a server's certificate under a root; makes the bytes of a bundle that must be refused.
LeafMaker = Callable[[Authority], Certificate]
Spoiler = Callable[[Certificate], bytes]


def server_context(
    certificate: Certificate, *, maximum: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED
) -> ssl.SSLContext:
    """A server's context that presents the certificate with its intermediates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = maximum
    with tempfile.TemporaryDirectory() as folder:
        context.load_cert_chain(certificate.write_identity(Path(folder, "server.pem")))
    return context


# --------------------------------------------------------------------------------------------
# File forms


def pem_file(*certificates: Certificate, comments: bool = False) -> bytes:
    """Several blocks in one file; with ``comments`` each has its subject above it."""
    blocks = []
    for certificate in certificates:
        if comments:
            blocks.append(f"\n# {certificate.subject}\nIssued for tests.\n".encode())
        blocks.append(certificate.pem)
    return b"".join(blocks)


def pkcs7_file(*certificates: Certificate, pem: bool = False) -> bytes:
    """A PKCS#7 bundle (``.p7b``), DER or PEM."""
    encoding = serialization.Encoding.PEM if pem else serialization.Encoding.DER
    return pkcs7.serialize_certificates([item.certificate for item in certificates], encoding)


def trusted_block(
    certificate: Certificate,
    *,
    trust: Sequence[ObjectIdentifier] = (),
    reject: Sequence[ObjectIdentifier] = (),
) -> bytes:
    """OpenSSL's ``TRUSTED CERTIFICATE``: the certificate, then an ``X509_CERT_AUX``.

    ``X509_CERT_AUX ::= SEQUENCE { trust SEQUENCE OF OID OPTIONAL, reject [0] … }``.
    """
    auxiliary = b""
    if trust:
        auxiliary += _tlv(0x30, b"".join(_oid(purpose) for purpose in trust))
    if reject:
        auxiliary += _tlv(0xA0, b"".join(_oid(purpose) for purpose in reject))
    return pem_block("TRUSTED CERTIFICATE", certificate.der + _tlv(0x30, auxiliary))


def pem_block(label: str, data: bytes) -> bytes:
    """Any bytes between ``BEGIN`` and ``END`` lines (RFC 7468)."""
    text = base64.b64encode(data).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def damaged_pem(certificate: Certificate) -> bytes:
    """A block whose Base64 is sound and whose contents are cut short."""
    return pem_block("CERTIFICATE", certificate.der[:-40])


def garbled_pem(certificate: Certificate) -> bytes:
    """A block whose Base64 is broken in its third line."""
    lines = certificate.pem.splitlines(keepends=True)
    lines[2] = b"!!" + lines[2][2:]
    return b"".join(lines)


def misdated_der(certificate: Certificate) -> bytes:
    """The certificate with a date that states another length: its outline is sound, not its inside.

    The date is looked for as a whole: two bytes may stand in the serial number by chance.
    """
    date = certificate.certificate.not_valid_before_utc.strftime("%y%m%d%H%M%SZ").encode()
    found = certificate.der.index(b"\x17\x0d" + date)
    return certificate.der[: found + 1] + b"\x0c" + certificate.der[found + 2 :]


def subject_hash(certificate: Certificate) -> str:
    """The name, without its number, that OpenSSL gives a file in a hashed folder.

    The first four bytes, little-endian, of the SHA-1 over the subject's canonical form: each
    relative name with its text lower-cased, its spaces collapsed, as UTF8String.
    """
    canonical = b""
    for relative in certificate.certificate.subject.rdns:
        pairs = b""
        for attribute in relative:
            text = " ".join(str(attribute.value).split()).lower().encode()
            pairs += _tlv(0x30, _oid(attribute.oid) + _tlv(0x0C, text))
        canonical += _tlv(0x31, pairs)
    digest = hashlib.sha1(canonical, usedforsecurity=False).digest()
    return digest[3::-1].hex()


def hashed_folder(folder: Path, *certificates: Certificate) -> Path:
    """A folder as ``openssl rehash`` leaves it, which is what ``SSL_CERT_DIR`` names."""
    folder.mkdir(parents=True, exist_ok=True)
    for certificate in certificates:
        number = len(list(folder.glob(f"{subject_hash(certificate)}.*")))
        certificate.write_pem(folder / f"{subject_hash(certificate)}.{number}")
    return folder


# --------------------------------------------------------------------------------------------
# Parts


def subject(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Kedge Tests"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def general_name(name: str) -> x509.GeneralName:
    """An IP address where it looks like one, else a DNS name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def make_key(kind: KeyKind = "ec") -> Key:
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return _rsa_key(int(kind.removeprefix("rsa-")))


@functools.lru_cache(maxsize=4)
def _rsa_key(size: int) -> rsa.RSAPrivateKey:
    # Slow to make, and no test depends on two of them being different.
    return rsa.generate_private_key(public_exponent=65537, key_size=size)


def _usage(*wanted: str) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in wanted for name in names})


def _authority_extensions(
    key: Key, is_ca: bool, path_length: int | None, key_usage: bool
) -> list[tuple[x509.ExtensionType, bool]]:
    length = path_length if is_ca else None
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=is_ca, path_length=length), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
    ]
    if key_usage:
        extensions.append((_usage("key_cert_sign", "crl_sign", "digital_signature"), True))
    return extensions


def _sign(
    name: x509.Name,
    key: Key,
    extensions: Iterable[tuple[x509.ExtensionType, bool]],
    *,
    validity: Validity,
    issuer: Authority | None,
    algorithm: hashes.HashAlgorithm | None = None,
) -> x509.Certificate:
    start, end = validity.moments()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    signing = issuer.key if issuer else key
    return builder.sign(signing, algorithm or hashes.SHA256())  # type: ignore[arg-type]


def _tlv(tag: int, contents: bytes) -> bytes:
    """One DER element."""
    size = len(contents)
    if size < 0x80:
        return bytes([tag, size]) + contents
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + contents


def _oid(identifier: ObjectIdentifier) -> bytes:
    first, second, *rest = (int(part) for part in identifier.dotted_string.split("."))
    body = bytearray([40 * first + second])
    for number in rest:
        septets = [number & 0x7F]
        while number := number >> 7:
            septets.append(0x80 | number & 0x7F)
        body += bytes(reversed(septets))
    return _tlv(0x06, bytes(body))
