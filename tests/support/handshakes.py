"""One TLS handshake with a real server, and OpenSSL's verdict on it as a number."""

from __future__ import annotations

import socket
import ssl

from support.pki import Certificate
from support.servers import PATIENCE, Server, not_found

#: X509_V_ERR_* of ``x509_vfy.h``, those that tests name.
ACCEPTED = 0
SIGNATURE_FAILURE = 7
NOT_YET_VALID = 9
EXPIRED = 10
SELF_SIGNED_LEAF = 18
SELF_SIGNED_IN_CHAIN = 19
NO_ISSUER = 20
INVALID_CA = 24  # 79 since OpenSSL 3
CERTIFICATE_REJECTED = 28
HOSTNAME_MISMATCH = 62

UNTRUSTED = {SELF_SIGNED_LEAF, SELF_SIGNED_IN_CHAIN, NO_ISSUER, 21}


def verify_code(
    context: ssl.SSLContext,
    certificate: Certificate,
    *,
    host: str = "localhost",
    name: str | None = None,
) -> int:
    """What the context says to a server with this certificate: 0, or an ``X509_V_ERR_*``.

    ``host`` is where the server listens, ``name`` what the client calls it (``host``).
    """
    with Server(not_found, certificate=certificate, host=host) as server:
        try:
            shake(context, host, server.port, name=name)
        except ssl.SSLCertVerificationError as exc:
            return exc.verify_code
    return ACCEPTED


def shake(context: ssl.SSLContext, host: str, port: int, *, name: str | None = None) -> None:
    """Connect, shake hands, hang up; raises what ``ssl`` raises."""
    with (
        socket.create_connection((host, port), timeout=PATIENCE) as connection,
        context.wrap_socket(connection, server_hostname=name or host),
    ):
        pass
