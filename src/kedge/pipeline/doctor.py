"""The steps of ``kedge doctor``: whom an install would talk to, and whether it would get through.

Top to bottom: the settings name indexes, pages and URLs; each is examined, and asked what an
install would ask of it; their pages name the hosts of the files, which are examined in turn; then
the proxies on the way. What was found on one host is held against what was found on the others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from kedge.classes import field, frozen, mutable, replace
from kedge.diagnose.checkup import Checkup, Part, Peer, Remark, RemarkCode, remarks_on, with_remarks
from kedge.diagnose.diagnosis import (
    beside,
    diagnose,
    diagnose_proxy,
    diagnose_url,
    fell_silent,
    no_index,
)
from kedge.diagnose.evidence import Neighbour
from kedge.errors import (
    ConnectionFailedError,
    HttpStatusError,
    InsecureLocationError,
    InsecureRedirectError,
    KedgeError,
    NotAnIndexError,
    RangesUnsupportedError,
    UsageError,
)
from kedge.index.fetch import PageFetcher
from kedge.index.files import SDIST_EXTENSIONS
from kedge.index.links import Link
from kedge.index.sources import Place, PlaceKind, find_places
from kedge.index.survey import Survey, survey, survey_url
from kedge.model import PYPI_HOSTS, Hop, NetworkOrigin, redact_url
from kedge.pipeline.asked import locations_of, sources_of
from kedge.pipeline.connection import Connection
from kedge.pipeline.reporter import Reporter
from kedge.settings import options as table
from kedge.transport.locations import locate
from kedge.transport.trusted_hosts import TrustedHost, TrustedHosts, refuse_insecure

if TYPE_CHECKING:
    from kedge.diagnose.commands import User
    from kedge.diagnose.examine import Surroundings
    from kedge.diagnose.report import Diagnosis
    from kedge.settings.values import Settings
    from kedge.transport.proxies import Proxy

#: Examinations and requests at a time.
_PARALLEL = 16
#: Seconds for each wait of a request, and after which no request is waited for any more.
_PATIENCE, _LIMIT = 6.0, 20.0
#: A page may name hundreds of hosts; these many are examined.
_MOST_HOSTS = 24


@frozen(kw_only=True)
class _Target:
    """Somebody to examine. ``url`` may hold credentials; ``link`` is a file to try."""

    part: Part
    url: str
    because: str
    place: Place | None = None
    link: Link | None = None

    @property
    def origin(self) -> NetworkOrigin:
        return locate(self.url).origin


@frozen(kw_only=True)
class _Met:
    """What became of one target: the examination, and what an install's own request brought."""

    target: _Target
    diagnosis: Diagnosis
    found: Survey | None = None
    failure: KedgeError | None = None


class _Listener(Reporter):
    """Keeps the warnings of the layers below, each once."""

    def __init__(self) -> None:
        self.warnings: dict[str, None] = {}

    def warn(self, message: str) -> None:
        self.warnings.setdefault(message)


def check(
    settings: Settings, surroundings: Surroundings, user: User, *, about: Mapping[str, str]
) -> Checkup:
    """Examine everybody whom an install with these settings would meet, or the URLs named.

    Raises :class:`~kedge.errors.UsageError` for a word that is no URL, and
    :class:`~kedge.errors.SettingError` for a proxy or a trusted host that cannot be read.
    """
    # Before any thread: requests silences a warning of urllib3's when it is imported, and a thread
    # that reads a certificate meanwhile puts the filters back (catch_warnings is the process's).
    import kedge.transport.session  # noqa: F401

    begun = time.monotonic()
    listener = _Listener()
    trusted = TrustedHosts.parse(settings.each(table.TRUSTED_HOST))
    targets, local = _targets(settings, listener)
    indexes = (*settings.index_urls(), *settings.each(table.FIND_LINKS))
    with (
        ThreadPoolExecutor(_PARALLEL, "doctor") as threads,
        Connection(
            settings,
            listener,
            index_urls=indexes,
            patience=_PATIENCE,
            identity=surroundings.client_cert,
        ) as connection,
    ):
        timer = threading.Timer(_LIMIT, connection.close)
        timer.daemon = True
        timer.start()
        visits = _Visits(threads, connection, surroundings, user, trusted)
        met = visits.pay(targets)
        pages = [(each.target.url, each.found) for each in met if each.found is not None]
        pages += [(place.url, _look(place, visits)) for place in local]
        met += visits.pay([*_files(pages), *_unread(met), *_detours(met)])
        met += visits.pay(_detours(met[len(targets) :]))
        timer.cancel()
        met = _side_by_side(met, user)
        peers = [_peer(each, trusted, surroundings, user) for each in met]
        peers += visits.proxies(met)
    return Checkup(
        decision=surroundings.decision,
        peers=tuple(peers),
        warnings=tuple(listener.warnings),
        seconds=time.monotonic() - begun,
        about=about,
    )


# --------------------------------------------------------------------------------------------
# Whom to examine


def _targets(settings: Settings, listener: _Listener) -> tuple[list[_Target], list[Place]]:
    """Those that the words or the settings name, and the places on this machine."""
    if settings.arguments:
        return [_named(word) for word in settings.arguments], []
    places = find_places(sources_of(settings, locations_of(settings)))
    for warning in places.warnings:
        listener.warn(warning)
    found: list[_Target] = []
    for place in places.places:
        if place.path is None:
            index = place.kind is PlaceKind.REMOTE_INDEX
            part = Part.INDEX if index else Part.FIND_LINKS
            found.append(_Target(part=part, url=place.url, because=str(place.origin), place=place))
    # Indexes first: that is what a reader looks for.
    found.sort(key=lambda each: each.part is not Part.INDEX)
    return found, [place for place in places.places if place.path is not None]


def _named(word: str) -> _Target:
    """A URL of the command line; without a scheme it is https."""
    url = word if "://" in word else f"https://{word}"
    try:
        locate(url)
    except KedgeError as exc:
        raise UsageError(exc.message, hint="Name a URL, a host, or host:port.") from exc
    return _Target(part=Part.URL, url=url, because="named on the command line")


def _files(pages: Iterable[tuple[str, Survey]]) -> Iterator[_Target]:
    """The hosts that files are on, each with one file to try: a small wheel, if there is one."""
    best: dict[NetworkOrigin, tuple[str, Link]] = {}
    for url, found in pages:
        for link in found.links:
            if not link.filename.endswith((".whl", *SDIST_EXTENSIONS)):
                continue
            try:
                origin = locate(link.url).origin
            except KedgeError:
                continue  # a file: URL, or nothing that could be fetched
            known = best.get(origin)
            if known is None or _preference(link) < _preference(known[1]):
                best[origin] = (url, link)
    for origin, (url, link) in list(best.items())[:_MOST_HOSTS]:
        because = f"linked from {redact_url(url)}"
        yield _Target(part=Part.FILES, url=str(origin), because=because, link=link)


def _preference(link: Link) -> tuple[bool, int]:
    return not link.filename.endswith(".whl"), link.size if link.size is not None else 1 << 40


def _unread(met: Iterable[_Met]) -> Iterator[_Target]:
    """PyPI's file host, where PyPI's page could not be read to learn it."""
    for each in met:
        index = each.target.part is Part.INDEX and each.found is None
        if index and each.target.origin.host == PYPI_HOSTS[0]:
            for host in PYPI_HOSTS[1:]:
                yield _Target(part=Part.FILES, url=f"https://{host}", because="PyPI's files")


def _detours(met: Iterable[_Met]) -> list[_Target]:
    """Servers that were redirected to, and could not be connected to."""
    found: dict[NetworkOrigin, _Target] = {}
    for each in met:
        failure = each.failure
        if isinstance(failure, ConnectionFailedError) and failure.hop is Hop.SERVER:
            peer = failure.peer
            if peer != each.target.origin:
                because = f"redirected to from {redact_url(each.target.url)}"
                found[peer] = _Target(part=Part.REDIRECT, url=str(peer), because=because)
    return list(found.values())


# --------------------------------------------------------------------------------------------
# Visiting them


@mutable
class _Visits:
    """Examines each origin once, and asks each target what an install would ask of it."""

    threads: ThreadPoolExecutor
    connection: Connection
    surroundings: Surroundings
    user: User
    trusted: TrustedHosts
    _begun: dict[NetworkOrigin, Future[Diagnosis]] = field(default_factory=dict)

    def pay(self, targets: Iterable[_Target]) -> list[_Met]:
        """Visit all of them at once, in their order."""
        begun = [
            (target, self._examination(target), self.threads.submit(self._ask, target))
            for target in targets
        ]
        return [_met(target, seen.result(), asked.result()) for target, seen, asked in begun]

    def look(self, place: Place) -> Survey:
        """What a place links to."""
        pages = PageFetcher(self.connection, None, revalidate=True, clock=time.time)
        return survey(place, pages, self.connection)

    def proxies(self, met: Iterable[_Met]) -> Iterator[Peer]:
        """The proxies on the way: what failed there, or what it presents itself."""
        through: dict[Proxy, list[_Met]] = {}
        for each in met:
            proxy = each.diagnosis.evidence.proxy if each.diagnosis.evidence else None
            if proxy is not None:
                through.setdefault(proxy, []).append(each)
        for proxy, those in through.items():
            yield self._proxy(proxy, [each.diagnosis for each in those])

    def _proxy(self, proxy: Proxy, through: list[Diagnosis]) -> Peer:
        failed = next((each for each in through if each.findings and each.hop is Hop.PROXY), None)
        peer = Peer(part=Part.PROXY, url=proxy.url, because=str(proxy.setting), diagnosis=failed)
        if failed is not None:
            return peer
        hosts = len({each.peer for each in through})
        way = f"it opens the way to {hosts} {'host' if hosts == 1 else 'hosts'}"
        if proxy.scheme != "https":
            return replace(peer, reached=True, read=way)
        own = diagnose_proxy(proxy, self.surroundings, self.user)
        now = self.surroundings.clock()
        return with_remarks(replace(peer, diagnosis=own, read=way), remarks_on(own, now))

    def _examination(self, target: _Target) -> Future[Diagnosis]:
        origin = target.origin
        if origin not in self._begun:
            self._begun[origin] = self.threads.submit(
                diagnose_url, str(origin), self.surroundings, self.user
            )
        return self._begun[origin]

    def _ask(self, target: _Target) -> Survey | KedgeError | None:
        """What an install would ask; the error that an install would end with."""
        try:
            if target.link is not None:
                return self._try_file(target.link)
            if target.place is not None:
                return self._read(target.place)
            location = locate(target.url)
            refuse_insecure(location, self.trusted)
            if target.part is Part.URL and location.path != "/":
                return survey_url(target.url, self.connection)
        except KedgeError as exc:
            return exc
        return None

    def _read(self, place: Place) -> Survey:
        found = self.look(place)
        if place.kind is PlaceKind.FILE:
            self._try_file(found.links[0])
        return found

    def _try_file(self, link: Link) -> Survey:
        """The end of one file, which is what an install reads of a wheel at first."""
        try:
            self.connection.open_ranged(link.url, size=link.size).close()
        except RangesUnsupportedError:
            pass  # it would be fetched whole
        return Survey((), f"{link.filename} can be had")


def _look(place: Place, visits: _Visits) -> Survey:
    try:
        return visits.look(place)
    except KedgeError:
        return Survey((), "")  # an install that needs it will say so


def _met(target: _Target, diagnosis: Diagnosis, asked: Survey | KedgeError | None) -> _Met:
    if isinstance(asked, KedgeError):
        return _Met(target=target, diagnosis=diagnosis, failure=asked)
    return _Met(target=target, diagnosis=diagnosis, found=asked)


# --------------------------------------------------------------------------------------------
# What it comes to


def _side_by_side(met: list[_Met], user: User) -> list[_Met]:
    """Each diagnosis anew, knowing the issuers that the other hosts present."""
    issuers = {
        Neighbour(host=each.diagnosis.evidence.host, issuer=each.diagnosis.chain.top.issuer)
        for each in met
        if each.diagnosis.evidence and each.diagnosis.chain and each.diagnosis.chain.top
    }
    known = tuple(sorted(issuers, key=lambda each: each.host))
    return [replace(each, diagnosis=beside(each.diagnosis, known, user)) for each in met]


def _peer(met: _Met, trusted: TrustedHosts, surroundings: Surroundings, user: User) -> Peer:
    target, diagnosis = met.target, met.diagnosis
    exempt = trusted.find(target.origin)
    if met.failure is not None:
        diagnosis = _with_failure(met.failure, diagnosis, surroundings, user)
    open_to_all = exempt is not None or target.origin.scheme == "http"
    capture = diagnosis.evidence.capture if diagnosis.evidence else None
    connected = capture is not None and capture.failure is None
    asked = met.found is not None and not met.found.absent
    peer = Peer(
        part=target.part,
        url=redact_url(target.url),
        because=target.because,
        read=met.found.read if met.found else "",
        reached=asked or (open_to_all and connected and met.failure is None),
        diagnosis=diagnosis,
    )
    return with_remarks(
        peer,
        [
            *_exemption(exempt),
            *remarks_on(diagnosis, surroundings.clock()),
            *_of_failure(met.failure, diagnosis),
            *_of_page(met),
        ],
    )


def _with_failure(
    error: KedgeError, diagnosis: Diagnosis, surroundings: Surroundings, user: User
) -> Diagnosis:
    """The diagnosis with what the install's own request showed; nobody is contacted."""
    match error:
        case NotAnIndexError():
            return no_index(diagnosis, error, user)
        case ConnectionFailedError() if error.hop is Hop.SERVER:
            return fell_silent(diagnosis, error, user)
        case InsecureLocationError() | InsecureRedirectError():
            told = diagnose(error, surroundings, user)
            if told is None:
                return diagnosis
            return replace(diagnosis, findings=told.findings, remedies=told.remedies, sound=False)
        case _:
            return diagnosis


def _exemption(exempt: TrustedHost | None) -> Iterator[Remark]:
    if exempt is not None:
        yield Remark(
            code=RemarkCode.NOT_VERIFIED,
            sentence=f"It is not verified ({exempt.origin}): whoever answers is believed.",
        )


def _of_failure(failure: KedgeError | None, diagnosis: Diagnosis) -> Iterator[Remark]:
    """What an install would end with, unless the diagnosis explains it."""
    if failure is None:
        return
    code = RemarkCode.FAILED
    if isinstance(failure, HttpStatusError):
        wants = failure.status in {401, 403, 407}
        code = RemarkCode.CREDENTIALS if wants else RemarkCode.STATUS
    elif diagnosis.findings:
        return
    yield Remark(code=code, sentence=failure.message, hint=failure.hint or "", blocks=True)


def _of_page(met: _Met) -> Iterator[Remark]:
    if met.found is None or met.target.part is not Part.INDEX or met.found.links:
        return
    if met.found.absent:
        yield Remark(
            code=RemarkCode.NO_PAGE,
            sentence="It answers, and has neither a list of projects nor a usual one: "
            "see whether its address is right (most end in /simple).",
            blocks=True,
        )
        return
    yield Remark(
        code=RemarkCode.FILES_UNKNOWN,
        sentence="No file is linked from what was read of it: the hosts of its files are unknown.",
    )
