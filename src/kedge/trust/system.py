"""Reads the system's store where it is files: everywhere but on macOS and Windows.

They are found in the way and order in which ``truststore`` 0.10.5 finds them (``_openssl.py``),
with one difference: they are read once, not at every handshake. The process environment arrives as
a mapping; OpenSSL's own reading of it is not relied on.

A file that OpenSSL would pass over in silence is passed over here too, with a warning.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kedge.classes import frozen
from kedge.errors import EmptySystemStoreError
from kedge.model import TrustSource
from kedge.trust import openssl, pem, trusted
from kedge.trust.bundle import CertificateFile, Reading
from kedge.trust.files import UNREADABLE, is_absent, read_bytes, why
from kedge.trust.hashed import HashedLookup
from kedge.trust.pem import Block

#: Where distributions keep their store when OpenSSL's own places are empty; the first that is a
#: file counts. The list and its order are truststore's.
CA_FILE_CANDIDATES = (
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
)

_HASHED_NAME = re.compile(r"[0-9a-fA-F]{8}\.[0-9]")


@frozen
class CompiledIn:
    """The places that the build of OpenSSL knows, before any variable is looked at."""

    file: str
    folder: str
    candidates: tuple[str, ...]

    @classmethod
    def of_this_python(cls) -> CompiledIn:
        paths = ssl.get_default_verify_paths()
        return cls(paths.openssl_cafile, paths.openssl_capath, CA_FILE_CANDIDATES)


@frozen
class Locations:
    """Where the store is read from: files first, then folders. ``looked_in`` names them all."""

    files: tuple[str, ...]
    folders: tuple[str, ...]
    looked_in: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def locate(environ: Mapping[str, str], compiled_in: CompiledIn | None = None) -> Locations:
    """The places that count, by ``SSL_CERT_FILE``, ``SSL_CERT_DIR`` and what OpenSSL has built in.

    Each variable shadows its built-in place, and both count when both are set. Where neither the
    file exists nor the folder holds anything hashed, the first of the distributions' usual files
    is taken instead.
    """
    compiled_in = compiled_in or CompiledIn.of_this_python()
    file = environ.get("SSL_CERT_FILE", compiled_in.file)
    folder = environ.get("SSL_CERT_DIR", compiled_in.folder)
    warnings = _pointing_nowhere(environ)
    # OpenSSL splits the list, and truststore looks at it unsplit before.
    folders = tuple(each for each in folder.split(os.pathsep) if each)
    if _is_file(file) or _holds_hashed_names(folder):
        return Locations((file,), folders, (file, *folders), warnings)
    for candidate in compiled_in.candidates:
        if _is_file(candidate):
            return Locations((candidate,), (), (file, *folders, candidate), warnings)
    return Locations((), (), (file, *folders, *compiled_in.candidates), warnings)


def _is_file(path: str) -> bool:
    try:
        return bool(path) and Path(path).is_file()
    except UNREADABLE:
        return False


def _holds_hashed_names(folder: str) -> bool:
    try:
        names = [path.name for path in Path(folder).iterdir()] if folder else []
        return any(_HASHED_NAME.fullmatch(name) for name in names)
    except UNREADABLE:
        return False


def _pointing_nowhere(environ: Mapping[str, str]) -> tuple[str, ...]:
    warnings: list[str] = []
    file = environ.get("SSL_CERT_FILE")
    if file is not None and not _is_file(file):
        warnings.append(
            f"SSL_CERT_FILE in the environment names {file or 'nothing'}, which is not a file; "
            "the system's other locations are used"
        )
    folders = environ.get("SSL_CERT_DIR")
    if folders is not None:
        missing = [each for each in folders.split(os.pathsep) if not Path(each).is_dir()]
        if missing or not folders:
            warnings.append(
                f"SSL_CERT_DIR in the environment names {', '.join(missing) or 'nothing'}, "
                "which is not a folder; the system's other locations are used"
            )
        elif not any(_holds_hashed_names(each) for each in folders.split(os.pathsep)):
            warnings.append(
                f"SSL_CERT_DIR in the environment names {folders}, in which no file has the name "
                "that OpenSSL looks for (openssl rehash makes such names)"
            )
    return tuple(warnings)


def read_system(
    source: TrustSource, environ: Mapping[str, str], compiled_in: CompiledIn | None = None
) -> Reading:
    """The store's files. Raises :class:`~kedge.errors.EmptySystemStoreError`."""
    locations = locate(environ, compiled_in)
    warnings = list(locations.warnings)
    files: list[CertificateFile] = []
    for path in locations.files:
        blocks = _read_as_openssl(path, warnings)
        if blocks:
            files.append(CertificateFile(path, blocks))
    lookup = HashedLookup()
    lookup.read(locations.folders, after=[block for file in files for block in file.blocks])
    files += lookup.files
    warnings += lookup.warnings
    if not files:
        raise empty(source, locations.looked_in)
    return Reading(tuple(files), tuple(warnings))


def empty(source: TrustSource, looked_in: tuple[str, ...]) -> EmptySystemStoreError:
    """The error for a system without any certificate."""
    return EmptySystemStoreError(
        f"The system's store, chosen by {source.origin}, holds no certificate",
        origin=source.origin,
        looked_in=looked_in,
        hint="Install the system's certificates (the package ca-certificates, on most systems), "
        f"or choose another source. Looked in: {', '.join(looked_in)}.",
    )


def _read_as_openssl(path: str, warnings: list[str]) -> tuple[Block, ...]:
    """What OpenSSL takes from a file of PEM: all of it, or nothing when one block is damaged."""
    try:
        raw = read_bytes(path)
    except UNREADABLE as exc:
        if Path(path).is_symlink() or not is_absent(exc):
            warnings.append(f"{path} was passed over: it {why(path, exc)}")
        return ()
    if not raw.strip():
        warnings.append(f"{path} was passed over: it is empty")
        return ()
    blocks = pem.split(raw.decode("latin-1").replace("\r\n", "\n"))
    plain = all(block.is_certificate and not block.flaw for block in blocks)
    if blocks and plain and b"\0" not in raw:
        return blocks  # judged with all the rest, in one go
    context = openssl.new_store()
    try:
        openssl.take_raw(context, raw)
    except ssl.SSLError as exc:
        warnings.append(f"{path} was passed over: OpenSSL cannot read it ({exc.reason or exc})")
        return ()
    taken = tuple(_taken(context, blocks))
    if any(block.flaw for block in blocks):
        warnings.append(f"{path} has blocks that OpenSSL passes over: markers are damaged")
    return taken


def _taken(context: ssl.SSLContext, blocks: Sequence[Block]) -> Iterator[Block]:
    """What OpenSSL took from a file whose text is odd, whatever the text looks like."""
    listed = context.get_ca_certs(binary_form=True)
    authorities = set(listed)
    for block in blocks:
        if not block.is_certificate or block.flaw:
            continue
        verdict = openssl.judge(block)
        if verdict is None:
            continue
        certificate = trusted.certificate_der(block)
        if certificate in authorities or not verdict.authorities:
            authorities.discard(certificate)
            yield block
    for number, certificate in enumerate(listed, start=1):
        if certificate in authorities:
            yield Block.of_der(certificate, number=number)
