"""Loads the certificate that a client presents, from PEM or PKCS#12, with errors that say more
than OpenSSL's.

It never asks on the terminal for a passphrase: whoever can ask does so, told by ``locked`` of the
error. To whom the certificate is presented is :mod:`kedge.transport`'s business.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedge.classes import field, frozen
from kedge.errors import ClientCertificateError
from kedge.model import Origin, Sourced
from kedge.trust import der, pem
from kedge.trust.files import UNREADABLE, expand, read_bytes, why

#: Holds the passphrase of the key. There is no option for it: a command line is for all to read.
PASSPHRASE_VARIABLE = "PIP_CLIENT_KEY_PASSPHRASE"  # noqa: S105


@frozen
class ClientCertificate:
    """Where the certificate is, by which setting, and the passphrase where there is one.

    ``path`` names one file with the key and the certificate chain (PEM, or PKCS#12), as pip's
    ``--client-cert`` does; ``key_path`` a key that is in a file of its own, by ``key_origin``.
    """

    path: str
    origin: Origin
    key_path: str | None = None
    passphrase: str | None = field(default=None, repr=False)
    key_origin: Origin | None = None

    @classmethod
    def of(
        cls,
        setting: Sourced[str],
        environ: Mapping[str, str],
        *,
        key: Sourced[str] | None = None,
        passphrase: str | None = None,
    ) -> ClientCertificate:
        """The one that the settings name, ``~`` expanded by ``environ``."""
        return cls(
            expand(setting.value, environ),
            setting.origin,
            key_path=None if key is None else expand(key.value, environ),
            passphrase=passphrase,
            key_origin=None if key is None else key.origin,
        )

    @property
    def keyed_by(self) -> str:
        """The file that holds the key."""
        return self.path if self.key_path is None else self.key_path


def check_client_certificate(certificate: ClientCertificate) -> None:
    """Raise what loading it would raise: before any connection, and for no server to see."""
    load_client_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificate)


def load_client_certificate(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    """Have the context present the certificate.

    Raises :class:`~kedge.errors.ClientCertificateError`.
    """
    raw = key = _read("client certificate", certificate.path, certificate.origin)
    if certificate.key_path is not None:
        key_origin = certificate.key_origin or certificate.origin
        key = _read("key of the client certificate", certificate.key_path, key_origin)
    # A server may ask only once it knows what is wanted (RFC 8446, 4.6.2), as Apache does for a
    # part of a site; urllib3 lets it, too.
    context.post_handshake_auth = True
    if _is_pkcs12(raw):
        _load_pkcs12(context, certificate, raw)
    else:
        _refuse_incomplete(certificate, raw, key)
        _load_pem(context, certificate)


def _read(what: str, path: str, origin: Origin) -> bytes:
    try:
        return read_bytes(path)
    except UNREADABLE as exc:
        raise ClientCertificateError(
            f"The {what} {path}, named by {origin}, {why(path, exc)}",
            path=path,
            origin=origin,
            hint=f"Correct {origin}.",
        ) from exc


def _load_pem(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    asked = False

    def passphrase() -> str:
        # Without a callback OpenSSL would ask on the terminal.
        nonlocal asked
        asked = True
        return certificate.passphrase or ""

    try:
        context.load_cert_chain(certificate.path, certificate.key_path, passphrase)
    except (ssl.SSLError, OSError, ValueError) as exc:  # ValueError: too long a passphrase
        raise _explain(certificate, exc, asked=asked) from exc


def _explain(
    certificate: ClientCertificate, exc: Exception, *, asked: bool
) -> ClientCertificateError:
    if asked:
        return _locked(certificate)
    if getattr(exc, "reason", None) == "KEY_VALUES_MISMATCH":
        return _refusal(
            certificate,
            "has a key that does not belong to it"
            if certificate.key_path is not None
            else "holds a key that does not belong to its certificate",
            hint="The key must come with the first certificate of the file.",
        )
    reason = getattr(exc, "reason", None) or str(exc)
    return _refusal(
        certificate,
        f"cannot be used: OpenSSL says {reason}",
        hint="It must hold the key and the certificate as PEM blocks, the certificate first of "
        "its chain.",
    )


def _locked(certificate: ClientCertificate, damaged: str = "") -> ClientCertificateError:
    if certificate.passphrase is None:
        what = "has a key that is protected by a passphrase"
    else:
        what = f"cannot be opened by that passphrase{damaged}"
    return _refusal(
        certificate,
        what,
        hint=f"Put the passphrase into {PASSPHRASE_VARIABLE}; on a terminal kedge asks for it.",
        locked=True,
    )


def _refuse_incomplete(certificate: ClientCertificate, raw: bytes, key: bytes) -> None:
    if not _labels(raw) & pem.CERTIFICATE_LABELS:
        raise _refusal(
            certificate,
            "holds no certificate in PEM",
            hint="Put the certificate and its key into one PEM file, or name the key with "
            "--client-key.",
        )
    if not any(label.endswith("PRIVATE KEY") for label in _labels(key)):
        named = f": neither does {certificate.key_path}" if certificate.key_path else ""
        raise _refusal(
            certificate,
            f"holds no private key{named}",
            hint="Put the certificate and its key into one PEM file, or name the key with "
            "--client-key.",
        )


def _labels(raw: bytes) -> frozenset[str]:
    return frozenset(block.label for block in pem.split(pem.decode(raw)))


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

    if certificate.key_path is not None:
        raise _refusal(
            certificate,
            f"is PKCS#12, which holds the key itself: {certificate.key_path} has no use",
            hint=f"Take back {certificate.key_origin or certificate.origin}.",
        )
    try:
        key, own, others = _open_pkcs12(raw, certificate.passphrase)
    except ValueError as exc:
        raise _locked(certificate, damaged=", or is damaged") from exc
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
    try:  # whatever comes, Ctrl-C included, it goes
        with os.fdopen(handle, "wb") as file:
            file.write(encoded + chain)
        context.load_cert_chain(name, password=secret)
    except (ssl.SSLError, OSError) as exc:
        raise _explain(certificate, exc, asked=False) from exc
    finally:
        Path(name).unlink()


def _open_pkcs12(raw: bytes, passphrase: str | None) -> Any:
    """The key, its certificate and the others; ``ValueError`` for what cannot be opened.

    No passphrase and an empty one are not the same in PKCS#12; to a user they are.
    """
    from cryptography.hazmat.primitives.serialization import pkcs12

    if passphrase:
        return pkcs12.load_key_and_certificates(raw, passphrase.encode())
    try:
        return pkcs12.load_key_and_certificates(raw, None)
    except ValueError:
        return pkcs12.load_key_and_certificates(raw, b"")


def _refusal(
    certificate: ClientCertificate, what: str, *, hint: str | None, locked: bool = False
) -> ClientCertificateError:
    return ClientCertificateError(
        f"The client certificate {certificate.path}, named by {certificate.origin}, {what}",
        path=certificate.path,
        origin=certificate.origin,
        locked=locked,
        hint=hint,
    )
