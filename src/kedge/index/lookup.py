"""What exists: the files of a project in every configured place, and the metadata of one of them.

Joins the parts: places are decided in :mod:`~kedge.index.sources`, pages fetched in
:mod:`~kedge.index.fetch`, links read in :mod:`~kedge.index.files`. Knows nothing of what was asked
for or what fits.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Container, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

from packaging.utils import NormalizedName, canonicalize_name

from kedge.environment.metadata import CoreMetadata
from kedge.errors import PageError
from kedge.index.entries import Links
from kedge.index.fetch import Downloaded, Fetched, Fetcher, PageCache, PageFetcher
from kedge.index.files import IndexFile, direct_file
from kedge.index.links import Link, link_from
from kedge.index.metadata import MetadataCache, MetadataReader
from kedge.index.releases import Listed, Releases
from kedge.index.shared import Once, Workers
from kedge.index.sources import IndexSources, Place, PlaceKind, find_places, is_html
from kedge.index.tables import LinkTable
from kedge.model import Hashes, redact_url, strip_secrets

_ALL = ":all:"

#: Where a locked file was found.
_LOCK = "a lock file"

#: The identity of a page that does not exist.
_ABSENT = "absent"


class IndexReporter:
    """What an index tells while it works; every hook does nothing. Called from any thread."""

    def warn(self, message: str) -> None:
        """Something the user must hear of, once; a sentence."""

    def page_read(self, url: str, files: int) -> None:
        """A page was read. ``url`` is redacted."""

    def metadata_read(self, filename: str) -> None:
        """The metadata of that file is known."""


class Direct(Protocol):
    """What was asked for by URL: :class:`kedge.requirements.Requested`."""

    @property
    def url(self) -> str | None: ...
    @property
    def hashes(self) -> Hashes: ...


class Index:
    """Every configured index and ``--find-links`` place as one.

    Safe for several threads; each page and each metadata is fetched once, however many ask.
    Use it as a context manager, or :meth:`close` it: what is being fetched ahead is then dropped.
    ``refresh`` are projects whose pages the server is asked about anew, ``:all:`` among them.
    ``locked`` are projects that have one file and no other, whatever the places hold.
    ``downloads`` gives the folder for wheels that have to be fetched whole to learn their metadata
    (a temporary one, gone at :meth:`close`, if not given).
    """

    def __init__(
        self,
        sources: IndexSources,
        fetcher: Fetcher | None,
        *,
        pages: PageCache | None = None,
        metadata: MetadataCache | None = None,
        refresh: Container[str] = (),
        locked: Mapping[NormalizedName, Link] | None = None,
        downloads: Callable[[], Path] | None = None,
        reporter: IndexReporter | None = None,
        parallel: int = 16,
        revalidate: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._reporter = reporter or IndexReporter()
        self._refresh = refresh
        self._locked = dict(locked or {})
        found = find_places(sources)
        self._find_links = [
            place
            for place in found.places
            if place.kind not in {PlaceKind.REMOTE_INDEX, PlaceKind.LOCAL_INDEX}
        ]
        self._indexes = [place for place in found.places if place not in self._find_links]
        self._pages = PageFetcher(fetcher, pages, revalidate=revalidate, clock=clock)
        self._reader = MetadataReader(
            fetcher, metadata, downloads=self._download_folder, arrived=self._arrived
        )
        self._workers = Workers(parallel)
        self._project_pages: Once[tuple[str, str], Listed | None] = Once()
        self._tables: Once[str, _Listing] = Once()
        self._metadata: Once[str, CoreMetadata] = Once()
        self._identities: dict[tuple[str, str], str | None] = {}
        self._texts: dict[str, str] = {}
        self._lock = threading.Lock()
        self._warned: set[str] = set()
        self._downloads = downloads
        self._temporary: Path | None = None
        self._downloaded: dict[str, Downloaded] = {}
        for message in found.warnings:
            self._warn(message)

    # -- what exists

    def files(self, name: str) -> Releases:
        """Every distribution of the project, in pip's order: those named directly or lying in a
        ``--find-links`` folder (by URL, the highest first), those on ``--find-links`` pages, then
        those of each index in turn. All indexes count alike; among equals the last is preferred.

        Empty when every place was asked and none has the project. Raises
        :class:`~kedge.errors.TransportError` when one could not be asked,
        :class:`~kedge.errors.PageError` when one answered with something else than a page.
        """
        project = canonicalize_name(name)
        if project in self._locked:
            link = self._locked[project]
            return Releases((), [Listed(project, Links.of([link]), _LOCK)])
        if len(self._find_links) + len(self._indexes) > 1:
            self.prefetch([project])
        singles: dict[str, IndexFile] = {}
        paged: list[Listed | None] = []
        for place in self._find_links:
            listing = self._listing(place)
            found = Listed(project, Links.of(listing.files.of(project)), place.shown)
            singles |= {file.url: file for file in found.files()}
            paged += [
                Listed(project, Links.of(table.of(project)), place.shown, listing.verified)
                for table in listing.pages
            ]
        paged += [self._project_page(place, project) for place in self._indexes]
        first = sorted(singles.values(), key=lambda file: file.url, reverse=True)
        return Releases(first, filter(None, paged))

    def prefetch(self, names: Iterable[str]) -> None:
        """Begin to fetch the pages of these projects; returns at once, and never raises.

        What fails is raised when :meth:`files` asks for it, and only then.
        """
        wanted = [name for name in map(canonicalize_name, names) if name not in self._locked]
        for place in self._find_links if wanted else ():
            if not self._tables.known(place.url):
                self._workers.submit(partial(self._tables.ahead, *self._listing_job(place)))
        for name in wanted:
            for place in self._indexes:
                key, job = self._page_job(place, name)
                if not self._project_pages.known(key):
                    self._workers.submit(partial(self._project_pages.ahead, key, job))

    def direct(self, requested: Direct) -> IndexFile:
        """The wheel behind a direct URL or a local path; nothing is fetched.

        Raises :class:`~kedge.errors.WheelError` where the URL does not name a wheel.
        """
        if requested.url is None:
            raise ValueError("not a direct requirement")
        return direct_file(requested.url, hashes=requested.hashes)

    def searched(self) -> tuple[str, ...]:
        """The places that are asked, redacted, for messages."""
        return tuple(place.shown for place in (*self._find_links, *self._indexes))

    # -- metadata

    def metadata(self, file: IndexFile) -> CoreMetadata:
        """The core metadata of ``file``; see :meth:`MetadataReader.read` for what it may raise."""
        return self._metadata.get(file.url, partial(self._read_metadata, file))

    def metadata_file(self, file: IndexFile) -> bytes:
        """The whole ``METADATA`` of ``file``, for a report; raises as :meth:`metadata` does."""
        return self._reader.read(file)[1]

    def prefetch_metadata(self, file: IndexFile) -> None:
        """Begin to fetch the metadata of ``file``; returns at once, and never raises."""
        if file.is_wheel and not self._metadata.known(file.url):
            job = partial(self._read_metadata, file)
            self._workers.submit(partial(self._metadata.ahead, file.url, job))

    def downloaded(self, file: IndexFile) -> Downloaded | None:
        """The file, where learning its metadata took fetching it whole; else ``None``.

        It was checked against what its page states; what the *user* demands is still to be
        compared with :attr:`Downloaded.digests`.
        """
        with self._lock:
            return self._downloaded.get(file.url)

    # -- whether it is still the same

    def places(self) -> tuple[str, ...] | None:
        """The addresses that are asked, without credentials; ``None`` where anything else than
        remote indexes has a say, whose state cannot be told.
        """
        remote = all(place.kind is PlaceKind.REMOTE_INDEX for place in self._indexes)
        if self._find_links or self._locked or not remote:
            return None
        return tuple(strip_secrets(place.url) for place in self._indexes)

    def state(self, names: Iterable[NormalizedName], files: Iterable[IndexFile]) -> str | None:
        """A digest of the pages of these projects and the metadata of these files, as they are now.

        Equal for equal contents alone. Pages that may be used unasked are not read; the others
        are asked for, in parallel. ``None`` where one of them is not kept for later runs, or warns
        of something. Raises as :meth:`files`.
        """
        if not all(self._pages.verifies(place.url) for place in self._indexes):
            return None
        pages = [(place, name) for name in sorted(names) for place in self._indexes]
        known = {page: self._identity(*page) for page in pages}
        unknown = [page for page, identity in known.items() if identity is None]
        self.prefetch(dict.fromkeys(name for _, name in unknown))
        for page in unknown:
            self._project_page(*page)
            known[page] = self._identity(*page)
        identities = list(known.values())
        wheels = sorted(files, key=lambda file: file.url)
        texts = [self.text_digest(file) for file in wheels]
        if None in identities or None in texts:
            return None
        told = (identities, [file.url for file in wheels], texts)
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def text_digest(self, file: IndexFile) -> str | None:
        """The SHA-256 of the METADATA that counts for that wheel, in hexadecimal; ``None`` where
        only reading it would tell.
        """
        known = self._texts.get(file.url)
        if known is None:
            known = self._reader.kept_digest(file)
            if known is not None:
                self._texts[file.url] = known
        return known

    def _identity(self, place: Place, project: NormalizedName) -> str | None:
        """Of the page that was read, else of the one that would be, if nobody need be asked."""
        try:
            return self._identities[place.url, project]
        except KeyError:
            url = place.project_url(project)
            return self._pages.current(url, refresh=self._is_refreshed(project))

    def close(self) -> None:
        """Drop what is not under way yet, and remove the temporary folder if there is one."""
        self._workers.close()
        with self._lock:
            temporary, self._temporary = self._temporary, None
        if temporary is not None:
            import shutil

            shutil.rmtree(temporary, ignore_errors=True)

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- one place

    def _project_page(self, place: Place, project: NormalizedName) -> Listed | None:
        return self._project_pages.get(*self._page_job(place, project))

    def _page_job(
        self, place: Place, project: NormalizedName
    ) -> tuple[tuple[str, str], Callable[[], Listed | None]]:
        return (place.url, project), partial(self._read_project_page, place, project)

    def _read_project_page(self, place: Place, project: NormalizedName) -> Listed | None:
        url = place.project_url(project)
        if place.path is not None:
            fetched = self._pages.local(place.path / project / "index.html")
        else:
            fetched = self._pages.remote(url, refresh=self._is_refreshed(project))
            self._identities[place.url, project] = self._identity_of(fetched, url)
        if fetched is None:
            return None
        self._warn(fetched.page.warning)
        self._reporter.page_read(redact_url(url), len(fetched.page.links))
        return Listed(project, Links.of(fetched.page.links), place.shown, fetched.verified)

    def _identity_of(self, fetched: Fetched | None, url: str) -> str | None:
        if fetched is None:
            return _ABSENT if self._pages.verifies(url) else None
        return None if fetched.page.warning else fetched.identity

    def _is_refreshed(self, project: NormalizedName) -> bool:
        return project in self._refresh or _ALL in self._refresh

    def _listing(self, place: Place) -> _Listing:
        return self._tables.get(*self._listing_job(place))

    def _listing_job(self, place: Place) -> tuple[str, Callable[[], _Listing]]:
        return place.url, partial(self._read_listing, place)

    def _read_listing(self, place: Place) -> _Listing:
        """What a ``--find-links`` place holds, for whichever project."""
        match place.kind:
            case PlaceKind.FILE:
                return _Listing(files=LinkTable([link_from(place.url, place.url)]))
            case PlaceKind.FOLDER if place.path is not None:
                files, pages = _scan(place.path)
                tables = [self._table(place, self._pages.local(page)) for page in pages]
                return _Listing(files=LinkTable(files), pages=tuple(tables))
            case PlaceKind.LOCAL_PAGE if place.path is not None:
                fetched = self._pages.local(place.path)
            case _:
                fetched = self._pages.remote(place.url, refresh=_ALL in self._refresh)
        if fetched is None:
            self._warn(f"{place.shown} ({place.origin}) is passed over: there is no such page.")
        table = self._table(place, fetched)
        return _Listing(pages=(table,), verified=fetched is None or fetched.verified)

    def _table(self, place: Place, fetched: Fetched | None) -> LinkTable:
        if fetched is None:
            return LinkTable([])
        self._warn(fetched.page.warning)
        self._reporter.page_read(place.shown, len(fetched.page.links))
        return LinkTable(fetched.page.links)

    # -- one file

    def _read_metadata(self, file: IndexFile) -> CoreMetadata:
        metadata, text = self._reader.read(file)
        self._texts[file.url] = hashlib.sha256(text).hexdigest()
        self._reporter.metadata_read(file.filename)
        return metadata

    def _download_folder(self) -> Path:
        if self._downloads is not None:
            return self._downloads()
        with self._lock:
            if self._temporary is None:
                import tempfile

                self._temporary = Path(tempfile.mkdtemp(prefix="kedge-"))
            return self._temporary

    def _arrived(self, file: IndexFile, download: Downloaded) -> None:
        with self._lock:
            self._downloaded[file.url] = download

    def _warn(self, message: str) -> None:
        with self._lock:
            known = message in self._warned
            self._warned.add(message)
        if message and not known:
            self._reporter.warn(message)


class _Listing:
    """What lies in one ``--find-links`` place: files themselves, and pages of links."""

    def __init__(
        self,
        *,
        files: LinkTable | None = None,
        pages: tuple[LinkTable, ...] = (),
        verified: bool = True,
    ) -> None:
        self.files = files or LinkTable([])
        self.pages = pages
        self.verified = verified


def _scan(folder: Path) -> tuple[list[Link], list[Path]]:
    """The files of a folder as links, and the HTML pages in it (not those of folders below)."""
    files: list[Link] = []
    pages: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if is_html(entry.name):
                    pages.append(Path(entry.path))
                elif "." in entry.name:
                    files.append(Link(url=Path(entry.path).as_uri(), filename=entry.name))
    except OSError as exc:
        raise PageError(f"{folder} cannot be read ({exc.strerror}).", url=folder.as_uri()) from exc
    return files, pages
