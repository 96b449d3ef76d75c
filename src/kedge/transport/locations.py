"""Where a URL leads, read once, so that what is decided about is what is dialled.

Two parsers that disagree about one URL are a hole (``https://evil\\@localhost``): the host that is
checked against ``--trusted-host``, the loopback rule and the credentials is the very value that
the connection is made to. Knows nothing of proxies, contexts or sessions.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urljoin

from kedge.classes import frozen
from kedge.errors import TransportError
from kedge.model import NetworkOrigin, redact_url

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65535
#: What no host name holds; urllib3 refuses these since 2.7 only.
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f<>\"\\^`{|}]")
#: Nothing in it that urllib3 would read in another way than it stands there: no userinfo, escape,
#: dot segment, capital in the host, leading zero in the port. Nearly all URLs are so, and what can
#: be read without urllib3 needs no import of it.
_PLAIN = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<target>(?=/)(?:(?!/\.)[A-Za-z0-9._~!$&'()*+,;=:@/-])+)?",
    re.ASCII,
)


@frozen
class Location:
    """An ``http:`` or ``https:`` URL: its origin (the host in ASCII, without a final dot, an
    address in its shortest form), the host as it is to be looked up, and the request target.

    ``userinfo`` is still percent-encoded; ``url`` is without it and without a fragment.
    """

    url: str
    origin: NetworkOrigin
    host: str
    request_target: str
    userinfo: str | None = None

    @property
    def path(self) -> str:
        return self.request_target.partition("?")[0]


def locate(url: str) -> Location:
    """Read a URL; :class:`~kedge.errors.TransportError` when it cannot be one to fetch from."""
    return _locate_plain(url) or _locate(url)


def _locate_plain(url: str) -> Location | None:
    """What :func:`_locate` gives, for a URL that leaves nothing to be interpreted."""
    found = _PLAIN.fullmatch(url)
    if found is None:
        return None
    scheme, host, stated, target = found.groups()
    port = int(stated or _DEFAULT_PORTS[scheme])
    if port > _LAST_PORT:
        return None
    origin = NetworkOrigin(scheme, host, port)
    return Location(url if target else f"{url}/", origin, host, target or "/")


def _locate(url: str) -> Location:
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url

    try:
        parts = parse_url(url.strip())
    except (LocationParseError, UnicodeError, ValueError) as exc:
        raise TransportError(f"{redact_url(url)!r} is not a valid URL.", url=url) from exc
    scheme = parts.scheme or ""
    if parts.host and _FORBIDDEN.search(parts.host):
        raise TransportError(f"{redact_url(url)!r} is not a valid URL.", url=url)
    if scheme not in _DEFAULT_PORTS or not parts.host:
        what = f"the scheme {scheme!r} is not http or https" if scheme else "it has no scheme"
        why = what if scheme not in _DEFAULT_PORTS else "it names no host"
        raise TransportError(f"Cannot fetch {redact_url(url)!r}: {why}.", url=url)
    port = _DEFAULT_PORTS[scheme] if parts.port is None else parts.port
    host = parts.host.strip("[]")
    origin = NetworkOrigin(scheme, canonical_host(host), port)
    plain = parts._replace(auth=None, fragment=None, path=parts.path or "/")
    return Location(plain.url, origin, host, plain.request_uri, parts.auth)


def redirect_target(base: Location, header: str) -> str:
    """The absolute URL that a ``Location`` header means (RFC 9110, section 10.2.2).

    Header bytes arrive as Latin-1; a path that is not ASCII is nearly always UTF-8. Raises
    :class:`~kedge.errors.TransportError` when it is no URL.
    """
    try:
        header = header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        pass
    try:
        return urljoin(base.url, header.strip())
    except ValueError as exc:
        raise TransportError(f"{redact_url(header)!r} is not a valid URL.", url=base.url) from exc


def canonical_host(host: str) -> str:
    """One spelling for each host: lower case, no final dot, addresses in their shortest form."""
    host = host.lower().rstrip(".")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host


def is_loopback(host: str) -> bool:
    """pip's secure origins: ``localhost``, 127.0.0.0/8 and ::1 (``host`` is canonical)."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
