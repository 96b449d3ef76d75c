"""Bytes over HTTPS, over connections that trust exactly what was decided.

The one layer that knows requests and urllib3. ``trust`` decides and makes the context; here it is
pinned on every path: direct, through plain and TLS proxies, redirects, retries, pools. ::

    from kedge import trust, transport

    decision = trust.decide(settings)
    context = trust.context_for(decision, environ)
    options = transport.TransportOptions(environ=environ)
    with transport.requests_session(decision, context, options) as session:
        session.get("https://index.internal/simple/")

Importing this package is cheap; requests and urllib3 are imported when a session is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kedge.lazy import lazily
from kedge.transport.options import (
    Download,
    Receiver,
    Response,
    TransportOptions,
    TransportReporter,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    import requests

    from kedge.model import TrustDecision
    from kedge.transport.auth import Credentials, CredentialSource
    from kedge.transport.challenges import Challenges, Prompt
    from kedge.transport.keyring import Keyring
    from kedge.transport.ranges import RangedFile
    from kedge.transport.session import Session
    from kedge.transport.staged import StagedContexts

__all__ = [
    "Challenges",
    "CredentialSource",
    "Credentials",
    "Download",
    "Keyring",
    "Prompt",
    "RangedFile",
    "Receiver",
    "Response",
    "Session",
    "TransportOptions",
    "TransportReporter",
    "load_libraries",
    "open_session",
    "requests_session",
]

_SILENT = TransportReporter()


def load_libraries() -> None:
    """Import what a session is made of: most of what the first one costs."""
    from kedge.transport import deferred

    deferred.defer()
    from kedge.transport import session  # noqa: F401


def open_session(
    decision: TrustDecision,
    context: ssl.SSLContext,
    options: TransportOptions,
    reporter: TransportReporter = _SILENT,
    *,
    client_context: ssl.SSLContext | None = None,
    unverified_client_context: ssl.SSLContext | None = None,
    credentials: Sequence[CredentialSource] = (),
    challenges: Challenges | None = None,
    staged: StagedContexts | None = None,
) -> Session:
    """kedge's session on ``context``, which is what ``decision`` describes.

    ``client_context`` trusts the same and presents the client certificate: it is used for the
    origins of ``options.index_urls`` alone, and never with a proxy. ``unverified_client_context``
    is its counterpart for an index that is a trusted host. ``credentials`` are asked after index
    URLs and netrc; ``challenges`` answer a 401, from a keyring or a person (nobody, if not given).
    ``context`` may be a part of the trust that is ``staged``.

    Opens no connection. Raises :class:`~kedge.errors.UsageError` or
    :class:`~kedge.errors.SettingError` for a trusted host or a proxy that cannot be read.
    """
    load_libraries()
    from kedge.transport import challenges as asking
    from kedge.transport import session as sessions

    dialler = sessions.make_dialler(
        context,
        options,
        reporter,
        client_context=client_context,
        unverified_client_context=unverified_client_context,
        staged=staged,
    )
    answers = challenges or asking.Challenges()
    return sessions.make_session(decision, options, reporter, dialler, credentials, answers)


def requests_session(
    decision: TrustDecision,
    context: ssl.SSLContext,
    options: TransportOptions,
    reporter: TransportReporter = _SILENT,
    *,
    client_context: ssl.SSLContext | None = None,
    unverified_client_context: ssl.SSLContext | None = None,
    credentials: Sequence[CredentialSource] = (),
) -> requests.Session:
    """A ``requests.Session`` that trusts exactly what was decided; for other tools.

    Neither ``session.verify``, ``verify=``, ``REQUESTS_CA_BUNDLE`` nor ``trust_env`` widens or
    narrows it. Proxies, trusted hosts, netrc and redirects follow kedge's rules; what they refuse
    raises a :class:`~kedge.errors.KedgeError`, everything else raises what requests raises.
    ``session.kedge_decision`` is the decision. Arguments and errors as :func:`open_session`.
    """
    from kedge.transport import adapter, user_agent
    from kedge.transport import session as sessions

    dialler = sessions.make_dialler(
        context,
        options,
        reporter,
        client_context=client_context,
        unverified_client_context=unverified_client_context,
    )
    sources = (*sessions.credential_sources(options, reporter), *credentials)
    agent = options.user_agent or user_agent.user_agent(options.environ)
    pinned = adapter.make_requests_session(dialler, options, sources, agent)
    pinned.kedge_decision = decision
    return pinned


#: Names for annotations.
_MODULES = {
    "Session": "session",
    "RangedFile": "ranges",
    "Credentials": "auth",
    "CredentialSource": "auth",
    "Challenges": "challenges",
    "Prompt": "challenges",
    "Keyring": "keyring",
}

if not TYPE_CHECKING:  # which knows the names, and which are none
    __getattr__ = lazily(__name__, _MODULES)
