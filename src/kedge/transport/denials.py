"""What a refusal means to the user: who asks, which credentials were sent and where they came
from, and what to do.

Words for 401 and 403; values in, a hint out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from kedge.classes import frozen
from kedge.model import NetworkOrigin
from kedge.transport.auth import Credentials
from kedge.transport.failures import Call

_SCHEME = re.compile(r"(?:^|,)\s*([A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]*)(?=\s*(?:,|$)|\s+[^=\s])")


@frozen
class Denial:
    """How a request was made that was refused.

    ``credentials`` and whether a client certificate went with it; ``left_at`` is the origin whose
    credentials stayed behind, because a redirect led elsewhere.
    """

    credentials: Credentials | None
    client_certificate: bool
    left_at: NetworkOrigin | None = None


def denied(call: Call, status: int, headers: Mapping[str, str], denial: Denial) -> str | None:
    """What to tell beside the status; ``None`` where it speaks for itself."""
    if status == 401:
        return " ".join(_unauthorized(call, headers, denial))
    if status == 403:
        return " ".join(_forbidden(call, denial))
    return None


def _unauthorized(call: Call, headers: Mapping[str, str], denial: Denial) -> Iterator[str]:
    schemes = schemes_of(headers.get("WWW-Authenticate", ""))
    if denial.credentials is not None:
        yield f"It does not accept the credentials of {denial.credentials.shown}."
        if not denial.credentials.complete:
            yield "That is a user name without a password: is it a token?"
        yield "Correct them there."
    else:
        yield from _none_sent(call, denial)
        yield (
            "They can be in the index's URL (https://user:password@host), in netrc or in the "
            "keyring; on a terminal kedge asks for them, unless --no-input forbids it."
        )
    if schemes and "basic" not in {scheme.lower() for scheme in schemes}:
        yield f"It offers {', '.join(schemes)}; kedge speaks Basic alone."


def _forbidden(call: Call, denial: Denial) -> Iterator[str]:
    if denial.credentials is not None:
        yield (
            f"The credentials of {denial.credentials.shown}, do not give the right to this; or "
            "the address is wrong."
        )
    else:
        yield from _none_sent(call, denial)
        yield "Where it needs some, they go into the index's URL, netrc or the keyring."
    if denial.client_certificate:
        yield "The client certificate (--client-cert) was at its disposal."


def _none_sent(call: Call, denial: Denial) -> Iterator[str]:
    if denial.left_at is not None:
        yield (
            f"The request was redirected: the credentials of {denial.left_at} stay there, and "
            f"none are known for {call.origin}."
        )
    else:
        yield f"No credentials were sent: none are known for {call.origin}."


def schemes_of(header: str) -> tuple[str, ...]:
    """The schemes of ``WWW-Authenticate`` (RFC 9110, section 11.6.1), as the server spells them.

    >>> schemes_of('Negotiate, Basic realm="a, b", charset="UTF-8"')
    ('Negotiate', 'Basic')
    """
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', header)
    return tuple(dict.fromkeys(match[1] for match in _SCHEME.finditer(bare)))
