"""The ``requests.Session`` that is pinned to a decision: kedge's own, and that of other tools.

Connections come from :mod:`kedge.transport.dial`. requests adds certifi to any
context it is given (``HTTPAdapter.cert_verify`` sets ``conn.ca_certs``, which urllib3 loads on
every new connection), and ``REQUESTS_CA_BUNDLE`` overrides ``session.verify``
(psf/requests#3829): here both end at an adapter that has no use for either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import select_proxy
from urllib3 import BaseHTTPResponse
from urllib3.util import Retry

from kedge.model import Origin, OriginKind, Sourced, TrustDecision
from kedge.transport.auth import CredentialSource, choose, credentials_of
from kedge.transport.dial import Dialler, Route
from kedge.transport.exchange import MAX_REDIRECTS, refuse_downgrade
from kedge.transport.failures import is_refused_certificate
from kedge.transport.locations import Location, locate, redirect_target
from kedge.transport.options import TransportOptions
from kedge.transport.prepared import LocatedRequest, RawResponse
from kedge.transport.proxies import parse_proxy
from kedge.transport.retry import PASSING

if TYPE_CHECKING:
    from typing_extensions import Self

_EXPLICIT = Origin(OriginKind.DEFAULT, "proxies=")


class PinnedRetry(Retry):
    """urllib3's repeats, without those after a refused certificate."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        spent = self.new(total=0) if error is not None and is_refused_certificate(error) else self
        return Retry.increment(spent, method, url, response, error, _pool, _stacktrace)


class PinnedAdapter(HTTPAdapter):
    """Sends what requests prepared on the routes of a dialler.

    ``retries`` None leaves repeating to the caller. ``verify`` is without effect, in either
    direction; a ``cert`` is refused, because urllib3 would load it into the shared context.
    """

    def __init__(self, dialler: Dialler, *, timeout: float, retries: int | None) -> None:
        self._dialler = dialler
        self._timeout = timeout
        policy = PinnedRetry(
            total=False if retries is None else retries,
            backoff_factor=0.25,
            backoff_max=8.0,
            status_forcelist=PASSING,
            redirect=False,
            raise_on_status=False,
        )
        super().__init__(max_retries=policy)

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        if cert:
            raise ValueError("the client certificate of this session is decided by kedge")
        return self._route(request, proxies).pool

    def get_connection(self, url: str | bytes, proxies: Any = None) -> Any:
        request = requests.Request("GET", url).prepare()
        return self._route(request, proxies).pool

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        raise NotImplementedError("kedge's dialler chooses connections")

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Nothing: the pool has its context, and what is set here would be loaded into it."""

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        return self._route(request, proxies).request_target(_location(request))

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        if isinstance(req, LocatedRequest):
            return RawResponse(req, resp)
        return super().build_response(req, resp)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        # PreparedRequest keeps no timeout; requests' default is to wait for ever.
        if len(args) < 2 and kwargs.get("timeout") is None:
            kwargs["timeout"] = self._timeout
        return super().send(request, *args, **kwargs)

    def close(self) -> None:
        super().close()
        self._dialler.close()

    def _route(self, request: requests.PreparedRequest, proxies: Any) -> Route:
        location = _location(request)
        explicit = select_proxy(location.url, proxies) if proxies else None
        proxy = parse_proxy(Sourced(explicit, _EXPLICIT)) if explicit else None
        return self._dialler.route(location, proxy=proxy)


def _location(request: requests.PreparedRequest) -> Location:
    return request.location if isinstance(request, LocatedRequest) else locate(request.url or "")


class OriginAuth(AuthBase):
    """Credentials for the origin of each request, as kedge's own session finds them."""

    def __init__(self, sources: Sequence[CredentialSource]) -> None:
        self._sources = tuple(sources)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        value = self.header(locate(request.url or ""))
        if value is not None:
            request.headers.setdefault("Authorization", value)
        return request

    def header(self, location: Location) -> str | None:
        """The ``Authorization`` that belongs to a location."""
        sources = (source.credentials(location) for source in self._sources)
        found = choose([credentials_of(location), *sources])
        return None if found is None else found.basic


class PinnedSession(requests.Session):
    """A ``requests.Session`` that trusts exactly what was decided.

    Proxies, credentials and redirects follow kedge's rules: a redirect from https to http raises
    :class:`~kedge.errors.RedirectError`, plain HTTP to another machine
    :class:`~kedge.errors.InsecureLocationError`, and ``Authorization`` stays with its origin.
    Cookies are not kept. Everything else, its exceptions included, is as requests has it.
    """

    kedge_decision: TrustDecision
    #: Off where the caller decides about redirects: requests would otherwise read the body of each
    #: to prepare the next request, also when it is told not to follow.
    follows_redirects = True

    def __init__(self, adapter: PinnedAdapter, auth: OriginAuth, user_agent: str) -> None:
        super().__init__()
        self.trust_env = False
        self.max_redirects = MAX_REDIRECTS
        self.headers["User-Agent"] = user_agent
        self._origin_auth = auth
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        explicit = request.auth or self.auth
        prepared = super().prepare_request(request)
        if not explicit:
            self._origin_auth(prepared)
        return prepared

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        if not self.follows_redirects or not resp.is_redirect:
            return None
        source = locate(resp.url)
        target = redirect_target(source, resp.headers["location"])
        refuse_downgrade(source, locate(target))
        return target

    def should_strip_auth(self, old_url: str, new_url: str) -> bool:
        return locate(old_url).origin != locate(new_url).origin

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        super().rebuild_auth(prepared_request, response)  # type: ignore[no-untyped-call]
        if "Authorization" not in prepared_request.headers:
            value = self._origin_auth.header(locate(prepared_request.url or ""))
            if value is not None:
                prepared_request.headers["Authorization"] = value

    def rebuild_proxies(
        self, prepared_request: requests.PreparedRequest, proxies: Mapping[str, str] | None
    ) -> Any:
        # The dialler decides anew for each request, and gives credentials to the proxy alone.
        return proxies or {}


def make_requests_session(
    dialler: Dialler,
    options: TransportOptions,
    sources: Sequence[CredentialSource],
    user_agent: str,
    *,
    alone: bool = True,
) -> PinnedSession:
    """See :func:`kedge.transport.requests_session`.

    ``alone`` sessions repeat and follow redirects by themselves; kedge's own does not.
    """
    retries = options.retries if alone else None
    adapter = PinnedAdapter(dialler, timeout=options.timeout, retries=retries)
    session = PinnedSession(adapter, OriginAuth(sources), user_agent)
    session.follows_redirects = alone
    return session
