"""What is done about a 401: other credentials for the origin that asks, found once for all threads.

In this order: what the same origin accepted before, the keyring, a person. What replaced what is
kept as long as the run lasts, so that of many parallel requests one asks, and the others go on
with the answer. Knows neither terminals nor sockets: a person is behind a :class:`Prompt`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from kedge.classes import field, frozen, mutable
from kedge.model import NetworkOrigin
from kedge.transport.auth import Credentials
from kedge.transport.keyring import Keyring
from kedge.transport.locations import Location

#: How often a person may try for one origin.
_TRIES = 3


class Prompt(Protocol):
    """A person who can be asked. May be called from any thread, by one at a time."""

    def ask(
        self, question: str, *, secret: bool = False, abandoned: Callable[[], bool]
    ) -> str | None:
        """One line, without its end; ``None`` where no answer comes, or the question is abandoned.

        ``secret`` answers are not shown while they are typed.
        """


@frozen
class Challenge:
    """A request that was answered with 401.

    ``sent`` are the credentials it carried. ``index`` is the URL of the index that it belongs to,
    ``realm`` what the server calls itself, and ``verified`` whether it proved who it is.
    """

    location: Location
    sent: Credentials | None
    index: str | None = None
    realm: str = ""
    verified: bool = True

    @property
    def services(self) -> tuple[str, ...]:
        """The names of keyring entries that can be meant, the most exact first (pip's)."""
        index = () if self.index is None else (self.index.rstrip("/") + "/",)
        return (*index, netloc(self.location.origin))


@mutable
class _Known:
    """What one origin said to credentials. ``None`` among them is a request without any."""

    refused: set[Credentials | None] = field(default_factory=set)
    instead: dict[Credentials | None, Credentials] = field(default_factory=dict)
    accepted: Credentials | None = None
    hopeless: bool = False
    looked_up: set[tuple[str, str | None]] = field(default_factory=set)
    to_store: Credentials | None = None

    def current(self, credentials: Credentials | None) -> Credentials | None:
        while credentials in self.instead:
            credentials = self.instead[credentials]
        return credentials

    def forget_refused(self) -> None:
        """Nothing more is known: what was tried in vain is not sent with every request to come."""
        self.instead = {
            first: other
            for first, other in self.instead.items()
            if other == self.accepted or other not in self.refused
        }


class Challenges:
    """Answers for every origin of a run. Thread-safe; outlives its sessions."""

    def __init__(self, *, keyring: Keyring | None = None, prompt: Prompt | None = None) -> None:
        self._keyring = keyring
        self._prompt = prompt
        self._lock = threading.Lock()
        self._origins: dict[NetworkOrigin, _Known] = {}
        self._closed = threading.Event()

    def close(self) -> None:
        """Ask nothing more; a question that waits for its answer is abandoned."""
        self._closed.set()

    def current(self, origin: NetworkOrigin, credentials: Credentials | None) -> Credentials | None:
        """The credentials to send in place of those that would be sent."""
        known = self._origins.get(origin)
        return credentials if known is None else known.current(credentials)

    def accepted(self, origin: NetworkOrigin, credentials: Credentials) -> None:
        """The server took them: they may serve for other URLs of the origin, and be kept."""
        known = self._origins.get(origin)
        if known is not None and known.accepted == credentials and known.to_store is None:
            return
        with self._lock:
            known = self._origins.setdefault(origin, _Known())
            known.accepted = credentials
            if known.to_store == credentials and self._keyring is not None:
                self._keyring.store(netloc(origin), credentials)
            known.to_store = None

    def answer(self, challenge: Challenge) -> Credentials | None:
        """Other credentials to try; ``None`` where there are none, and the refusal stands."""
        with self._lock:
            known = self._origins.setdefault(challenge.location.origin, _Known())
            current = known.current(challenge.sent)
            if current != challenge.sent:
                return current  # another thread asked meanwhile
            known.refused.add(challenge.sent)
            found = next(self._candidates(challenge, known), None)
            if found is None:
                known.forget_refused()
            else:
                known.instead[challenge.sent] = found
            return found

    def _candidates(self, challenge: Challenge, known: _Known) -> Iterator[Credentials]:
        """What was not refused yet, from one source after the other, each asked in its turn."""
        if known.accepted is not None and known.accepted not in known.refused:
            yield known.accepted
        sent = challenge.sent
        username = sent.username if sent is not None and not sent.complete else None
        for service in challenge.services:
            yield from self._looked_up(service, username, known)
        if self._prompt is None or known.hopeless:
            return
        for _ in range(_TRIES - len([one for one in known.refused if _typed(one)])):
            typed = self._typed_in(self._prompt, challenge, username, known)
            if typed is None:
                break
            if typed not in known.refused:
                yield typed
        known.hopeless = True

    def _looked_up(
        self, service: str, username: str | None, known: _Known
    ) -> Iterator[Credentials]:
        """What the keyring has, if it was not asked the same before."""
        if self._keyring is None or (service, username) in known.looked_up:
            return
        known.looked_up.add((service, username))
        found = self._keyring.credentials(service, username)
        if found is not None and found not in known.refused:
            yield found

    def _typed_in(
        self, prompt: Prompt, challenge: Challenge, username: str | None, known: _Known
    ) -> Credentials | None:
        """One try: a user name, a password, and whether to keep them (pip's questions)."""
        place = netloc(challenge.location.origin)
        head = _head(challenge)
        if username is None:
            username = self._asked(prompt, f"{head}\nUser for {place}: ")
            if not username:
                return None
            stored = next(self._looked_up(place, username, known), None)
            if stored is not None:
                return stored
            words = "Password: "
        else:
            words = f"{head}\nPassword for the user name in the URL: "
        password = self._asked(prompt, words, secret=True)
        if password is None:
            return None
        typed = Credentials(username, password, _TYPED)
        if self._keyring is not None and self._keyring.available:
            answer = self._asked(prompt, "Save credentials to keyring [y/N]: ")
            if (answer or "").strip().lower() in ("y", "yes"):
                known.to_store = typed
        return typed

    def _asked(self, prompt: Prompt, question: str, *, secret: bool = False) -> str | None:
        if self._closed.is_set():
            return None
        return prompt.ask(question, secret=secret, abandoned=self._closed.is_set)


_TYPED = "what was typed"


def _typed(credentials: Credentials | None) -> bool:
    return credentials is not None and credentials.source == _TYPED


def _head(challenge: Challenge) -> str:
    """Who asks, and why: a password must not be typed for a stranger."""
    origin = challenge.location.origin
    realm = f" ({challenge.realm})" if challenge.realm else ""
    doubt = "" if challenge.verified else ", over a connection that is NOT verified"
    if challenge.index is None:
        realm += ", which is none of the configured indexes,"
    if challenge.sent is not None:
        return f"{origin}{realm} does not accept the credentials of {challenge.sent.shown}{doubt}."
    return f"{origin}{realm} asks for a user name and a password{doubt}."


def netloc(origin: NetworkOrigin) -> str:
    """``host``, or ``host:port`` where the port is not the scheme's: what pip's entries are called.

    >>> netloc(NetworkOrigin("https", "index.example", 443))
    'index.example'
    """
    return str(origin).partition("://")[2]


def realm_of(header: str) -> str:
    """What the server calls itself in ``WWW-Authenticate``, fit to be shown on a terminal.

    >>> realm_of('Negotiate, Basic realm="Private packages", charset="UTF-8"')
    'Private packages'
    """
    found = re.search(r'\brealm\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))', header, re.IGNORECASE)
    text = (found[1] or found[2] or "") if found else ""
    return "".join(letter for letter in text if letter.isprintable())[:80]
