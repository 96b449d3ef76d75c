"""Decides which roots are trusted, and which setting decided it.

Takes the settings that bear on trust, each with its origin, and returns a
:class:`~kedge.model.TrustDecision`. It reads no file, no environment and no clock: whether a bundle
exists or is sound is :mod:`kedge.trust.anchors`' business, after the decision.

===========  ==========  ==========================  =======================================
truststore   ``cert``    ``REQUESTS_CA_BUNDLE``,     trusted, and nothing else
                         else ``CURL_CA_BUNDLE``
===========  ==========  ==========================  =======================================
no           -           -                           certifi
no           -           set                         that bundle
no           set         any                         the ``cert`` bundle
yes          -           -                           the system's store
yes          -           set                         the system's store, plus that bundle
yes          set         any                         the system's store, plus ``cert``
===========  ==========  ==========================  =======================================

``--extra-cert`` adds to whichever row applies; given several times, every one counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from kedge.classes import field, frozen
from kedge.errors import UsageError
from kedge.model import (
    OriginKind,
    Overridden,
    Sourced,
    StoreKind,
    TrustDecision,
    TrustSource,
)


@frozen(kw_only=True)
class TrustSettings:
    """What the decision looks at: each setting's strongest value, with its origin.

    ``weaker_certs`` are the values of ``cert`` that a stronger level already overrode
    (``PIP_CERT`` under ``--cert``): they decide nothing and are only reported.
    """

    truststore: Sourced[bool] | None = None
    cert: Sourced[str] | None = None
    requests_ca_bundle: Sourced[str] | None = None
    curl_ca_bundle: Sourced[str] | None = None
    extra_certs: tuple[Sourced[str], ...] = ()
    strict: Sourced[bool] = field(default_factory=lambda: Sourced(False))
    weaker_certs: tuple[Sourced[str], ...] = ()


def decide(settings: TrustSettings) -> TrustDecision:
    """The decision for these settings.

    An empty value in the environment or in a file counts as unset; on the command line it is a
    :class:`~kedge.errors.UsageError`.

    >>> from kedge.model import Origin, OriginKind, Sourced
    >>> flag = Origin(OriginKind.COMMAND_LINE, "--cert")
    >>> variable = Origin(OriginKind.ENVIRONMENT, "REQUESTS_CA_BUNDLE")
    >>> decision = decide(TrustSettings(
    ...     cert=Sourced("ours.pem", flag),
    ...     requests_ca_bundle=Sourced("theirs.pem", variable),
    ... ))
    >>> print(decision)
    the bundle ours.pem (--cert on the command line), and nothing else
    >>> [(lost.setting.value, str(lost.by)) for lost in decision.overridden]
    [('theirs.pem', '--cert on the command line')]
    """
    cert = _set(settings.cert)
    bundles = [*cert, *_set(settings.requests_ca_bundle), *_set(settings.curl_ca_bundle)]
    weaker = _set(*settings.weaker_certs) if cert else []
    return TrustDecision(
        sources=(
            *_row(settings.truststore, bundles[0] if bundles else None),
            *(_bundle(extra, extra=True) for extra in _set(*settings.extra_certs)),
        ),
        overridden=_overridden(bundles, weaker),
        strict=settings.strict,
    )


def _set(*settings: Sourced[str] | None) -> list[Sourced[str]]:
    """Those that are set."""
    for setting in settings:
        if setting and not setting.value and setting.origin.kind is OriginKind.COMMAND_LINE:
            raise UsageError(
                f"{setting.origin.name} needs the path of a certificate bundle, "
                "and got an empty one",
                hint=f"Name a file or a folder after {setting.origin.name}, or leave it out.",
            )
    return [setting for setting in settings if setting and setting.value]


def _row(truststore: Sourced[bool] | None, bundle: Sourced[str] | None) -> tuple[TrustSource, ...]:
    if truststore is not None and truststore.value:
        system = TrustSource(StoreKind.SYSTEM, truststore.origin)
        return (system, _bundle(bundle)) if bundle else (system,)
    if bundle:
        return (_bundle(bundle),)
    return (TrustSource(StoreKind.CERTIFI),)


def _bundle(setting: Sourced[str], *, extra: bool = False) -> TrustSource:
    return TrustSource(StoreKind.BUNDLE, setting.origin, setting.value, extra)


def _overridden(
    bundles: Sequence[Sourced[str]], weaker: Sequence[Sourced[str]]
) -> tuple[Overridden, ...]:
    """What was set and lost; every loser was beaten by the one bundle that counts."""
    return tuple(Overridden(lost, bundles[0].origin) for lost in (*weaker, *bundles[1:]))
