"""Reads the system's store where it is files: everywhere but on macOS and Windows.

Where they are is :mod:`kedge.trust.files`' business. They are read once, not at every handshake as
``truststore`` does. A file that OpenSSL would pass over in silence is passed over here too, with a
warning.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kedge.errors import EmptySystemStoreError
from kedge.model import TrustSource
from kedge.trust import openssl, pem, trusted
from kedge.trust.bundle import CertificateFile, Reading
from kedge.trust.files import UNREADABLE, CompiledIn, is_absent, locate, read_bytes, why
from kedge.trust.hashed import HashedLookup
from kedge.trust.pem import Block


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
