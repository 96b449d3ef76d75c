"""Makes the ``SSLContext`` for anchors, with the one profile of :mod:`kedge.trust.profile`.

Which anchors, and why, was decided before. Sockets and sessions are :mod:`kedge.transport`'s.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from kedge.errors import TruststoreError
from kedge.model import StoreKind
from kedge.trust import openssl, trusted
from kedge.trust.anchors import Anchors
from kedge.trust.client import ClientCertificate, load_client_certificate
from kedge.trust.pem import Block
from kedge.trust.profile import apply_profile, apply_protocol


def make_context(
    anchors: Anchors, *, client_cert: ClientCertificate | None = None
) -> ssl.SSLContext:
    """A client context that trusts these anchors, and nothing else.

    Each call makes a context of its own; the first one costs nothing more than
    :func:`~kedge.trust.load` did. With ``client_cert`` the context presents that certificate to
    whoever asks: use it for the hosts that it is meant for, and no others. Raises
    :class:`~kedge.errors.ClientCertificateError` and, where the platform verifies,
    :class:`~kedge.errors.TruststoreError`.
    """
    context = _platform_context(anchors) if anchors.by_platform else anchors.store()
    apply_profile(context, strict=anchors.decision.strict.value)
    if client_cert is not None:
        load_client_certificate(context, client_cert)
    return context


def truststore_context(anchors: Anchors) -> ssl.SSLContext:
    """The same trust as ``truststore`` itself has it, also where kedge reads the system's store.

    For a diagnosis: it tells whose fault a failure is. Raises
    :class:`~kedge.errors.TruststoreError`.
    """
    context = _platform_context(anchors)
    apply_profile(context, strict=anchors.decision.strict.value)
    return context


def bridging_context(anchors: Anchors, links: Sequence[bytes]) -> ssl.SSLContext:
    """The same anchors, with certificates (DER) that may join a chain and never end one.

    With it OpenSSL says whether what was fetched to complete a chain is vouched for by what is
    trusted already. Partial chains are off, so that no link is an anchor; what is one already is
    marked as trusted, for where it is no root. ``ValueError`` for a link that names itself as its
    issuer, which OpenSSL would take for a root, and where the platform verifies.
    """
    if anchors.by_platform or any(openssl.is_self_issued(link) for link in links):
        raise ValueError("a link must not be able to end a chain")
    context = openssl.new_store()
    apply_profile(context, strict=anchors.decision.strict.value)
    context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    blocks = [block for loaded in anchors.sources for block in loaded.blocks]
    withheld = [block for block in blocks if trusted.withholds(block)]
    openssl.take(context, withheld)
    openssl.take(context, [trusted.vouching(b) for b in blocks if not trusted.withholds(b)])
    known = {trusted.certificate_der(block) for block in blocks}
    openssl.take(context, [Block.of_der(each, number=1) for each in links if each not in known])
    return context


def supposing_context(certificate: bytes, *, strict: bool) -> ssl.SSLContext:
    """A context that trusts one certificate (DER) alone, whoever presented it.

    For a diagnosis, to hear from OpenSSL what else is wrong; never for a connection that carries
    anything. ``ssl.SSLError`` where OpenSSL cannot read it.
    """
    context = openssl.new_store()
    apply_profile(context, strict=strict)
    openssl.take(context, [Block.of_der(certificate, number=1)])
    return context


def unverified_context(*, client_cert: ClientCertificate | None = None) -> ssl.SSLContext:
    """A context that verifies nothing: for a ``--trusted-host``, never for a proxy.

    It trusts nobody either, so that verification cannot be mistaken for having happened.
    """
    context = openssl.new_store()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    apply_protocol(context)
    if client_cert is not None:
        load_client_certificate(context, client_cert)
    return context


def _platform_context(anchors: Anchors) -> ssl.SSLContext:
    """The platform verifies; ``truststore`` hands it the bundles' CA certificates beside its own.

    It takes them from the context without their trust settings, so a certificate that withholds
    trust from servers must not get there.
    """
    try:
        import truststore

        context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    except Exception as exc:  # it probes the platform's libraries at import: anything can come
        origin = anchors.sources[0].source.origin
        raise TruststoreError(
            f"truststore, which {origin} asks for, cannot be used here: {exc}",
            hint="Install it again (truststore>=0.10.5), or choose another source of trust.",
        ) from exc
    blocks = [
        Block.of_der(trusted.certificate_der(block), number=block.number)
        for loaded in anchors.sources
        if loaded.source.kind is not StoreKind.SYSTEM  # truststore reads that by itself
        for block in loaded.blocks
        if not trusted.withholds(block)
    ]
    openssl.take(context, blocks)
    return context
