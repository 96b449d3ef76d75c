"""What the sentence of an error says already, so that a report below it says the rest.

From an error to values; no text is read or written here.
"""

from __future__ import annotations

from kedge.diagnose.evidence import Cause
from kedge.errors import (
    BundleError,
    ConnectionFailedError,
    ConnectionTimeoutError,
    InsecureLocationError,
    InsecureRedirectError,
    KedgeError,
    NotAnIndexError,
    ProxyFailedError,
    ResolveHostError,
    TlsError,
)
from kedge.model import Hop, NetworkOrigin


def causes_said(error: KedgeError | None) -> frozenset[Cause]:
    """The causes whose own sentence would add nothing to the error's."""
    match error:
        case BundleError():
            return frozenset({Cause.BAD_BUNDLE})
        case ResolveHostError():
            return frozenset({Cause.DNS, Cause.PROXY_UNREACHABLE})
        case ConnectionTimeoutError():
            return frozenset({Cause.TIMEOUT, Cause.PROXY_UNREACHABLE})
        case ProxyFailedError():
            answered = error.status is not None
            return frozenset({Cause.PROXY_AUTH, Cause.PROXY_REFUSED} if answered else ())
        case TlsError():
            return frozenset()
        case ConnectionFailedError():
            return frozenset(
                {Cause.CONNECTION_REFUSED, Cause.CONNECTION_CUT, Cause.PROXY_UNREACHABLE}
            )
        case NotAnIndexError():
            return frozenset({Cause.NOT_AN_INDEX})
        case InsecureRedirectError():
            return frozenset({Cause.INSECURE_REDIRECT})
        case InsecureLocationError():
            return frozenset({Cause.NOT_TLS})
        case _:
            return frozenset()


def names(error: KedgeError | None, peer: NetworkOrigin | None, hop: Hop) -> bool:
    """Whether the error says that it is about this peer, or about none where there is none."""
    match error:
        case None:
            return False
        case ConnectionFailedError():
            return (error.peer, error.hop) == (peer, hop)
        case _:
            return hop is Hop.SERVER  # its URL stands in it
