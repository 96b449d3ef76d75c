"""What is worth repeating, how often, and after how long. Decides over values; does not wait.

A refused certificate is never repeated: it fails the same way, and the user waits for nothing
(pip: 8 seconds). Neither is a status that says no. A host name that has no address is asked for
once more, because resolvers do lose packets.
"""

from __future__ import annotations

import ssl
from email.utils import parsedate_to_datetime

from kedge.classes import frozen
from kedge.errors import (
    ConnectionFailedError,
    HttpStatusError,
    IncompleteDownloadError,
    KedgeError,
    ProxyFailedError,
    ResolveHostError,
    TlsError,
    VerificationError,
)

#: Statuses that pass: overload and its kin, and those of well-known content networks (520-527).
PASSING = frozenset({429, 500, 502, 503, 504, *range(520, 528), 529, 530})


@frozen
class RetryPolicy:
    """``retries`` repeats after the first try; seconds elsewhere.

    The n-th delay is ``first * 2**n``, at most ``ceiling``, spread over its upper half. A
    ``Retry-After`` replaces it; one beyond ``patience`` ends the attempts instead.
    """

    retries: int
    first: float = 0.25
    ceiling: float = 8.0
    patience: float = 60.0

    def delay(self, error: KedgeError, failures: int, jitter: float) -> float | None:
        """Seconds until the next try after ``failures`` earlier ones; ``None``: give up.

        ``jitter`` is a random number from 0 to 1.
        """
        if failures >= min(self.retries, _limit(error)):
            return None
        asked = error.retry_after if isinstance(error, HttpStatusError) else None
        if asked is not None:
            return asked if asked <= self.patience else None
        backoff: float = self.first * 2**failures
        return min(self.ceiling, backoff) * (0.5 + jitter / 2)


_NO_LIMIT = 1_000_000


def _limit(error: KedgeError) -> int:
    """How many repeats this kind of failure deserves at most."""
    match error:
        case VerificationError():
            return 0
        case TlsError():
            return 1 if _was_cut(error) else 0
        case ResolveHostError():
            return 1
        case ProxyFailedError():
            return _NO_LIMIT if error.status is None or error.status in PASSING else 0
        case HttpStatusError():
            return _NO_LIMIT if error.status in PASSING else 0
        case ConnectionFailedError() | IncompleteDownloadError():
            return _NO_LIMIT
        case _:
            return 0


def _was_cut(error: BaseException) -> bool:
    """Whether the handshake ended because the line did, not because the parties disagreed."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return True
        link = link.__cause__ or link.__context__
    return False


def parse_retry_after(value: str | None, *, now: float) -> float | None:
    """Seconds to wait, from a ``Retry-After`` header (RFC 9110, section 10.2.3).

    >>> parse_retry_after("120", now=0.0)
    120.0
    >>> parse_retry_after("Thu, 01 Jan 1970 00:01:00 GMT", now=50.0)
    10.0
    """
    if not value:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None
