"""Index pages, with what HTTP needs to ask whether they still hold (RFC 9111).

What may be stored, and for how long, is decided by whoever fetched the page; in particular
nothing that came over an unverified connection is ever given to :meth:`PageStore.put`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urldefrag

from kedge.cache import framed
from kedge.cache.atomic import Scratch
from kedge.classes import frozen
from kedge.model import strip_secrets


@frozen(kw_only=True)
class CachedPage:
    """One page.

    ``url`` is the address it was finally served from, without credentials: relative links
    count from there. ``fresh_until`` is in seconds since the epoch; from then on the page may
    be used only once the server confirms it, with ``etag`` or ``last_modified``. ``digest`` is the
    body's SHA-256 in hex, where whoever stored it told.
    """

    url: str
    content_type: str
    body: bytes
    etag: str | None = None
    last_modified: str | None = None
    fresh_until: float = 0.0
    digest: str | None = None


@frozen(kw_only=True)
class PageHead:
    """What is known of a stored page without reading it; see :class:`CachedPage`."""

    content_type: str
    fresh_until: float
    digest: str | None


class PageStore:
    """Pages by the address that was asked for. Safe for several threads and processes."""

    def __init__(
        self, folder: Path, scratch: Scratch, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.folder = folder
        self._scratch = scratch
        self._clock = clock

    def get(self, url: str) -> CachedPage | None:
        """The page stored for that address, fresh or not; ``None`` if there is none."""
        found = framed.read(self._path(url))
        if found is None:
            return None
        head, body = found
        try:
            return CachedPage(
                url=head["url"],
                content_type=head["content_type"],
                body=body,
                etag=head["etag"],
                last_modified=head["last_modified"],
                fresh_until=float(head["fresh_until"]),
                digest=head.get("digest"),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def head(self, url: str) -> PageHead | None:
        """The same without its body, which costs a tenth of the time."""
        head = framed.head(self._path(url))
        if head is None:
            return None
        try:
            return PageHead(
                content_type=head["content_type"],
                fresh_until=float(head["fresh_until"]),
                digest=head.get("digest"),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def is_fresh(self, page: CachedPage) -> bool:
        """Whether the page may be used without asking the server."""
        return self._clock() < page.fresh_until

    def put(self, url: str, page: CachedPage) -> bool:
        """Store the page for that address; ``False`` if the file system would not have it."""
        head = {
            "url": without_credentials(page.url),
            "content_type": page.content_type,
            "etag": page.etag,
            "last_modified": page.last_modified,
            "fresh_until": page.fresh_until,
            "digest": page.digest,
        }
        return framed.write(self._scratch, self._path(url), head, page.body)

    def forget(self, url: str) -> None:
        """Remove the page of that address, if there is one."""
        self._scratch.discard(Path(self._path(url)))

    def _path(self, url: str) -> str:
        key = hashlib.sha256(without_credentials(url).encode()).hexdigest()
        return f"{self.folder}/{key[:2]}/{key[2:]}"


def without_credentials(url: str) -> str:
    """The URL without user name, password and fragment.

    >>> without_credentials("https://user:secret@example.org/simple/#x")
    'https://example.org/simple/'
    """
    return strip_secrets(urldefrag(url).url)
