"""Credentials, and the origin they belong to.

A source answers for one URL at a time; what it gives is sent to that URL's origin and nowhere
else. Two are here: the user and password inside an index's URL, and netrc. What is asked for only
once a server has refused (the keyring, a person) is in :mod:`kedge.transport.challenges`. Knows
nothing of sessions; netrc is the only file it reads.
"""

from __future__ import annotations

import base64
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

from kedge.classes import field, frozen
from kedge.transport.locations import Location, locate

if TYPE_CHECKING:
    from netrc import netrc


@frozen
class Credentials:
    """A user name and a password, decoded. Neither appears in ``repr``.

    ``source`` says where they came from, for messages. ``complete`` is false for the user name
    alone of a URL without a colon: a token, or a name whose password another source knows.
    """

    username: str = field(repr=False)
    password: str = field(repr=False)
    source: str = field(default="", repr=False, compare=False)
    complete: bool = field(default=True, repr=False, compare=False)

    @property
    def basic(self) -> str:
        """The value of an ``Authorization`` header (RFC 7617, in UTF-8)."""
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")

    @property
    def shown(self) -> str:
        """Whose they are, for messages: no password, nor a user name that may be a token."""
        who = f"user {self.username!r}" if self.username and self.password else "a user"
        return f"{who}, from {self.source}" if self.source else who


class CredentialSource(Protocol):
    """Where credentials can come from."""

    def credentials(self, location: Location) -> Credentials | None:
        """What belongs to this location's origin, if this source knows any."""


def credentials_of(location: Location, source: str = "the URL itself") -> Credentials | None:
    """The percent-decoded userinfo of the URL itself."""
    if not location.userinfo:
        return None
    user, colon, password = location.userinfo.partition(":")
    return Credentials(unquote(user), unquote(password), source, complete=bool(colon))


def choose(candidates: Iterable[Credentials | None]) -> Credentials | None:
    """The first of the credentials, strongest first; a user name alone waits for its password.

    >>> lone = Credentials("ana", "", complete=False)
    >>> choose([lone, Credentials("bob", "1"), Credentials("ana", "2")]) == Credentials("ana", "2")
    True
    >>> choose([lone, None]) == lone
    True
    """
    lone: Credentials | None = None
    for found in candidates:
        if found is None or (lone is not None and found.username != lone.username):
            continue
        if found.complete:
            return found
        lone = found
    return lone


class IndexCredentials:
    """The userinfo of the index URLs, for every URL of the same origin.

    Files often live on the index's host under links without credentials. Where several indexes
    of one host have credentials of their own (GitLab: one per project), the one whose path
    shares the most with the URL is meant, as in pip.
    """

    def __init__(self, index_urls: Iterable[str]) -> None:
        # The rest are folders and file: URLs, which --find-links takes too.
        remote = ("http://", "https://")
        located = [locate(url) for url in index_urls if url.lower().startswith(remote)]
        self.origins = frozenset(location.origin for location in located)
        self._indexes = located
        self._known = [location for location in located if location.userinfo]

    def credentials(self, location: Location) -> Credentials | None:
        index = _nearest(self._known, location)
        return None if index is None else credentials_of(index, "the URL of the index")

    def index_of(self, location: Location) -> str | None:
        """The index that a location belongs to: its URL without credentials."""
        index = _nearest(self._indexes, location)
        return None if index is None else index.url


def _nearest(indexes: Iterable[Location], location: Location) -> Location | None:
    """The index of the same origin whose path has most in common with the location's."""
    same = [index for index in indexes if index.origin == location.origin]
    return max(same, key=lambda index: _shared(index.path, location.path), default=None)


def _shared(one: str, other: str) -> int:
    """How many leading path segments two paths have in common."""
    count = 0
    for left, right in zip(one.strip("/").split("/"), other.strip("/").split("/"), strict=False):
        if left != right:
            break
        count += 1
    return count


class Netrc:
    """The user's netrc: ``NETRC``, else ``~/.netrc``, else ``~/_netrc``; read once, when asked.

    A ``machine`` entry holds for that host. The ``default`` entry is used for the configured
    indexes alone: requests and curl send it to any host at all, and which hosts a run contacts
    is for the pages of an index to say.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        index_origins: Iterable[object],
        warn: Callable[[str], None],
    ) -> None:
        self._path = find_netrc(environ)
        self._index_origins = frozenset(index_origins)
        self._warn = warn
        self._lock = threading.Lock()
        self._read = False
        self._content: netrc | None = None

    def credentials(self, location: Location) -> Credentials | None:
        content = self._load()
        if content is None:
            return None
        host = location.origin.host
        entry = content.hosts.get(host) or content.hosts.get(location.host)
        if entry is None and location.origin in self._index_origins:
            entry = content.hosts.get("default")
        if entry is None:
            return None
        login, account, password = entry
        if not (login or account or password):
            return None
        return Credentials(login or account or "", password or "", str(self._path))

    def _load(self) -> netrc | None:
        with self._lock:
            if not self._read:
                self._read = True
                self._content = self._parse()
            return self._content

    def _parse(self) -> netrc | None:
        if self._path is None:
            return None
        from netrc import NetrcParseError, netrc

        try:
            return netrc(str(self._path))
        except FileNotFoundError:
            return None
        except (NetrcParseError, UnicodeError) as exc:
            where = f", line {exc.lineno}" if isinstance(exc, NetrcParseError) else ""
            self._warn(f"{self._path}{where} cannot be read as a netrc file; it is passed over.")
        except OSError as exc:
            self._warn(f"{self._path} cannot be read ({exc.strerror}); it is passed over.")
        return None


def find_netrc(environ: Mapping[str, str]) -> Path | None:
    """The netrc file in force, by the rules of requests; it need not be readable."""
    home = environ.get("USERPROFILE" if sys.platform == "win32" else "HOME")
    named = environ.get("NETRC")
    if named:
        if named.startswith("~/") and home:
            return Path(home, named[2:])
        return Path(named)
    if not home:
        return None
    candidates = [Path(home, name) for name in (".netrc", "_netrc")]
    # os.path: where the home folder may not be looked into, Path.exists raises.
    return next((path for path in candidates if os.path.exists(path)), None)  # noqa: PTH110
