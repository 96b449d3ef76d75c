"""Fetching a page: ask for the right formats, use what is cached, tell "absent" from "failed".

Acts; what an answer means is decided in :mod:`kedge.index.pages`. A failure of the network, of
TLS or of the server always raises: only a plain "not here" (404, 410) is an absent page, because
everything else would let an index vanish without a word (pypa/pip#12655, #4271).
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from kedge.cache.pages import CachedPage, PageHead
from kedge.classes import frozen, replace
from kedge.errors import HttpStatusError, PageError
from kedge.index import kept
from kedge.index.entries import Links
from kedge.index.pages import ACCEPT, Page, read_html, read_page
from kedge.model import Hashes, redact_url, strip_secrets, whole_number

_ABSENT = {404, 410}


class Answer(Protocol):
    """What a fetch gives: :class:`kedge.transport.Response`."""

    @property
    def url(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def verified(self) -> bool: ...


class Downloaded(Protocol):
    """What a download gives: :class:`kedge.transport.Download`."""

    @property
    def path(self) -> Path: ...
    @property
    def sha256(self) -> str: ...
    @property
    def digests(self) -> Mapping[str, str]: ...
    @property
    def verified(self) -> bool: ...


class Ranged(Protocol):
    """A file read piece by piece: :class:`kedge.transport.RangedFile`.

    ``verified`` is whether everything read so far came over verified connections.
    """

    @property
    def verified(self) -> bool: ...
    def read(self, count: int = -1, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def close(self) -> None: ...


class Fetcher(Protocol):
    """What the index layer needs of the network: :class:`kedge.transport.Session`."""

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Answer: ...

    def download(
        self,
        url: str,
        destination: Path,
        *,
        hashes: Hashes,
        size: int | None = None,
        name: str | None = None,
    ) -> Downloaded: ...

    def open_ranged(self, url: str, *, size: int | None = None) -> Ranged: ...

    def verified(self, url: str) -> bool: ...


class PageCache(Protocol):
    """Pages kept between runs: :class:`kedge.cache.PageStore`."""

    def get(self, url: str) -> CachedPage | None: ...
    def head(self, url: str) -> PageHead | None: ...
    def put(self, url: str, page: CachedPage) -> bool: ...


@frozen
class Fetched:
    """A page, and whether what it states may be relied on (cached, or used to cache others).

    ``identity`` is equal for equal pages alone; ``None`` where the page is not kept for later.
    """

    page: Page
    verified: bool
    identity: str | None = None


class PageFetcher:
    """Fetches and reads pages. Safe for several threads; keeps nothing but the cache it is given.

    ``revalidate`` asks the server every time, with the validators of the cached page, as pip did
    up to 26.2; without it, a page is used unasked for as long as the server said it holds.
    """

    def __init__(
        self,
        fetcher: Fetcher | None,
        cache: PageCache | None,
        *,
        revalidate: bool,
        clock: Callable[[], float],
    ) -> None:
        self._fetcher = fetcher
        self._cache = cache
        self._revalidate = revalidate
        self._clock = clock
        #: One page at a time: threads that compete for the interpreter cost a third more.
        self._reading = threading.Lock()

    def remote(self, url: str, *, refresh: bool = False) -> Fetched | None:
        """The page at an ``http:`` or ``https:`` URL; ``None`` where there is none (404, 410).

        ``refresh`` asks the server about this one, whatever it said before.

        Raises what the transport raises, and :class:`~kedge.errors.PageError`.
        """
        if self._fetcher is None:
            raise PageError(f"{redact_url(url)} cannot be fetched without a network.", url=url)
        # A cached page is of no use where the server is not checked: whoever answers there could
        # keep an old page alive for ever, and nothing new may be stored.
        cache = self._cache if self._fetcher.verified(url) else None
        key = strip_secrets(url)
        known = _known(cache, key)
        stored = known.stored if known else None
        revalidate = self._revalidate or refresh
        if known and not revalidate and self._clock() < known.stored.fresh_until:
            return Fetched(known.page, verified=True, identity=known.stored.digest)
        try:
            answer = self._fetcher.get(url, headers=_headers(stored, revalidate=revalidate))
        except HttpStatusError as exc:
            if exc.status in _ABSENT:
                return None
            raise
        if answer.status == 304:
            return self._confirmed(url, key, known, answer, cache)
        with self._reading:
            page = read_page(answer.url, answer.headers, answer.body)
            page = replace(page, links=Links.of(page.links))
            identity = None
            if cache and answer.verified:
                identity = self._store(cache, key, answer, page)
        return Fetched(page, answer.verified, identity)

    def current(self, url: str, *, refresh: bool = False) -> str | None:
        """The identity of the page that :meth:`remote` would give without asking anybody, the
        server at ``url`` being one that it :meth:`verifies`.

        ``None`` where it would ask, or the page is not known by one.
        """
        if self._cache is None or self._revalidate or refresh:
            return None
        head = self._cache.head(strip_secrets(url))
        if head is None or head.content_type != kept.FORM or self._clock() >= head.fresh_until:
            return None
        return head.digest

    def verifies(self, url: str) -> bool:
        """Whether the server that ``url`` names has its certificate checked."""
        return self._fetcher is not None and self._fetcher.verified(url)

    def local(self, path: Path) -> Fetched | None:
        """The HTML page in a file; ``None`` where there is no such file."""
        try:
            text = path.read_bytes().decode("utf-8-sig", errors="replace")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as exc:
            raise PageError(f"{path} cannot be read ({exc.strerror}).", url=path.as_uri()) from exc
        return Fetched(read_html(path.as_uri(), text), verified=True)

    def _confirmed(
        self,
        url: str,
        key: str,
        known: _Known | None,
        answer: Answer,
        cache: PageCache | None,
    ) -> Fetched:
        if known is None or cache is None:
            raise PageError(
                f"{redact_url(url)} answered 'not modified' to a question that was not asked.",
                url=url,
            )
        fresh_until = self._fresh_until(answer.headers)
        if answer.verified and fresh_until != known.stored.fresh_until:
            cache.put(key, replace(known.stored, fresh_until=fresh_until))
        identity = known.stored.digest if answer.verified else None
        return Fetched(known.page, verified=answer.verified, identity=identity)

    def _store(self, cache: PageCache, key: str, answer: Answer, page: Page) -> str | None:
        """Keep the page for later runs, if it may be kept; its identity there."""
        if "no-store" in answer.headers.get("Cache-Control", "").lower():
            return None
        etag = answer.headers.get("ETag")
        last_modified = answer.headers.get("Last-Modified")
        fresh_until = self._fresh_until(answer.headers)
        if not (etag or last_modified or fresh_until):
            return None
        body = kept.dump(page)
        stored = CachedPage(
            url=answer.url,
            content_type=kept.FORM,
            body=body,
            etag=etag,
            last_modified=last_modified,
            fresh_until=fresh_until,
            digest=hashlib.sha256(body).hexdigest(),
        )
        return stored.digest if cache.put(key, stored) else None

    def _fresh_until(self, headers: Mapping[str, str]) -> float:
        """When the page must be asked for again (RFC 9111, 4.2), or 0 for "each time"."""
        control = headers.get("Cache-Control", "").lower()
        age = re.search(r"\bmax-age\s*=\s*\"?(\d{1,9})", control)
        if age is None or re.search(r"\bno-cache\b|\bno-store\b", control):
            return 0.0
        left = int(age.group(1)) - (whole_number(headers.get("Age", "0").strip()) or 0)
        return self._clock() + left if left > 0 else 0.0


@frozen
class _Known:
    """What the cache has of a page: its validators, and the page."""

    stored: CachedPage
    page: Page


def _known(cache: PageCache | None, key: str) -> _Known | None:
    """What was kept, if it was kept in the form of today and by such a Python."""
    stored = cache.get(key) if cache else None
    if stored is None or stored.content_type != kept.FORM:
        return None
    try:
        return _Known(stored, kept.load(stored.body))
    except ValueError:
        return None


def _headers(stored: CachedPage | None, *, revalidate: bool) -> dict[str, str]:
    headers = {"Accept": ACCEPT}
    if revalidate:
        # For caches on the way: a file uploaded a minute ago must be seen (pypa/pip#5670).
        headers["Cache-Control"] = "max-age=0"
    if stored and stored.etag:
        headers["If-None-Match"] = stored.etag
    elif stored and stored.last_modified:
        headers["If-Modified-Since"] = stored.last_modified
    return headers
