"""Recognises what a file is when it is not a bundle of certificates.

Pure: the file's bytes and text in, a :class:`Mistake` out. Each names what the file is, as a
phrase that completes "the file …", and what to do about it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum

from kedge.classes import frozen
from kedge.trust import der
from kedge.trust.pem import Block


class MistakeKind(Enum):
    """What a file can be instead of a bundle."""

    EMPTY = "empty"
    PRIVATE_KEY = "private-key"
    HTML = "html"
    ENCRYPTED = "encrypted"
    PKCS12 = "pkcs12"
    KEYSTORE = "keystore"
    REQUEST = "certificate-request"
    PUBLIC_KEY = "public-key"
    REVOCATION_LIST = "revocation-list"
    LFS_POINTER = "lfs-pointer"
    NO_CERTIFICATE = "no-certificate"


@frozen
class Mistake:
    """``what`` completes "the file …"; ``hint`` is one or two sentences."""

    kind: MistakeKind
    what: str
    hint: str
    block: int | None = None
    line: int | None = None


_PEM_WANTED = "Name a file of CA certificates: text with -----BEGIN CERTIFICATE----- blocks."
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_ENVELOPED = tuple(bytes.fromhex(f"2a864886f70d0107{end}") for end in ("03", "04", "06"))
_ENCRYPTED_HEADER = re.compile(r"^(Proc-Type:.*ENCRYPTED|DEK-Info:)", re.MULTILINE)
_HTML = r"\s*(<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(!doctype\s+html|html|head|body|title)"


def forbidden_block(blocks: Sequence[Block]) -> Mistake | None:
    """The first block that must not be in a bundle: a private key, or encrypted content.

    OpenSSL would ask for the passphrase on the terminal.
    """
    for block in blocks:
        if "PRIVATE KEY" in block.label:
            protected = "ENCRYPTED" in block.label or _ENCRYPTED_HEADER.search(block.text)
            kind = "an encrypted private key" if protected else "a private key"
            return Mistake(
                MistakeKind.PRIVATE_KEY,
                f"holds {kind}, which does not belong among trust anchors",
                "Copy only the CERTIFICATE blocks into a file of their own and name that. "
                "A key that others could read should be replaced.",
                block.number,
                block.line,
            )
        if _ENCRYPTED_HEADER.search(block.text) or block.label == "PGP MESSAGE":
            return Mistake(
                MistakeKind.ENCRYPTED,
                "is encrypted",
                "Decrypt it first; certificates are public and need no passphrase.",
                block.number,
                block.line,
            )
    return None


def recognise(raw: bytes, text: str, blocks: Sequence[Block]) -> Mistake:
    """What a file without any certificate is. ``blocks`` are its PEM blocks."""
    if not text.strip("\0 \t\n"):
        return Mistake(MistakeKind.EMPTY, "is empty", "Export or download the certificates again.")
    return (
        _among_labels(blocks)
        or _html(text)
        or _binary(raw)
        or _der(raw)
        or Mistake(MistakeKind.NO_CERTIFICATE, "holds no certificate", _PEM_WANTED)
    )


def _among_labels(blocks: Sequence[Block]) -> Mistake | None:
    labels = [block.label for block in blocks]
    if any("CERTIFICATE REQUEST" in label for label in labels):
        return Mistake(
            MistakeKind.REQUEST,
            "holds a certificate request, and no certificate",
            "A request is what is sent to a CA. Name the file of the CA's own certificate.",
        )
    if any("PUBLIC KEY" in label for label in labels):
        return Mistake(
            MistakeKind.PUBLIC_KEY, "holds a public key, and no certificate", _PEM_WANTED
        )
    if any("CRL" in label for label in labels):
        return Mistake(
            MistakeKind.REVOCATION_LIST,
            "holds a revocation list, and no certificate",
            _PEM_WANTED,
        )
    return None


def _html(text: str) -> Mistake | None:
    if not re.match(_HTML, text[:4096].lower(), re.DOTALL):
        return None
    return Mistake(
        MistakeKind.HTML,
        "is an HTML page, not a certificate",
        "The download probably ended at a sign-in or error page: open the address in a browser, "
        "and save the certificate itself.",
    )


def _binary(raw: bytes) -> Mistake | None:
    if raw.startswith((b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")):
        return Mistake(
            MistakeKind.KEYSTORE,
            "is a Java keystore",
            "Export its certificates: keytool -list -rfc -keystore FILE > bundle.pem",
        )
    if raw.startswith(b"version https://git-lfs"):
        return Mistake(
            MistakeKind.LFS_POINTER,
            "is a Git LFS pointer, not the file that it stands for",
            "Fetch the content: git lfs pull",
        )
    if raw.startswith((b"Salted__", b"U2FsdGVkX1", b"age-encryption.org/")):
        return Mistake(MistakeKind.ENCRYPTED, "is encrypted", "Decrypt it first.")
    if re.match(rb"(ssh|ecdsa)-[a-z0-9-]+ AAAA", raw):
        return Mistake(MistakeKind.PUBLIC_KEY, "is an SSH public key", _PEM_WANTED)
    return None


def _der(raw: bytes) -> Mistake | None:
    """Tells apart the DER files that have the same look, by how their outlines begin."""
    try:
        outer = der.read(raw)[0]
        first, *rest = outer.children()
    except ValueError:
        return None
    if outer.tag != der.SEQUENCE:
        return None
    if first.tag == der.OBJECT_IDENTIFIER and first.content in _ENVELOPED:
        return Mistake(MistakeKind.ENCRYPTED, "is encrypted", "Decrypt it first.")
    if first.tag == der.OBJECT_IDENTIFIER and first.content == _SIGNED_DATA:
        return Mistake(
            MistakeKind.NO_CERTIFICATE, "is PKCS#7 and holds no certificate", _PEM_WANTED
        )
    if first.tag == der.INTEGER and first.content == b"\x03":
        return Mistake(
            MistakeKind.PKCS12,
            "is PKCS#12 (.p12, .pfx), which may hold a private key and is encrypted",
            "Take the certificates out of it: openssl pkcs12 -in FILE -nokeys -out bundle.pem",
        )
    if first.tag == der.INTEGER and first.content in {b"\x00", b"\x01"} and rest:
        return Mistake(
            MistakeKind.PRIVATE_KEY,
            "is a private key, not a certificate",
            "Name the file of the certificate that belongs to whoever signs; keep keys private.",
        )
    # EncryptedPrivateKeyInfo: an algorithm, then an octet string and nothing more (RFC 5958).
    if first.tag == der.SEQUENCE and [each.tag for each in rest] == [0x04]:
        return Mistake(
            MistakeKind.PRIVATE_KEY,
            "is an encrypted private key, not a certificate",
            "Name the file of the certificate; keep keys private.",
        )
    return None
