"""Which few anchors of a source to load first: those that vouched last.

Loading all of certifi takes 30 ms, loading three anchors 1. What is kept between runs are *hints*:
the places of blocks in a source, by the SHA-256 of that source. A hint is never an anchor. The
source is read anew each time, and what a hint selects are bytes of it, so that nothing can be
trusted that the source does not hold, whatever a hint says. (One that lies can at most spare the
rest of the source a look, or have OpenSSL find another valid way to an anchor of it.)

A part of the source must not accept what the whole refuses. Therefore

- only sources of plain ``CERTIFICATE`` blocks qualify. Whether one is such is looked up in its
  bytes each time: one block with trust settings, one revocation list, one marker that is not as it
  should be, and all of it is loaded;
- anchors are taken by subject, all that share it, because OpenSSL looks for issuers by name and
  may end at any of them;
- whoever verifies with a part asks afterwards (:meth:`Selection.covers`) whether OpenSSL would
  have found further anchors on the way, and if so repeats it with the whole.

Only a source that was loaded whole, without a warning, gets hints; when that is, is
:mod:`kedge.trust.staged`'s business. Names are told apart by the hash that hashed folders use.
"""

from __future__ import annotations

import binascii
import hashlib
import os
import ssl
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from kedge.classes import frozen
from kedge.model import StoreKind, TrustDecision, TrustSource
from kedge.trust import der
from kedge.trust.files import (
    UNREADABLE,
    expand,
    listed,
    locate,
    platform_verifies,
    read_bytes,
)
from kedge.trust.names import canonical_issuer, canonical_subject, name_hash

if TYPE_CHECKING:
    from kedge.trust.anchors import Anchors, LoadedSource
    from kedge.trust.pem import Block

#: The format of what is kept.
_FORMAT = 2

#: More anchors than anybody meets; a longer hint is none.
_MOST = 64

_BEGIN = b"-----BEGIN CERTIFICATE-----\n"
_END = b"\n-----END CERTIFICATE-----\n"
_HYPHENS = b"-----"


@lru_cache(maxsize=512)
def subject_of(certificate: bytes) -> str:
    """The hash of the subject's name; equal where OpenSSL finds two names equal."""
    return name_hash(canonical_subject(certificate))


@lru_cache(maxsize=512)
def _issuer_of(certificate: bytes) -> str:
    return name_hash(canonical_issuer(certificate))


def names_in(chain: Sequence[bytes]) -> set[str]:
    """The names by which OpenSSL looked for an anchor while it built this chain.

    ``ValueError`` where there is no chain, or a certificate in it that cannot be read.
    """
    if not chain:
        raise ValueError("no chain")
    return {*map(_issuer_of, chain), subject_of(chain[-1])}


@frozen
class Selection:
    """A few of the anchors, in DER: OpenSSL's reader of PEM takes twice the time for these.

    ``held`` are the names of their subjects, ``known`` those of every subject, source by source;
    both are what the hints say of files.
    """

    certificates: tuple[bytes, ...]
    held: frozenset[str]
    known: tuple[Container[str], ...]

    def covers(self, chain: Sequence[bytes]) -> bool:
        """Whether the whole holds nothing more that OpenSSL would have looked at.

        ``chain`` is a verified chain in DER: the server's certificate first, the anchor last.
        """
        try:
            names = names_in(chain)
        except ValueError:
            return False
        return not any(name in known for name in names - self.held for known in self.known)


_Selected: TypeAlias = "tuple[list[str], set[str], list[Container[str]]]"


class _Part(Protocol):
    """One source of the decision, or the file or the folders that a system's store is made of."""

    digest: str

    def select(self, hint: Mapping[str, Any]) -> _Selected:
        """The blocks, the names of their subjects and those of all; ``ValueError`` where it leads
        to none."""

    def hint(self, loaded: LoadedSource, wanted: Collection[str]) -> dict[str, Any]:
        """What leads to the blocks with these subjects; ``ValueError`` where nothing does."""


class _FilePart:
    """One file of plain blocks; hints are offsets into it."""

    def __init__(self, path: str, raw: bytes) -> None:
        self.path = path
        self.raw = raw
        self.digest = hashlib.sha256(raw).hexdigest()

    def select(self, hint: Mapping[str, Any]) -> _Selected:
        blocks, held = [], set()
        for start, length, subject in hint["anchors"]:
            blocks.append(self._block(start, length))
            held.add(subject)
        return blocks, held, [set(hint["subjects"])]

    def _block(self, start: int, length: int) -> str:
        """One whole block of the file, and nothing but a whole one."""
        text = self.raw[start : start + length]
        if (
            start < 0
            or self.raw[max(start - 1, 0) : start] not in (b"", b"\n")
            or not (text.startswith(_BEGIN) and text.endswith(_END))
            or text.count(b"-----BEGIN") != 1
        ):
            raise ValueError("no block stands there")
        return text.decode("ascii")

    def hint(self, loaded: LoadedSource, wanted: Collection[str]) -> dict[str, Any]:
        places: list[tuple[int, int, str]] = []
        subjects = set()
        for block in _blocks(loaded, lambda path: path == self.path):
            text = block.text.encode("ascii")
            start = self.raw.index(text)
            subject = subject_of(block.der())
            subjects.add(subject)
            if subject in wanted:
                places.append((start, len(text), subject))
        return {"anchors": places, "subjects": sorted(subjects)}


class _FolderPart:
    """Hashed folders, as the system's store has them; hints are hashes in the names of their files.

    OpenSSL looks into such a folder by the hash of a name alone. So the files of one hash are all
    that there is to a subject, and the names in the folder say which subjects there are.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        self.folders = folders
        # All that could be hashed: more names than OpenSSL would look for do no harm, so that a
        # hash is looked for in one text. The order counts, too: OpenSSL may go by it.
        names = [name for folder in folders for name in listed(folder) if name[8:9] == "."]
        text = "\0".join((*folders, *names))
        self._known = "\0".join(names).lower()
        self.digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

    def select(self, hint: Mapping[str, Any]) -> _Selected:
        if not hint["hashes"]:
            return [], set(), [self._known]
        from kedge.trust.hashed import HashedLookup
        from kedge.trust.pem import CERTIFICATE

        lookup = HashedLookup()
        lookup.read(self.folders, only=frozenset(hint["hashes"]))
        blocks = [block for file in lookup.files for block in file.blocks]
        if lookup.warnings or any(block.label != CERTIFICATE for block in blocks):
            raise ValueError("not only plain certificates")
        return [block.text for block in blocks], lookup.found, [self._known]

    def hint(self, loaded: LoadedSource, wanted: Collection[str]) -> dict[str, Any]:
        folders = set(map(Path, self.folders))
        found = _blocks(loaded, lambda path: Path(path).parent in folders)
        hashes = {subject_of(block.der()) for block in found}
        return {"hashes": sorted(hashes.intersection(wanted))}


class _StorePart:
    """The system's store as a file and folders. A subject of the file is not looked for again."""

    def __init__(self, file: _FilePart, folder: _FolderPart) -> None:
        self._file = file
        self._folder = folder
        self.digest = f"{file.digest} {folder.digest}"

    def select(self, hint: Mapping[str, Any]) -> _Selected:
        blocks, held, known = self._file.select(hint["file"])
        hashes = [each for each in hint["folder"]["hashes"] if each not in known[0]]
        more, found, names = self._folder.select({"hashes": hashes})
        return [*blocks, *more], held | found, [*known, *names]

    def hint(self, loaded: LoadedSource, wanted: Collection[str]) -> dict[str, Any]:
        return {
            "file": self._file.hint(loaded, wanted),
            "folder": self._folder.hint(loaded, wanted),
        }


def _blocks(loaded: LoadedSource, of: Callable[[str], bool]) -> Iterator[Block]:
    return (block for file in loaded.files if of(file.path) for block in file.blocks)


class Sources:
    """The sources of a decision as they are now.

    ``key`` is what hints for them are kept under. It covers every byte of a file (of a folder the
    names) and the release of OpenSSL, whose verdict on the whole is not asked for again.
    """

    def __init__(self, parts: Sequence[_Part]) -> None:
        self._parts = parts
        digests = [str(_FORMAT), ssl.OPENSSL_VERSION, *(part.digest for part in parts)]
        self.key = hashlib.sha256("\0".join(digests).encode()).hexdigest()

    def select(self, kept: Mapping[str, Any]) -> Selection | None:
        """What the hints select; ``None`` where they are damaged, forged or of no use."""
        blocks: list[str] = []
        held: set[str] = set()
        known: list[Container[str]] = []
        try:
            for part, hint in zip(self._parts, kept["sources"], strict=True):
                found, subjects, all_subjects = part.select(hint)
                blocks += found
                held |= subjects
                known += all_subjects
            if not 0 < len(blocks) <= _MOST:
                return None
            certificates = tuple(dict.fromkeys(map(_der, blocks)))
        except (KeyError, TypeError, ValueError):
            return None
        return Selection(certificates, frozenset(held), tuple(known))

    def hints(self, anchors: Anchors, wanted: Collection[str]) -> dict[str, Any] | None:
        """What to keep, for the anchors with these subjects to be loaded first next time."""
        if anchors.warnings:
            return None
        try:
            pairs = zip(self._parts, anchors.sources, strict=True)
            return {"sources": [part.hint(loaded, wanted) for part, loaded in pairs]}
        except ValueError:
            return None


def look(decision: TrustDecision, environ: Mapping[str, str]) -> Sources | None:
    """The decision's sources, read but not loaded; ``None`` where the whole is to be loaded.

    That is so where one cannot be read, too: loading will say why. Raises nothing.
    """
    parts = []
    for source in decision.sources:
        try:
            part = _look(source, environ)
        except UNREADABLE:
            return None
        if part is None:
            return None
        parts.append(part)
    return Sources(parts)


def _look(source: TrustSource, environ: Mapping[str, str]) -> _Part | None:
    match source.kind:
        case StoreKind.CERTIFI:
            import certifi

            return _file(certifi.where())
        case StoreKind.BUNDLE:
            path = expand(source.path or "", environ)
            return None if os.path.isdir(path) else _file(path)  # noqa: PTH112
        case StoreKind.SYSTEM:
            return _look_at_system(environ)


def _look_at_system(environ: Mapping[str, str]) -> _Part | None:
    if platform_verifies():
        return None
    places = locate(environ)
    if places.warnings:
        return None
    folder = _FolderPart(places.folders) if places.folders else None
    paths = [path for path in places.files if os.path.lexists(path)]
    if not paths:
        return folder
    file = _file(*paths)
    return _StorePart(file, folder) if file and folder else file


def _file(path: str) -> _FilePart | None:
    raw = read_bytes(path)
    # A small file, too: judging it whole takes 6 ms, most of it for importing what does.
    return _FilePart(path, raw) if is_plain(raw) else None


def is_plain(raw: bytes) -> bool:
    """Whether these are certificates without trust settings, and comments, and no more.

    >>> is_plain(b"-----BEGIN CERTIFICATE-----\\nMAA=\\n-----END CERTIFICATE-----\\n")
    True
    >>> is_plain(b"-----BEGIN X509 CRL-----\\nMAA=\\n-----END X509 CRL-----\\n")
    False
    """
    if not raw.isascii() or b"\r" in raw or b"\0" in raw:
        return False
    begin = raw.find(_HYPHENS)
    while raw.startswith(_BEGIN, begin):
        # The next hyphen must be that of the end: one byte is looked for fastest.
        end = raw.find(b"-", begin + len(_BEGIN)) - 1
        if not raw.startswith(_END, end):
            break
        begin = raw.find(_HYPHENS, end + len(_END))
        if begin < 0:
            return True
    # What has hyphens beside the markers must be a comment, or an encapsulated header.
    count = raw.count(_BEGIN)
    return 0 < count == raw.count(_END) == raw.count(b"-----BEGIN") == raw.count(b"-----END")


def _der(block: str) -> bytes:
    """One certificate and no more, of which OpenSSL reads the same bytes in the block: whatever it
    might read otherwise is a ``ValueError``."""
    text = "".join(block.split("\n")[1:-2])  # between the markers
    certificate = binascii.a2b_base64(text)
    _, start, length = der.header(certificate)
    if start + (length or 0) != len(certificate):
        raise ValueError("not one certificate")
    if binascii.b2a_base64(certificate, newline=False) != text.encode("ascii"):
        raise ValueError("not plain base64")
    return certificate
