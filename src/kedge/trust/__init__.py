"""Which roots are trusted, and why: from settings to an ``ssl.SSLContext``.

This is the one place that knows certifi, truststore and the system's store, and it can be used by
other tools. Three steps, each of which can be looked at before the next:

>>> import os
>>> from kedge import trust
>>> from kedge.model import Origin, OriginKind, Sourced

*Decide*, from values, which sources count. Nothing is read:

>>> settings = trust.TrustSettings(
...     requests_ca_bundle=Sourced("", Origin(OriginKind.ENVIRONMENT, "REQUESTS_CA_BUNDLE")),
... )
>>> decision = trust.decide(settings)
>>> print(decision)
the bundled certifi store (the default), and nothing else

*Load* what was decided: read it, have OpenSSL judge it. A bundle that cannot be used is refused
here (:class:`~kedge.errors.TrustError`), before any connection:

>>> anchors = trust.load(decision, environ=os.environ)
>>> anchors.warnings
()

*Make a context* of it, with one verification profile on every Python:

>>> context = trust.make_context(anchors)
>>> context.check_hostname, context.minimum_version.name
(True, 'TLSv1_2')

:func:`context_for` does the last two in one call. :func:`describe` and :func:`export_pem` say
what the anchors are. A bundle's path in a setting may begin with ``~``, and may be a folder.

Deciding is cheap; what the later steps need (``ssl`` above all) is imported when they are taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kedge.lazy import lazily
from kedge.trust.decide import TrustSettings, decide

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from kedge.model import TrustDecision
    from kedge.trust.anchors import Anchors, LoadedSource, load
    from kedge.trust.client import ClientCertificate, check_client_certificate
    from kedge.trust.context import make_context, truststore_context, unverified_context
    from kedge.trust.description import DescribedCertificate, DescribedSource

__all__ = [
    "Anchors",
    "ClientCertificate",
    "check_client_certificate",
    "DescribedCertificate",
    "DescribedSource",
    "LoadedSource",
    "TrustSettings",
    "context_for",
    "decide",
    "describe",
    "export_pem",
    "load",
    "make_context",
    "truststore_context",
    "unverified_context",
]


def context_for(decision: TrustDecision, environ: Mapping[str, str]) -> ssl.SSLContext:
    """A client context that trusts exactly what was decided.

    Raises :class:`~kedge.errors.TrustError`.
    """
    from kedge.trust.anchors import load
    from kedge.trust.context import make_context

    return make_context(load(decision, environ=environ))


def describe(anchors: Anchors) -> tuple[DescribedSource, ...]:
    """Every source with its certificates: subject, validity, fingerprint."""
    from kedge.trust.description import describe as read

    return read(anchors)


def export_pem(anchors: Anchors) -> str:
    """The anchors in force as one PEM text."""
    from kedge.trust.export import export_pem as write

    return write(anchors)


_MODULES = {
    "Anchors": "anchors",
    "LoadedSource": "anchors",
    "load": "anchors",
    "ClientCertificate": "client",
    "check_client_certificate": "client",
    "make_context": "context",
    "truststore_context": "context",
    "unverified_context": "context",
    "DescribedCertificate": "description",
    "DescribedSource": "description",
}

if not TYPE_CHECKING:  # which knows the names, and which are none
    __getattr__ = lazily(__name__, _MODULES)


def __dir__() -> list[str]:
    """The public names, imported or not: for whoever completes or documents them."""
    return sorted(__all__)
