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
import ssl
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from kedge.classes import field, mutable
from kedge.trust import contents, pem, trusted
from kedge.trust.bundle import CertificateFile
from kedge.trust.files import UNREADABLE, listed, read_bytes, why
from kedge.trust.names import canonical_subject, hash_in, name_hash
from kedge.trust.openssl import judge
from kedge.trust.pem import Block


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

    def read(
        self,
        folders: Sequence[str],
        *,
        after: Iterable[Block] = (),
        only: Collection[str] | None = None,
    ) -> None:
        """Take what lookups in these folders, in this order, would find.

        A lookup is made only for a subject that is not among the blocks loaded before (``after``),
        and, where ``only`` names hashes, for those alone.
        """
        listings = [(folder, _listing(folder, only)) for folder in folders]
        if any(found for _, found in listings):
            self.found |= {each for each, _ in _with_hashes(after)}
        for folder, found in listings:
            for wanted, names in found.items():
                if wanted not in self.found:
                    self._numbered(folder, wanted, names)
        if len(folders) == 1 and ssl.OPENSSL_VERSION_INFO >= (3,):
            for folder, found in listings:
                for wanted, names in found.items():
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


def _sound(block: Block) -> bool:
    """A look that costs next to nothing; where it finds something odd, OpenSSL is asked."""
    try:
        certificate, rest = trusted.split(block.der())
        canonical_subject(certificate)
    except ValueError:
        return judge(block) is not None
    return not rest or judge(block) is not None


def _listing(folder: str, only: Collection[str] | None) -> dict[str, list[str]]:
    """The names in a folder that look hashed, by their hash, in the folder's own order.

    With ``only``, those with one of these hashes.
    """
    found: dict[str, list[str]] = {}
    for name in listed(folder):
        if (wanted := hash_in(name)) and (only is None or wanted in only):
            found.setdefault(wanted, []).append(name)
    return found
