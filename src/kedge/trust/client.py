"""Loads the certificate that a client presents, from PEM or PKCS#12, with errors that say more
than OpenSSL's.

It never asks on the terminal for a passphrase. To whom the certificate is presented is
:mod:`kedge.transport`'s business.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kedge.errors import ClientCertificateError
from kedge.model import Origin, Sourced
from kedge.trust import der, pem
from kedge.trust.files import UNREADABLE, expand, read_bytes, why


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """Where the certificate is, by which setting, and the passphrase where there is one.

    ``path`` names one file with the key and the certificate chain (PEM, or PKCS#12), as pip's
    ``--client-cert`` does; ``key_path`` a key that is in a file of its own.
    """

    path: str
    origin: Origin
    key_path: str | None = None
    passphrase: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, setting: Sourced[str], environ: Mapping[str, str]) -> ClientCertificate:
        """The one that a setting names, ``~`` expanded by ``environ``."""
        return cls(expand(setting.value, environ), setting.origin)


def load_client_certificate(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    """Have the context present the certificate.

    Raises :class:`~kedge.errors.ClientCertificateError`.
    """
    try:
        raw = read_bytes(certificate.path)
        if certificate.key_path is not None:
            read_bytes(certificate.key_path)
    except UNREADABLE as exc:
        raise _refusal(
            certificate, why(certificate.path, exc), hint=f"Correct {certificate.origin}."
        ) from exc
    if _is_pkcs12(raw):
        _load_pkcs12(context, certificate, raw)
    else:
        _refuse_incomplete(certificate, raw)
        _load_pem(context, certificate)


def _load_pem(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    asked = False

    def passphrase() -> str:
        # Without a callback OpenSSL would ask on the terminal.
        nonlocal asked
        asked = True
        return certificate.passphrase or ""

    try:
        context.load_cert_chain(certificate.path, certificate.key_path, passphrase)
    except (ssl.SSLError, OSError) as exc:
        raise _explain(certificate, exc, asked=asked) from exc


def _explain(
    certificate: ClientCertificate, exc: Exception, *, asked: bool
) -> ClientCertificateError:
    if asked and certificate.passphrase is None:
        return _refusal(
            certificate,
            "has a key that is protected by a passphrase",
            hint="Store the key without one, readable for you alone: "
            "openssl pkey -in FILE -out plain-key.pem",
        )
    if asked:
        return _refusal(certificate, "cannot be opened by that passphrase", hint=None)
    if getattr(exc, "reason", None) == "KEY_VALUES_MISMATCH":
        return _refusal(
            certificate,
            "holds a key that does not belong to its certificate",
            hint="The key must come with the first certificate of the file.",
        )
    reason = getattr(exc, "reason", None) or str(exc)
    return _refusal(
        certificate,
        f"cannot be used: OpenSSL says {reason}",
        hint="It must hold the key and the certificate as PEM blocks, the certificate first of "
        "its chain.",
    )


def _refuse_incomplete(certificate: ClientCertificate, raw: bytes) -> None:
    labels = {block.label for block in pem.split(pem.decode(raw))}
    has_key = any(label.endswith("PRIVATE KEY") for label in labels)
    if not labels & pem.CERTIFICATE_LABELS:
        raise _refusal(
            certificate,
            "holds no certificate in PEM",
            hint="Put the certificate and its key into one PEM file.",
        )
    if not has_key and certificate.key_path is None:
        raise _refusal(
            certificate,
            "holds no private key",
            hint="Put the certificate and its key into one PEM file.",
        )


def _is_pkcs12(raw: bytes) -> bool:
    """Whether it opens with ``SEQUENCE { INTEGER 3`` (RFC 7292, 4)."""
    try:
        outer, start, _ = der.header(raw)
        version = der.read(raw, start)[0]
    except ValueError:
        return False
    return outer == der.SEQUENCE and version.whole == b"\x02\x01\x03"


def _load_pkcs12(context: ssl.SSLContext, certificate: ClientCertificate, raw: bytes) -> None:
    """OpenSSL takes keys from files only: it gets one that is re-encrypted, private and brief."""
    import secrets
    import tempfile

    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import pkcs12

    given = certificate.passphrase
    try:
        key, own, others = pkcs12.load_key_and_certificates(raw, given.encode() if given else None)
    except ValueError as exc:
        raise _refusal(
            certificate,
            "cannot be opened by that passphrase" if given else "needs a passphrase",
            hint="Convert it: openssl pkcs12 -in FILE -nodes -out client.pem",
        ) from exc
    if key is None or own is None:
        raise _refusal(
            certificate,
            "holds no private key with a certificate",
            hint="Export it again, with the private key.",
        )
    secret = secrets.token_hex(32)
    encoded = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(secret.encode()),
    )
    chain = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in (own, *others))
    handle, name = tempfile.mkstemp(prefix="kedge-", suffix=".pem")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(encoded + chain)
        context.load_cert_chain(name, password=secret)
    except (ssl.SSLError, OSError) as exc:
        raise _explain(certificate, exc, asked=False) from exc
    finally:
        Path(name).unlink()


def _refusal(
    certificate: ClientCertificate, what: str, *, hint: str | None
) -> ClientCertificateError:
    return ClientCertificateError(
        f"The client certificate {certificate.path}, named by {certificate.origin}, {what}",
        path=certificate.path,
        origin=certificate.origin,
        hint=hint,
    )
