"""Finds certificates in a hashed folder as OpenSSL's lookup would find them, but all at once.

OpenSSL does not read such a folder: it computes a hash of the issuer's name and opens the files
named by it, at every handshake. Here the folder is read once, and those certificates are taken
that such a lookup would reach, and no others, so that the verdicts stay the same:

- ``by_dir.c``: ``HASH.0``, ``HASH.1`` and on, in lower case, PEM, up to the first gap (releases
  before OpenSSL 3.0.22 also gave up at the first file that they could not read);
- ``by_store.c`` (OpenSSL 3, for a single folder), where the above found nothing: whatever is
  named ``HASH.N`` in any case and with any gap, PEM or DER;
- a subject that was found in an earlier place is not looked for in a later one.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import ssl
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from kedge.classes import field, mutable
from kedge.trust import contents, der, pem, trusted
from kedge.trust.bundle import CertificateFile
from kedge.trust.files import UNREADABLE, read_bytes, why
from kedge.trust.openssl import judge
from kedge.trust.pem import Block

_NAME = re.compile(r"([0-9a-f]{8})\.(r?[0-9]+)", re.IGNORECASE)

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
_ASCII_SPACE = re.compile(r"[ \t\n\v\f\r]+")
_ASCII_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def canonical_subject(certificate: bytes) -> bytes:
    """The subject in the form by which OpenSSL compares and hashes names (``x_name.c``).

    ``certificate`` is DER. ``ValueError`` when there is no subject to be found in it.
    """
    _, start, _ = der.header(certificate)
    _, offset, _ = der.header(certificate, start)
    # [0] version, serialNumber, signature, issuer, validity, subject (RFC 5280, 4.1)
    found, offset = der.read(certificate, offset)
    for _ in range(5 if found.tag == der.CONTEXT_0 else 4):
        found, offset = der.read(certificate, offset)
    if found.tag != der.SEQUENCE:
        raise der.DerError("no subject where one must be")
    return b"".join(_canonical_rdn(rdn) for rdn in found.children())


def _canonical_rdn(rdn: der.Element) -> bytes:
    pairs = [_canonical_attribute(pair) for pair in rdn.children()]
    return der.encode(der.SET, b"".join(sorted(pairs)))


def _canonical_attribute(pair: der.Element) -> bytes:
    kind, value = pair.children()
    encoding = _TEXT.get(value.tag)
    if encoding is None:
        return pair.whole
    text = value.content.decode(encoding).strip(" \t\n\v\f\r")
    folded = _ASCII_SPACE.sub(" ", text).translate(_ASCII_LOWER)
    return der.encode(der.SEQUENCE, kind.whole + der.encode(0x0C, folded.encode()))


def name_hash(subject: bytes) -> str:
    """The eight digits by which a hashed folder names a (canonical) subject: ``X509_NAME_hash``."""
    digest = hashlib.sha1(subject, usedforsecurity=False).digest()
    return digest[3::-1].hex()


def _with_hashes(blocks: Iterable[Block]) -> Iterator[tuple[str, Block]]:
    for block in blocks:
        with contextlib.suppress(ValueError):
            yield name_hash(canonical_subject(trusted.certificate_der(block))), block


@mutable
class HashedLookup:
    """One eager pass over hashed folders.

    ``found`` are the hashes of the subjects for which no later place is asked. They stand for
    the subjects themselves: that two of a store's subjects share one is one in four billion.
    """

    found: set[str] = field(default_factory=set)
    files: list[CertificateFile] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def read(self, folders: Sequence[str], *, after: Iterable[Block] = ()) -> None:
        """Take what lookups in these folders, in this order, would find.

        A lookup is made only for a subject that is not among the blocks loaded before (``after``).
        """
        listings = [(folder, _listing(folder)) for folder in folders]
        if any(listing for _, listing in listings):
            self.found |= {each for each, _ in _with_hashes(after)}
        for folder, listing in listings:
            for wanted, names in listing.items():
                if wanted not in self.found:
                    self._numbered(folder, wanted, names)
        if len(folders) == 1 and ssl.OPENSSL_VERSION_INFO >= (3,):
            for folder, listing in listings:
                for wanted, names in listing.items():
                    if wanted not in self.found:
                        self._any_order(folder, wanted, names)

    def _numbered(self, folder: str, wanted: str, names: Sequence[str]) -> None:
        number = 0
        while (name := f"{wanted}.{number}") in names:
            path = str(Path(folder, name))
            blocks, _ = self._read_pem(path)
            self._take(path, blocks, wanted)
            number += 1

    def _any_order(self, folder: str, wanted: str, names: Sequence[str]) -> None:
        for name in names:
            path = str(Path(folder, name))
            blocks, whole = self._read_any(path)
            self._take(path, blocks, wanted)
            if not whole:
                break

    def _take(self, path: str, blocks: Sequence[Block], wanted: str) -> None:
        fitting = tuple(block for found, block in _with_hashes(blocks) if found == wanted)
        if fitting:
            self.found.add(wanted)
            self.files.append(CertificateFile(path, fitting))
        elif blocks:
            self._pass_over(path, "is named for another subject than its certificate's")

    def _read_pem(self, path: str) -> tuple[list[Block], bool]:
        """The PEM certificates before the first damaged one, and whether that was all."""
        blocks: list[Block] = []
        raw = self._raw(path)
        if raw is None:
            return blocks, False
        for block in pem.split(raw.decode("latin-1").replace("\r\n", "\n")):
            if not block.is_certificate:
                continue
            if block.flaw or not _sound(block):
                self._pass_over(path, f"is damaged in block {block.number}")
                return blocks, False
            blocks.append(block)
        if not blocks:
            self._pass_over(path, "holds no PEM certificate")
        return blocks, bool(blocks)

    def _read_any(self, path: str) -> tuple[list[Block], bool]:
        raw = self._raw(path)
        if raw is None:
            return [], False
        if raw[:1] != b"\x30":
            return self._read_pem(path)
        found = contents.read(raw)
        return list(found.certificates), found.damaged is None and found.mistake is None

    def _raw(self, path: str) -> bytes | None:
        try:
            return read_bytes(path)
        except UNREADABLE as exc:
            self._pass_over(path, why(path, exc))
            return None

    def _pass_over(self, path: str, what: str) -> None:
        warning = f"{path} was passed over: it {what}"
        if warning not in self.warnings:
            self.warnings.append(warning)


def _listing(folder: str) -> dict[str, list[str]]:
    """The names in a folder that look hashed, by their hash, in the folder's own order."""
    listing: dict[str, list[str]] = {}
    try:
        names = [path.name for path in Path(folder).iterdir()]
    except OSError:
        return listing
    for name in names:
        if match := _NAME.fullmatch(name):
            listing.setdefault(match[1].lower(), []).append(name)
    return listing


def _sound(block: Block) -> bool:
    """A look that costs next to nothing; where it finds something odd, OpenSSL is asked."""
    try:
        certificate, rest = trusted.split(block.der())
        canonical_subject(certificate)
    except ValueError:
        return judge(block) is not None
    return not rest or judge(block) is not None
