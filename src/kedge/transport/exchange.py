"""One request and its answer: credentials, redirects, statuses and repeats, on decided routes.

Each request goes through the pinned ``requests.Session``; redirects and repeats are decided here,
because they must leave credentials behind, refuse a downgrade, and never repeat a refused
certificate. The session, downloads and ranged reads are built on this. It knows nothing of files
or of what a body means.
"""

from __future__ import annotations

import http
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TypeVar

import requests
from urllib3 import BaseHTTPResponse

from kedge.classes import field, frozen, mutable
from kedge.errors import InsecureRedirectError, RedirectError, TransportError
from kedge.model import TrustDecision, redact_url
from kedge.transport.auth import (
    Credentials,
    CredentialSource,
    IndexCredentials,
    choose,
    credentials_of,
)
from kedge.transport.challenges import Challenge, Challenges, realm_of
from kedge.transport.denials import Denial, denied
from kedge.transport.dial import Dialler, Route
from kedge.transport.failures import RAISED, Call, Phase, status_error, translated
from kedge.transport.locations import Location, locate, redirect_target
from kedge.transport.options import TransportReporter
from kedge.transport.prepared import LocatedRequest
from kedge.transport.retry import RetryPolicy, parse_retry_after

MAX_REDIRECTS = 20
#: A body that nobody reads is read up to here, so that its connection can be used again.
_DRAIN = 64 * 1024
#: A transfer that got this much further deserves its repeats anew.
_PROGRESS = 1024 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PERSONAL = frozenset({"authorization", "cookie"})

T = TypeVar("T")


@frozen
class Answer:
    """The head of a 2xx or 304 answer, and its body, yet unread. Close it, or read it all."""

    raw: BaseHTTPResponse
    call: Call
    url: str
    verified: bool

    @property
    def status(self) -> int:
        return self.raw.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self.raw.headers

    def reading(self) -> AbstractContextManager[None]:
        """Read ``raw`` inside this: what goes wrong leaves as a kedge error."""
        return translated(self.call, Phase.BODY)

    def chunks(self, size: int) -> Iterator[bytes]:
        """The body as it was sent, in pieces of at most ``size`` bytes; raises kedge errors."""
        while chunk := self.chunk(size):
            yield chunk

    def chunk(self, size: int) -> bytes:
        """The next piece; empty at the end."""
        with self.reading():
            return self.raw.read(size, decode_content=False)

    def __enter__(self) -> Answer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.raw.close()  # of a body read to its end the connection is back in the pool already


@mutable
class Exchanger:
    """Sends requests. Thread-safe."""

    decision: TrustDecision
    session: requests.Session
    dialler: Dialler
    credentials: Sequence[CredentialSource]
    challenges: Challenges
    indexes: IndexCredentials
    policy: RetryPolicy
    timeout: float
    user_agent: str
    reporter: TransportReporter
    closed: threading.Event = field(default_factory=threading.Event)

    def open(self, url: str, headers: Mapping[str, str]) -> Answer:
        """Ask once, and follow redirects.

        Credentials and other personal headers go to the origin they belong to: a redirect
        elsewhere leaves them behind, and takes up what belongs there.
        """
        first = location = locate(url)
        own = credentials_of(first)
        sent = with_defaults(headers, {"User-Agent": self.user_agent, "Accept": "*/*"})
        verified = True
        for _ in range(MAX_REDIRECTS + 1):
            route = self._route(location)
            verified = verified and route.verified
            call = Call(location.url, location.origin, route.proxy, self.decision)
            at_home = location.origin == first.origin
            here = sent if at_home else _impersonal(sent)
            named = credentials_of(location) or (own if at_home else None)
            raw, used = self._authorized(location, call, here, named)
            if raw.status in _REDIRECTS and raw.headers.get("Location"):
                location = self._redirected(location, raw)
                continue
            if not 200 <= raw.status < 300 and raw.status != 304:
                client = self.dialler.presents_certificate(location.origin)
                left = None if at_home or own is None else first.origin
                self._refuse(raw, call, Denial(used, client, left))
            return Answer(raw, call, location.url, verified)
        raise RedirectError(
            f"{redact_url(url)} was redirected more than {MAX_REDIRECTS} times.", url=url
        )

    def reach(self, url: str) -> None:
        """Ask once, as a stranger; any answer will do."""
        location = locate(url)
        call = Call(location.url, location.origin, self._route(location).proxy, self.decision)
        drain(self._send(location, call, {"User-Agent": self.user_agent, "Accept": "*/*"}))

    def persist(
        self, attempt: Callable[[], T], url: str, *, progress: Callable[[], int] = lambda: 0
    ) -> T:
        """Repeat ``attempt`` while its failures are worth it.

        ``progress`` is the furthest point reached, in bytes: a transfer that advances goes on.
        """
        failures, reached = 0, progress()
        while True:
            try:
                return attempt()
            except TransportError as exc:
                error = exc
            if progress() - reached >= _PROGRESS:
                failures, reached = 0, progress()
            delay = self.policy.delay(error, failures, random.random())  # noqa: S311
            if delay is None or self.closed.is_set():
                raise error
            failures += 1
            self.reporter.retrying(redact_url(url), error.message, delay)
            if self.closed.wait(delay):
                raise error

    def close(self) -> None:
        self.closed.set()
        self.session.close()

    def _route(self, location: Location) -> Route:
        if self.closed.is_set():
            raise TransportError("The session is closed.", url=location.url)
        return self.dialler.route(location)

    def _authorized(
        self,
        location: Location,
        call: Call,
        headers: Mapping[str, str],
        named: Credentials | None,
    ) -> tuple[BaseHTTPResponse, Credentials | None]:
        """One answer, and the credentials that were sent for it: others once a 401 asks for them.

        ``named`` are those of the URL itself. An ``Authorization`` of the caller's stays as it is.
        """
        if any(name.lower() == "authorization" for name in headers):
            return self._send(location, call, headers), None
        sources = (source.credentials(location) for source in self.credentials)
        known = choose([named, *sources])
        used = self.challenges.current(location.origin, known)
        while True:
            authorization = {} if used is None else {"Authorization": used.basic}
            raw = self._send(location, call, {**headers, **authorization})
            if raw.status != http.HTTPStatus.UNAUTHORIZED:
                if used is not None and raw.status < http.HTTPStatus.BAD_REQUEST:
                    self.challenges.accepted(location.origin, used)
                return raw, used
            drain(raw)
            other = self.challenges.answer(
                Challenge(
                    location,
                    used,
                    index=self.indexes.index_of(location),
                    realm=realm_of(raw.headers.get("WWW-Authenticate", "")),
                    verified=self.dialler.verifies(location.origin),
                )
            )
            if other is None:
                return raw, used
            used = other

    def _send(self, location: Location, call: Call, headers: Mapping[str, str]) -> BaseHTTPResponse:
        with translated(call, Phase.HEAD):
            request = LocatedRequest(location, headers)
            adapter = self.session.get_adapter(location.url)
            answer = adapter.send(request, stream=True, timeout=self.timeout)
        raw: BaseHTTPResponse = answer.raw
        return raw

    def _redirected(self, location: Location, raw: BaseHTTPResponse) -> Location:
        """Where a redirect leads, if it may be followed."""
        header = raw.headers["Location"]
        drain(raw)
        try:
            found = locate(redirect_target(location, header))
        except TransportError as exc:
            raise RedirectError(
                f"{redact_url(location.url)} redirects to {redact_url(header)!r}, which is not "
                "followed.",
                url=location.url,
            ) from exc
        refuse_downgrade(location, found)
        return found

    def _refuse(self, raw: BaseHTTPResponse, call: Call, denial: Denial) -> None:
        retry_after = parse_retry_after(raw.headers.get("Retry-After"), now=time.time())
        drain(raw)
        hint = denied(call, raw.status, raw.headers, denial)
        raise status_error(call, raw.status, raw.reason or "", retry_after=retry_after, hint=hint)


def _impersonal(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that may go to any origin."""
    return {name: text for name, text in headers.items() if name.lower() not in _PERSONAL}


def with_defaults(headers: Mapping[str, str], defaults: Mapping[str, str]) -> dict[str, str]:
    """The headers, and those defaults that they do not set in any spelling."""
    given = {name.lower() for name in headers}
    missing = {name: text for name, text in defaults.items() if name.lower() not in given}
    return {**missing, **headers}


def refuse_downgrade(source: Location, target: Location) -> None:
    """No redirect from https to http, wherever it leads: the chain is as strong as each link."""
    if source.origin.scheme == "https" and target.origin.scheme == "http":
        raise InsecureRedirectError(
            f"{redact_url(source.url)} redirects from https to {redact_url(target.url)}, which is "
            "refused.",
            url=source.url,
            target=target.url,
            hint="The server's operator has to name an https:// address there.",
        )


def drain(raw: BaseHTTPResponse) -> None:
    """Be done with a body nobody needs, and keep the connection if that is cheap."""
    try:
        if len(raw.read(_DRAIN, decode_content=False)) < _DRAIN:
            return
    except RAISED:
        pass
    raw.close()
