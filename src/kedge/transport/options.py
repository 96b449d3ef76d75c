"""The values that go into a session and come out of it, and the reporter it tells.

Nothing here imports urllib3 or requests: this module is read at start-up.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Protocol

from kedge.classes import field, frozen
from kedge.model import Sourced


@frozen(kw_only=True)
class TransportOptions:
    """Everything but trust that decides how connections are made.

    ``environ``
        The process environment as it was snapshot: proxies (``HTTP_PROXY`` and friends), ``NETRC``
        and ``HOME`` are read from it, and from nowhere else.
    ``proxy``
        ``--proxy``: used for every address, also for those in ``NO_PROXY`` (as pip does).
        An empty value switches every proxy off.
    ``timeout``
        Seconds for each connect, and for each wait for the next bytes.
    ``retries``
        How often a request that is worth repeating is repeated, after the first try.
    ``trusted_hosts``
        ``HOST[:PORT]`` values whose certificate is not checked and which may be plain HTTP.
    ``index_urls``
        Indexes and ``--find-links`` pages: credentials in one of them belong to its origin, and
        a client certificate is presented to these origins alone.
    ``parallel``
        How many connections to one host are kept for reuse.
    ``user_agent``
        Empty for kedge's own.
    """

    environ: Mapping[str, str] = field(default_factory=dict)
    proxy: Sourced[str] | None = None
    timeout: float = 15.0
    retries: int = 5
    trusted_hosts: tuple[Sourced[str], ...] = ()
    index_urls: tuple[str, ...] = ()
    parallel: int = 16
    user_agent: str = ""


class TransportReporter:
    """What a session tells while it works; every hook does nothing here.

    Hooks are called from whichever thread does the work.
    """

    def download_started(self, name: str, size: int | None) -> None:
        """The body of ``name`` begins to arrive; ``size`` in bytes where it is known."""

    def download_advanced(self, name: str, done: int) -> None:
        """``done`` bytes in all have arrived (fewer than before after a restart).

        A :class:`~kedge.errors.KedgeError` raised here ends the download.
        """

    def download_finished(self, name: str) -> None:
        """The file is complete and checked, or the download was given up."""

    def retrying(self, url: str, reason: str, delay: float) -> None:
        """The request will be repeated in ``delay`` seconds. ``url`` is redacted."""

    def warn(self, message: str) -> None:
        """Something the user must hear of; one sentence or two."""


class Receiver(Protocol):
    """Takes the bytes of a download in their order, and writes the file.

    Any of these may raise ``OSError``: the disk refuses what came before.
    """

    def begin(self, file: BinaryIO, /) -> None:
        """The file, empty and unbuffered; it is closed by whoever opened it."""

    def write(self, data: bytes, /) -> None:
        """The next bytes."""

    def restart(self) -> None:
        """What came so far was in vain: the next bytes are the first of the file."""

    def finish(self) -> None:
        """All bytes came, and are what was expected; the file is complete afterwards."""

    def close(self) -> None:
        """No more bytes come, whatever became of them."""


@frozen
class Response:
    """A whole answer with a status of 2xx or 304.

    ``url`` is where the body came from, after redirects, without credentials: the base of the
    links in it. The keys of ``headers`` compare without case. ``verified`` is true only if the
    certificate of every server on the way, redirects included, was checked.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    verified: bool


@frozen
class Download:
    """A file that arrived whole: its size in bytes, and its digests as lower-case hex."""

    path: Path
    size: int
    sha256: str
    digests: Mapping[str, str]
    verified: bool
