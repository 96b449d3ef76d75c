"""kedge's session: pages, files and parts of files, over connections that are all pinned.

Joins the decided parts (contexts, trusted hosts, proxies, credentials) and offers three verbs.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from kedge.classes import replace
from kedge.model import Hashes, TrustDecision
from kedge.transport import downloads
from kedge.transport.adapter import make_requests_session
from kedge.transport.auth import CredentialSource, IndexCredentials, Netrc
from kedge.transport.bodies import ACCEPT_ENCODING, read_body
from kedge.transport.challenges import Challenges
from kedge.transport.dial import Contexts, Dialler
from kedge.transport.exchange import Exchanger, with_defaults
from kedge.transport.locations import locate
from kedge.transport.options import (
    Download,
    Receiver,
    Response,
    TransportOptions,
    TransportReporter,
)
from kedge.transport.proxies import ProxyTable, read_system_proxies
from kedge.transport.ranges import RangedFile
from kedge.transport.retry import RetryPolicy
from kedge.transport.staged import StagedContexts
from kedge.transport.trusted_hosts import TrustedHosts
from kedge.transport.user_agent import user_agent

#: The largest page that is read into memory, in bytes (PyPI's largest is about 20 MiB).
LIMIT = 256 * 1024 * 1024


class Session:
    """Fetches over connections that trust what ``decision`` says, and nothing else.

    Thread-safe. Every failure leaves as a :class:`~kedge.errors.KedgeError`; a
    ``KeyboardInterrupt`` passes through. Use it as a context manager: closing it also ends what
    other threads are waiting for.
    """

    def __init__(self, exchanger: Exchanger) -> None:
        self._exchanger = exchanger
        self.decision: TrustDecision = exchanger.decision

    def get(
        self, url: str, *, headers: Mapping[str, str] | None = None, limit: int = LIMIT
    ) -> Response:
        """The whole body behind ``url``, decompressed; at most ``limit`` bytes.

        A conditional request (``If-None-Match`` and the like in ``headers``) may return 304 with
        an empty body. Raises :class:`~kedge.errors.HttpStatusError` for any status that is neither
        2xx nor 304, and the other transport errors.
        """
        sent = with_defaults(headers or {}, {"Accept-Encoding": ACCEPT_ENCODING})
        return self._exchanger.persist(lambda: self._get(url, sent, limit), url)

    def _get(self, url: str, headers: Mapping[str, str], limit: int) -> Response:
        with self._exchanger.open(url, headers) as answer:
            body = read_body(answer, limit)
            return Response(answer.url, answer.status, answer.headers, body, answer.verified)

    def download(
        self,
        url: str,
        destination: Path,
        *,
        hashes: Hashes,
        size: int | None = None,
        name: str | None = None,
        reporter: TransportReporter | None = None,
        receiver: Receiver | None = None,
    ) -> Download:
        """Fetch a file; ``destination`` is complete and checked afterwards, or as it was.

        ``hashes``: one of them must match (empty: nothing is known). ``size``: what the index
        states, in bytes. ``name``: what the reporter is told, which is the session's unless
        ``reporter`` is another. ``receiver``: what writes the file, if it is not to be
        written as it comes. A transfer that breaks is resumed where the server allows it.

        Raises :class:`~kedge.errors.HashMismatchError`,
        :class:`~kedge.errors.IncompleteDownloadError`, the other transport errors, and a
        :class:`~kedge.errors.KedgeError` when the disk is full or cannot be written.
        """
        exchanger = self._exchanger
        return downloads.download(
            exchanger if reporter is None else replace(exchanger, reporter=reporter),
            url,
            destination,
            hashes=hashes,
            size=size,
            name=destination.name if name is None else name,
            receiver=receiver,
        )

    def open_ranged(self, url: str, *, size: int | None = None) -> RangedFile:
        """A seekable file that fetches what is read of it, in few requests.

        Raises (here, and from ``read``) :class:`~kedge.errors.RangesUnsupportedError` where
        the server sends only whole files.
        """
        return RangedFile(self._exchanger, url, size=size)

    def reach(self, url: str) -> None:
        """See that there is an answer behind ``url``, whatever it says; sends no credentials.

        Raises :class:`~kedge.errors.ConnectionFailedError` for what stands in the way.
        """
        self._exchanger.persist(lambda: self._exchanger.reach(url), url)

    def verified(self, url: str) -> bool:
        """Whether the server that ``url`` names would have its certificate checked."""
        return self._exchanger.dialler.verifies(locate(url).origin)

    def close(self) -> None:
        """Close every connection. Requests under way in other threads fail at once."""
        self._exchanger.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def make_dialler(
    context: ssl.SSLContext,
    options: TransportOptions,
    reporter: TransportReporter,
    *,
    client_context: ssl.SSLContext | None,
    unverified_client_context: ssl.SSLContext | None,
    staged: StagedContexts | None = None,
) -> Dialler:
    """Decide proxies and trusted hosts, and bind them to the contexts."""
    trusted = TrustedHosts.parse(options.trusted_hosts)
    proxies = ProxyTable.decide(options.proxy, options.environ, read_system_proxies())
    return Dialler(
        contexts=Contexts(
            verified=context,
            client=client_context,
            unverified=_unverified,
            unverified_client=unverified_client_context,
            staged=staged,
        ),
        trusted=trusted,
        proxies=proxies,
        client_origins=IndexCredentials(options.index_urls).origins,
        parallel=options.parallel,
        warn=reporter.warn,
    )


def _unverified() -> ssl.SSLContext:
    from kedge.trust.context import unverified_context  # hardly anybody needs it

    return unverified_context()


def make_session(
    decision: TrustDecision,
    options: TransportOptions,
    reporter: TransportReporter,
    dialler: Dialler,
    credentials: Sequence[CredentialSource],
    challenges: Challenges,
) -> Session:
    """The session on a dialler; see :func:`kedge.transport.open_session`."""
    sources = (*credential_sources(options, reporter), *credentials)
    agent = options.user_agent or user_agent(options.environ)
    return Session(
        Exchanger(
            decision=decision,
            # Without credentials: they are decided request by request, over redirects, too.
            session=make_requests_session(dialler, options, (), agent, alone=False),
            dialler=dialler,
            credentials=sources,
            challenges=challenges,
            indexes=IndexCredentials(options.index_urls),
            policy=RetryPolicy(options.retries),
            timeout=options.timeout,
            user_agent=agent,
            reporter=reporter,
        )
    )


def credential_sources(
    options: TransportOptions, reporter: TransportReporter
) -> tuple[CredentialSource, ...]:
    """Index URLs first, then netrc, as in pip."""
    indexes = IndexCredentials(options.index_urls)
    return indexes, Netrc(options.environ, indexes.origins, reporter.warn)
