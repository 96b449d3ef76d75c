"""Hands certificates to OpenSSL and asks for its verdict: the one place that does.

A certificate is damaged when OpenSSL says so. Nothing here knows settings or where files are.

``cadata`` reads plain blocks only: a ``TRUSTED CERTIFICATE`` in it is skipped in silence, and in
DER its trust settings are dropped. Blocks of that kind therefore go through a short-lived file,
the way by which OpenSSL honours them.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path

from kedge.classes import frozen
from kedge.trust import der
from kedge.trust.pem import TRUSTED, Block


@frozen
class Verdict:
    """What OpenSSL makes of one block: how many certificates, and how many may be CAs."""

    certificates: int
    authorities: int


def new_store() -> ssl.SSLContext:
    """A client context that trusts nothing: no default location has been read into it."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def count(context: ssl.SSLContext) -> Verdict:
    """How many distinct certificates the context holds."""
    stats = context.cert_store_stats()
    return Verdict(stats["x509"], stats["x509_ca"])


def take(context: ssl.SSLContext, blocks: Sequence[Block]) -> None:
    """Add the blocks to the context, in order; ``ssl.SSLError`` when OpenSSL refuses.

    A refusal may leave the blocks before it in the context, and what OpenSSL overlooks raises
    nothing: compare :func:`count`.
    """
    if not blocks:
        return
    text = "".join(block.text for block in blocks)
    if any(block.label == TRUSTED for block in blocks):
        take_raw(context, text.encode("ascii"))
    else:
        context.load_verify_locations(cadata=text)


def take_raw(context: ssl.SSLContext, raw: bytes) -> None:
    """Let OpenSSL read ``raw`` as it would read such a file (``X509_load_cert_crl_file``)."""
    with _short_lived_file(raw) as path:
        context.load_verify_locations(cafile=path)


def judge(block: Block) -> Verdict | None:
    """The verdict on one block alone; ``None`` when it is damaged."""
    context = new_store()
    try:
        take(context, [block])
    except ssl.SSLError:
        return None
    return count(context)


def judge_der(data: bytes) -> Verdict | None:
    """The verdict on certificates in DER, one after another; ``None`` when they are damaged."""
    context = new_store()
    try:
        context.load_verify_locations(cadata=data)
    except ssl.SSLError:
        return None
    return count(context)


def is_self_issued(data: bytes) -> bool:
    """Whether a certificate (DER) names itself as its issuer; ``ValueError`` if it is none."""
    context = new_store()
    try:
        context.load_verify_locations(cadata=data)
    except ssl.SSLError as exc:
        raise ValueError("no certificate") from exc
    parts = [each.whole for each in der.read(der.read(data)[0].children()[0].whole)[0].children()]
    # [0] version, serialNumber, signature, issuer, validity, subject (RFC 5280, 4.1); the version
    # is left out of what is of version 1.
    first = 0 if parts[0][0] == der.CONTEXT_0 else -1
    return parts[3 + first] == parts[5 + first]


def is_sound_beside(block: Block, certificate: Block) -> bool:
    """Whether OpenSSL reads past a block that is no certificate, such as a revocation list.

    A file without any certificate is refused whatever else is in it, hence the second argument.
    """
    try:
        take_raw(new_store(), (block.text + certificate.text).encode("ascii"))
    except ssl.SSLError:
        return False
    return True


@contextlib.contextmanager
def _short_lived_file(raw: bytes) -> Iterator[str]:
    import tempfile  # seldom needed, and not free

    handle, name = tempfile.mkstemp(prefix="kedge-", suffix=".pem")
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
        yield name
    finally:
        path.unlink()
