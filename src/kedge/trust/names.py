"""Names in certificates, in the form by which OpenSSL compares them and hashed folders file them.

Pure: DER in, canonical names and their hashes out.
"""

from __future__ import annotations

import hashlib

from kedge.trust import der

# The string types whose text is folded (ASN1_MASK_CANON in x_name.c), and how they are encoded.
_TEXT = {
    0x0C: "utf-8",  # UTF8String
    0x13: "latin-1",  # PrintableString
    0x14: "latin-1",  # TeletexString
    0x16: "latin-1",  # IA5String
    0x1A: "latin-1",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}
_HEX = "0123456789abcdefABCDEF"


def canonical_subject(certificate: bytes) -> bytes:
    """The subject in the form by which OpenSSL compares and hashes names (``x_name.c``).

    ``certificate`` is DER. ``ValueError`` when there is no subject to be found in it.
    """
    return _canonical_name(certificate, after_version=5)


def canonical_issuer(certificate: bytes) -> bytes:
    """The issuer's name in the same form; ``ValueError`` likewise."""
    return _canonical_name(certificate, after_version=3)


def _canonical_name(certificate: bytes, *, after_version: int) -> bytes:
    _, start, _ = der.header(certificate)
    _, offset, _ = der.header(certificate, start)
    # [0] version, serialNumber, signature, issuer, validity, subject (RFC 5280, 4.1)
    found, offset = der.read(certificate, offset)
    for _ in range(after_version if found.tag == der.CONTEXT_0 else after_version - 1):
        found, offset = der.read(certificate, offset)
    if found.tag != der.SEQUENCE:
        raise der.DerError("no name where one must be")
    return b"".join(_canonical_rdn(rdn) for rdn in found.children())


def _canonical_rdn(rdn: der.Element) -> bytes:
    pairs = [_canonical_attribute(pair) for pair in rdn.children()]
    return der.encode(der.SET, b"".join(sorted(pairs)))


def _canonical_attribute(pair: der.Element) -> bytes:
    kind, value = pair.children()
    encoding = _TEXT.get(value.tag)
    if encoding is None:
        return pair.whole
    text = value.content.decode(encoding).encode()
    folded = b" ".join(text.split()).lower()  # of bytes, Python means ASCII's spaces and letters
    return der.encode(der.SEQUENCE, kind.whole + der.encode(0x0C, folded))


def name_hash(subject: bytes) -> str:
    """The eight digits by which a hashed folder names a (canonical) subject: ``X509_NAME_hash``."""
    digest = hashlib.sha1(subject, usedforsecurity=False).digest()
    return digest[3::-1].hex()


def hash_in(name: str) -> str | None:
    """The hash in the name of a certificate's (``0a1b2c3d.0``) or a revocation list's (``.r0``)
    file; without a pattern, whose compilation would be a third of all that trust costs."""
    if name[8:9] != ".":
        return None
    stem, number = name[:8], name[9:]
    digits = number[1:] if number[:1] in {"r", "R"} else number
    hashed = digits.isdigit() and not stem.strip(_HEX) and name.isascii()
    return stem.lower() if hashed else None
