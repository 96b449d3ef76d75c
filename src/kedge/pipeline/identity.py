"""The client certificate that the settings name, with its passphrase: from a variable, or asked
for. Nothing here connects; to whom it is presented is :mod:`kedge.transport`'s business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kedge.classes import replace
from kedge.errors import ClientCertificateError, SettingError, UsageError
from kedge.model import OriginKind, Sourced
from kedge.settings import options as table

if TYPE_CHECKING:
    from kedge.pipeline.reporter import Prompt
    from kedge.settings.values import Settings
    from kedge.trust import ClientCertificate

_TRIES = 3


def client_certificate(
    settings: Settings, prompt: Prompt | None, *, abandoned: Callable[[], bool] = lambda: False
) -> ClientCertificate | None:
    """The certificate, checked; ``None`` where no setting names one.

    Raises :class:`~kedge.errors.ClientCertificateError` for one that cannot be used, and a usage
    error for a key without a certificate.
    """
    named, key = settings[table.CLIENT_CERT], settings[table.CLIENT_KEY]
    if named.value is None:
        _refuse_lone_key(key)
        return None
    from kedge import trust
    from kedge.trust.client import PASSPHRASE_VARIABLE

    variables = {} if settings.isolated else settings.snapshot.environ
    certificate = trust.ClientCertificate.of(
        Sourced(named.value, named.origin),
        settings.snapshot.environ,
        key=None if key.value is None else Sourced(key.value, key.origin),
        passphrase=variables.get(PASSPHRASE_VARIABLE) or None,
    )
    return _opened(certificate, prompt, abandoned)


def _opened(
    certificate: ClientCertificate, prompt: Prompt | None, abandoned: Callable[[], bool]
) -> ClientCertificate:
    """The certificate with the passphrase that opens its key."""
    from kedge.trust import check_client_certificate

    tries = 0
    while True:
        try:
            check_client_certificate(certificate)
            return certificate
        except ClientCertificateError as exc:
            if not exc.locked or prompt is None or tries == _TRIES:
                raise
            path = certificate.keyed_by
            answer = prompt.passphrase(path, again=tries > 0, abandoned=abandoned)
            if answer is None:
                raise
        certificate = replace(certificate, passphrase=answer)
        tries += 1


def _refuse_lone_key(key: Sourced[str | None]) -> None:
    if key.value is None:
        return
    message = f"{key.origin} names a key, and nothing names its certificate."
    hint = "Name the certificate with --client-cert (PIP_CLIENT_CERT, client-cert)."
    if key.origin.kind is OriginKind.COMMAND_LINE:
        raise UsageError(message, hint=hint)
    raise SettingError(message, origin=key.origin, hint=hint)
