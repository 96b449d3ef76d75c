"""From settings to a session, opened when the first byte is needed and not before.

An install that finds everything in place connects to nothing, and pays for no TLS. The *decision*
is made at once: it costs nothing, and every report carries it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kedge.errors import KedgeError
from kedge.model import Configured, Hashes, Sourced, TrustDecision
from kedge.pipeline.identity import client_certificate
from kedge.pipeline.timing import timed
from kedge.settings import options as table
from kedge.transport import Download, Response, TransportOptions, load_libraries, open_session
from kedge.trust.decide import decide

if TYPE_CHECKING:
    import ssl

    from kedge import trust
    from kedge.pipeline.reporter import Reporter
    from kedge.settings.values import Settings
    from kedge.transport import Challenges, RangedFile, Receiver, Session, TransportReporter
    from kedge.transport.trusted_hosts import TrustedHosts
    from kedge.trust import Anchors
    from kedge.trust.staged import HintStore, StagedTrust

#: Connections kept to one host, and downloads at a time.
PARALLEL = 16


class Connection:
    """A session that does not exist until it is used. Thread-safe; a context manager.

    It fulfils what the index, the readers of requirements and the downloads ask of a network.
    ``patience`` is for a look that nobody waits long for: that many seconds at most for each
    wait, and one more try (a kept connection may have been closed). ``hints`` are kept of the
    anchors that vouch, for the next run. ``identity`` is the client certificate where it is open
    already: its passphrase is not asked for again.
    """

    def __init__(
        self,
        settings: Settings,
        reporter: Reporter,
        *,
        index_urls: tuple[Sourced[str], ...],
        patience: float | None = None,
        identity: trust.ClientCertificate | None = None,
        hints: HintStore | None = None,
    ) -> None:
        self._settings = settings
        self._reporter = reporter
        self._patience = patience
        self._identity = identity
        self._hints = hints
        self._staged: StagedTrust | None = None
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._anchors: Anchors | None = None
        self._challenges: Challenges | None = None
        self._closed = threading.Event()
        self._used = False
        self._waiting: list[Callable[[], None]] = []
        self._index_urls = index_urls
        self._trusted_hosts = settings.each(table.TRUSTED_HOST)
        self._hosts: tuple[tuple[Sourced[str], ...], TrustedHosts] | None = None
        self.decision: TrustDecision = decide(settings.trust_settings())

    def widen(
        self, index_urls: tuple[Sourced[str], ...], trusted_hosts: tuple[Sourced[str], ...]
    ) -> None:
        """Count in what requirement files name; credentials of theirs belong to their origins.

        A session that already fetched a requirements file is replaced.
        """
        with self._lock:
            added = (*self._trusted_hosts, *trusted_hosts)
            if (index_urls, added) == (self._index_urls, self._trusted_hosts):
                return
            self._index_urls, self._trusted_hosts = index_urls, added
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def when_used(self, call: Callable[[], None]) -> None:
        """Have it called once, when something has to be asked; at once if something was."""
        with self._lock:
            if not self._used:
                self._waiting.append(call)
                return
        call()

    @property
    def session(self) -> Session:
        """The session; loads the anchors the first time, and may raise what that raises.

        Once closed it stays so: a thread that comes late must not open it again.
        """
        with self._lock:
            if self._closed.is_set():
                raise KedgeError("The connection is closed.")
            self._used = True
            while self._waiting:
                self._waiting.pop()()
            if self._session is None:
                with timed(self._reporter, "libraries"):
                    load_libraries()
                with timed(self._reporter, "trust"):
                    self._session = self._open()
            return self._session

    def get(
        self, url: str, *, headers: Mapping[str, str] | None = None, limit: int | None = None
    ) -> Response:
        """See :meth:`kedge.transport.session.Session.get`."""
        session = self.session
        with timed(self._reporter, "pages"):
            if limit is None:
                return session.get(url, headers=headers)
            return session.get(url, headers=headers, limit=limit)

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
        """See :meth:`kedge.transport.session.Session.download`."""
        session = self.session
        with timed(self._reporter, "download"):
            return session.download(
                url,
                destination,
                hashes=hashes,
                size=size,
                name=name,
                reporter=reporter,
                receiver=receiver,
            )

    def open_ranged(self, url: str, *, size: int | None = None) -> RangedFile:
        """See :meth:`kedge.transport.session.Session.open_ranged`."""
        return self.session.open_ranged(url, size=size)

    def reach(self, url: str) -> None:
        """See :meth:`kedge.transport.session.Session.reach`."""
        self.session.reach(url)

    def verified(self, url: str) -> bool:
        """Whether the server that ``url`` names would have its certificate checked.

        Answered without a session: a cached page is used only where this holds, and a run that
        finds all it needs in the cache imports no library of the network.
        """
        from kedge.transport.locations import locate

        return self._exempt().verifies(locate(url).origin)

    def close(self) -> None:
        self._closed.set()  # first: whoever waits for a passphrase holds the lock
        if self._challenges is not None:
            self._challenges.close()
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close()
        if self._staged is not None:
            self._staged.remember()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, KedgeError):
            error.configured = self.configured
        self.close()

    @property
    def configured(self) -> Configured:
        """Whom to ask, as far as it is known by now."""
        from kedge.transport.locations import locate

        origins = []
        for url in self._index_urls:
            with contextlib.suppress(KedgeError):  # a folder, or no URL at all
                origins.append(locate(url.value).origin)
        return Configured(frozenset(origins), self._trusted_hosts)

    def refuse_insecure(self, url: str) -> None:
        """Raise :class:`~kedge.errors.InsecureLocationError` for plain HTTP to another machine,
        unless that is a ``--trusted-host``; nothing is fetched.
        """
        from kedge.transport.locations import locate
        from kedge.transport.trusted_hosts import refuse_insecure

        refuse_insecure(locate(url), self._exempt())

    def _exempt(self) -> TrustedHosts:
        from kedge.transport.trusted_hosts import TrustedHosts

        settings = self._trusted_hosts
        if self._hosts is None or self._hosts[0] is not settings:
            self._hosts = (settings, TrustedHosts.parse(settings))
        return self._hosts[1]

    def proxy_variables(self) -> dict[str, str]:
        """The variables that make other programs take the proxies that were decided."""
        from kedge.transport.proxies import for_programs, read_system_proxies

        options = self._options()
        return for_programs(options.proxy, options.environ, read_system_proxies())

    def exported(self, folder: Path) -> dict[str, str]:
        """The variables that make other programs trust what was decided.

        The anchors are written below ``folder``, which has to stay for as long as they run.
        """
        from kedge.trust.export import write_for_others

        with self._lock:
            anchors = self._load()
        return write_for_others(anchors, folder)

    def _load(self) -> Anchors:
        """The anchors in force, read once; the lock is held."""
        from kedge import trust

        if self._anchors is None:
            self._anchors = trust.load(self.decision, environ=self._settings.snapshot.environ)
            for warning in self._anchors.warnings:
                self._reporter.warn(warning)
        return self._anchors

    def _open(self) -> Session:
        from kedge import trust

        settings = self._settings
        if self._hints is not None and settings.value(table.CLIENT_CERT) is None:
            return self._open_staged(self._hints, settings.snapshot.environ)
        anchors = self._load()
        client: ssl.SSLContext | None = None
        unverified_client: ssl.SSLContext | None = None
        context = trust.make_context(anchors)
        certificate = self._identity or client_certificate(
            settings, self._reporter.prompt, abandoned=self._closed.is_set
        )
        if certificate is not None:
            client = trust.make_context(anchors, client_cert=certificate)
            unverified_client = trust.unverified_context(client_cert=certificate)
        return open_session(
            self.decision,
            context,
            self._options(),
            self._reporter,
            client_context=client,
            unverified_client_context=unverified_client,
            challenges=self._answers(),
        )

    def _open_staged(self, hints: HintStore, environ: Mapping[str, str]) -> Session:
        """On the few anchors that vouched last, if they are known; the others follow on demand."""
        from kedge.trust.staged import StagedTrust

        client_certificate(self._settings, None)  # a key without one is a mistake
        if self._staged is None:
            self._staged = StagedTrust(
                self.decision, environ=environ, store=hints, warn=self._reporter.warn
            )
        return open_session(
            self.decision,
            self._staged.context,
            self._options(),
            self._reporter,
            challenges=self._answers(),
            staged=self._staged,
        )

    def _answers(self) -> Challenges:
        """What is known of credentials, kept when the session is replaced."""
        if self._challenges is None:
            from kedge.transport import Challenges, Keyring

            settings = self._settings
            which = settings.value(table.KEYRING_PROVIDER)
            # As pip: a keyring may open a window, so with --no-input it must be asked for.
            keyring = None
            if which != "disabled" and not (which == "auto" and settings.value(table.NO_INPUT)):
                keyring = Keyring(which, settings.snapshot.environ, self._reporter.warn)
            self._challenges = Challenges(keyring=keyring, prompt=self._reporter.prompt)
        return self._challenges

    def _options(self) -> TransportOptions:
        settings = self._settings
        proxy = settings[table.PROXY]
        if settings.value(table.NO_PROXY_ENV) and proxy.value is None:
            # An empty --proxy is the one switch for "no proxy at all".
            proxy = Sourced("", settings[table.NO_PROXY_ENV].origin)
        timeout, retries = settings.value(table.TIMEOUT), settings.value(table.RETRIES)
        if self._patience is not None:
            timeout, retries = min(timeout, self._patience), min(retries, 1)
        return TransportOptions(
            environ=settings.snapshot.environ,
            proxy=None if proxy.value is None else Sourced(proxy.value, proxy.origin),
            timeout=timeout,
            retries=retries,
            trusted_hosts=self._trusted_hosts,
            index_urls=tuple(url.value for url in self._index_urls),
            parallel=PARALLEL,
        )
