"""Reads a bundle, a file or a folder, and refuses what is not one before the network is touched.

Everything is read once, here, into memory: OpenSSL is never given a folder to look into later.
Which bundle, and by which setting, was decided before (:mod:`kedge.trust.decide`); whether its
certificates are sound is OpenSSL's verdict, asked for after (:mod:`kedge.trust.anchors`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from kedge.classes import frozen
from kedge.errors import BundleError
from kedge.model import StoreKind, TrustSource
from kedge.trust import contents
from kedge.trust.contents import Contents
from kedge.trust.files import UNREADABLE, expand, is_absent, read_bytes, why
from kedge.trust.pem import Block

_REPAIR = "Export or download it again, or cut that block out of the file."


@frozen
class CertificateFile:
    """The certificates of one file, as they were when it was read.

    ``others`` are its blocks that are no certificate.
    """

    path: str
    blocks: tuple[Block, ...]
    others: tuple[Block, ...] = ()


@frozen
class Reading:
    """What one source gave: its files, and a sentence for whatever was passed over."""

    files: tuple[CertificateFile, ...]
    warnings: tuple[str, ...] = ()


def read_bundle(source: TrustSource, environ: Mapping[str, str]) -> Reading:
    """The files of a bundle, with at least one certificate in them.

    ``~`` is the home folder that ``environ`` names; a relative path is relative to the working
    directory wherever it was written, as in pip. Raises :class:`~kedge.errors.BundleError`.
    """
    path = expand(source.path or "", environ)
    return _read_folder(source, path) if _is_folder(path) else read_file(source, path)


def _is_folder(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except UNREADABLE:
        return False  # reading it will say why


def read_file(source: TrustSource, path: str) -> Reading:
    """A bundle that is one file. Raises :class:`~kedge.errors.BundleError`."""
    try:
        found = contents.read(read_bytes(path))
    except UNREADABLE as exc:
        raise _unreadable(source, path, exc) from exc
    if found.mistake:
        raise refusal(
            source,
            path,
            found.mistake.what,
            hint=found.mistake.hint,
            block=found.mistake.block,
            line=found.mistake.line,
        )
    if found.damaged:
        raise damage(source, path, found.damaged)
    return Reading((CertificateFile(path, found.certificates, found.others),))


def _read_folder(source: TrustSource, folder: str) -> Reading:
    try:
        members = sorted(Path(folder).iterdir())
    except OSError as exc:
        raise _unreadable(source, folder, exc) from exc
    files: list[CertificateFile] = []
    warnings: list[str] = []
    seen: set[str] = set()  # hashed folders name each file twice
    for member in members:
        real = os.path.realpath(member)  # Path.resolve() raises on a link to itself
        if real in seen:
            continue
        seen.add(real)
        found = _read_member(member, warnings)
        if found is None:
            continue
        if found.damaged:
            raise damage(source, str(member), found.damaged)
        files.append(CertificateFile(str(member), found.certificates, found.others))
    if not files:
        raise refusal(
            source,
            folder,
            "is a folder without any certificate file" if members else "is an empty folder",
            hint="Put the certificates into it as files of their own, or name another folder. "
            "Folders inside it are not read.",
        )
    return Reading(tuple(files), tuple(warnings))


def _read_member(path: Path, warnings: list[str]) -> Contents | None:
    """One file of a folder; ``None``, with a word of warning, when it is passed over."""
    try:
        if path.is_dir():
            return None
        if path.exists() and not path.is_file():
            # Opening a FIFO would wait for somebody to write into it.
            warnings.append(f"{path} was passed over: it is not a regular file")
            return None
        found = contents.read(read_bytes(str(path)))
    except UNREADABLE as exc:
        warnings.append(f"{path} was passed over: it {why(str(path), exc)}")
        return None
    if found.mistake is None:
        return found
    if found.certificates or not path.name.startswith("."):  # .gitignore needs no word
        warnings.append(f"{path} was passed over: it {found.mistake.what}")
    return None


def damage(source: TrustSource, path: str, block: Block) -> BundleError:
    """The error for a block that cannot be read; ``block.flaw`` says why."""
    return refusal(
        source,
        path,
        f"is damaged in {block.place}: {block.flaw or 'OpenSSL cannot read it'}",
        hint=_REPAIR,
        block=block.number,
        line=block.line or None,
    )


def refusal(
    source: TrustSource,
    path: str,
    what: str,
    *,
    hint: str,
    block: int | None = None,
    line: int | None = None,
) -> BundleError:
    """The error for a bundle: the path, the setting that named it, and ``what`` it is."""
    if source.kind is StoreKind.CERTIFI:
        message = f"certifi's own file {path} {what}"
        hint = "Install certifi again, or name a bundle with --cert."
    else:
        message = f"The certificate bundle {path}, named by {source.origin}, {what}"
    return BundleError(message, path=path, origin=source.origin, block=block, line=line, hint=hint)


def _unreadable(source: TrustSource, path: str, exc: Exception) -> BundleError:
    if is_absent(exc) and not Path(path).is_absolute():
        hint = f"It was looked for in {Path.cwd()}. Correct {source.origin}."
    elif is_absent(exc):
        hint = f"Correct {source.origin}, or put the file there."
    else:
        hint = f"Make it readable for this user, or name another file with {source.origin.name}."
    return refusal(source, path, why(path, exc), hint=hint)
