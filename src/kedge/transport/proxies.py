"""Which proxy a request goes through: decided from the flag, the variables and the system.

``requests`` and ``urllib`` read ``os.environ`` themselves, each with rules of its own; here one
table decides over the values that were snapshot at the entry point. Nothing here connects.

The rules are those a user of pip knows (requests 2.34 ``utils.py``, CPython ``urllib/request.py``):

* ``--proxy`` beats everything, ``NO_PROXY`` included; empty, it switches proxies off.
* A lower-case variable beats the upper-case one, also when it is empty. ``HTTP_PROXY`` is ignored
  in a CGI process, where a client's ``Proxy:`` header ends up in it (CVE-2016-1000110).
* ``ALL_PROXY`` counts where the scheme has no variable of its own.
* The system's own settings count only where no variable names a proxy.
"""

from __future__ import annotations

import ipaddress
import re
import sys
from collections.abc import Callable, Mapping
from urllib.parse import unquote, urlsplit

from kedge.classes import field, frozen
from kedge.model import NetworkOrigin, Origin, OriginKind, Sourced
from kedge.transport.locations import canonical_host, is_loopback
from kedge.transport.trusted_hosts import refuse_setting

_PORTS = {
    "http": 80,
    "https": 443,
    "socks4": 1080,
    "socks4a": 1080,
    "socks5": 1080,
    "socks5h": 1080,
}
SYSTEM = Origin(OriginKind.FILE, path="the system's proxy settings")


@frozen
class Proxy:
    """A proxy and the setting that named it. Credentials are decoded, and never shown."""

    scheme: str
    host: str
    port: int
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    setting: Origin = field(default_factory=lambda: Origin(OriginKind.DEFAULT), compare=False)

    @property
    def origin(self) -> NetworkOrigin:
        return NetworkOrigin(self.scheme, self.host, self.port)

    @property
    def url(self) -> str:
        """Scheme, host and port, without credentials."""
        return f"{self.scheme}://{self.origin.hostport}"

    @property
    def is_socks(self) -> bool:
        return self.scheme.startswith("socks")

    def __str__(self) -> str:
        return f"{self.url} ({self.setting})"


def parse_proxy(setting: Sourced[str]) -> Proxy:
    """Read a proxy's address: ``[scheme://][user[:password]@]host[:port]``, http by default.

    Credentials are percent-decoded. A value that cannot be read ends the run, named by where it
    was written and without its password: it would be a silent detour otherwise.
    """
    value = setting.value.strip()
    url = value if "://" in value else f"http://{value.lstrip('/')}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        scheme = parts.scheme.lower()
    except ValueError:
        host, port, scheme = None, None, ""
    if scheme and scheme not in _PORTS:
        refuse_setting(
            f"{setting.origin}: a proxy's scheme is {', '.join(_PORTS)}, not {scheme!r}.",
            origin=setting.origin,
        )
    if not host or re.search(r"[\s<>\"{}|\\^`@]", host):
        refuse_setting(
            f"{setting.origin} is not the address of a proxy.",
            origin=setting.origin,
            hint="Write it as http://user:password@host:port; in the user name and the password "
            "write / as %2F, # as %23, @ as %40 and : as %3A.",
        )
    return Proxy(
        scheme,
        canonical_host(host),
        port or _PORTS[scheme],
        unquote(parts.username) if parts.username is not None else None,
        unquote(parts.password) if parts.password is not None else None,
        setting.origin,
    )


# --------------------------------------------------------------------------------------------
# NO_PROXY


@frozen
class NoProxy:
    """The entries of ``NO_PROXY``: host suffixes, ``host:port``, addresses, networks, or ``*``."""

    entries: tuple[str, ...] = ()

    @classmethod
    def parse(cls, value: str) -> NoProxy:
        return cls(tuple(entry.lower() for entry in re.split(r"[,\s]+", value) if entry))

    def covers(self, origin: NetworkOrigin) -> bool:
        return any(_entry_covers(entry, origin) for entry in self.entries)


def _entry_covers(entry: str, origin: NetworkOrigin) -> bool:
    if entry == "*":
        return True
    try:
        address = ipaddress.ip_address(origin.host)
    except ValueError:
        return _suffix_covers(entry, origin)
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        pass
    host, port = _split_port(entry)
    return canonical_host(host) == origin.host and port in (None, origin.port)


def _suffix_covers(entry: str, origin: NetworkOrigin) -> bool:
    """``example.org``, ``.example.org`` and ``*.example.org`` all mean the host and those below."""
    host, port = _split_port(entry)
    suffix = host.removeprefix("*").strip(".")
    if not suffix or port not in (None, origin.port):
        return False
    return origin.host == suffix or origin.host.endswith(f".{suffix}")


def _split_port(entry: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"(\[[^]]*\]|[^:]*):(\d+)", entry)
    if match is None:
        return entry.strip("[]"), None
    return match[1].strip("[]"), int(match[2])


# --------------------------------------------------------------------------------------------
# The table


@frozen
class SystemProxies:
    """The operating system's settings: ``{scheme: address}``, and which hosts it leaves out."""

    proxies: Mapping[str, str] = field(default_factory=dict)
    bypasses: Callable[[str], bool] = field(default=lambda host: False)


@frozen
class ProxyTable:
    """For every scheme its proxy, and where none is used."""

    by_scheme: Mapping[str, Proxy] = field(default_factory=dict)
    no_proxy: NoProxy = NoProxy()
    bypasses: Callable[[str], bool] = field(default=lambda host: False)

    @classmethod
    def decide(
        cls, flag: Sourced[str] | None, environ: Mapping[str, str], system: SystemProxies
    ) -> ProxyTable:
        """Merge the three places; only addresses that would be used are read, and may fail."""
        if flag is not None:
            if not flag.value.strip():
                return cls()
            proxy = parse_proxy(flag)
            return cls({"http": proxy, "https": proxy})
        variables = _proxy_variables(environ)
        if variables:
            no_proxy = NoProxy.parse(variables["no"].value) if "no" in variables else NoProxy()
            return cls(_by_scheme(variables), no_proxy)
        found = {scheme: Sourced(address, SYSTEM) for scheme, address in system.proxies.items()}
        return cls(_by_scheme(found), bypasses=system.bypasses)

    def choose(self, origin: NetworkOrigin) -> Proxy | None:
        """The proxy for requests to that origin; ``None`` for a direct connection."""
        proxy = self.by_scheme.get(origin.scheme)
        if proxy is None or self.no_proxy.covers(origin) or self.bypasses(origin.host):
            return None
        return proxy


def for_programs(
    flag: Sourced[str] | None, environ: Mapping[str, str], system: SystemProxies
) -> dict[str, str]:
    """The variables that have other programs take the same proxies, by libcurl's names for them.

    Credentials are in them, as they are in the user's own variables.
    """
    if flag is not None:
        address = flag.value.strip()
        if not address:
            return {"no_proxy": "*"}
        return dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), address) | {"no_proxy": ""}
    found = _proxy_variables(environ)
    if not found:
        return {f"{scheme}_proxy": address for scheme, address in system.proxies.items()}
    # The upper-case names are not every program's: HTTP_PROXY is not libcurl's.
    return {f"{scheme}_proxy": one.value for scheme, one in found.items()}


def keeps_to_this_machine(origin: NetworkOrigin) -> bool:
    """Plain HTTP to loopback is let pass because it never leaves the machine: so no proxy."""
    return origin.scheme == "http" and is_loopback(origin.host)


def _by_scheme(found: Mapping[str, Sourced[str]]) -> dict[str, Proxy]:
    table: dict[str, Proxy] = {}
    for scheme in ("http", "https"):
        setting = found.get(scheme) or found.get("all")
        if setting is not None:
            table[scheme] = parse_proxy(setting)
    return table


def _proxy_variables(environ: Mapping[str, str]) -> dict[str, Sourced[str]]:
    """``{"http": …, "https": …, "all": …, "no": …}``, each where a variable gives it."""
    found: dict[str, Sourced[str]] = {}
    for scheme in ("http", "https", "all", "no"):
        lower = f"{scheme}_proxy"
        upper = lower.upper()
        # As urllib: in a CGI process the upper-case name may be a client's header.
        names = [lower] if scheme == "http" and "REQUEST_METHOD" in environ else [lower, upper]
        name = next((name for name in names if name in environ), None)
        if name is not None and environ[name].strip():
            found[scheme] = Sourced(environ[name], Origin(OriginKind.ENVIRONMENT, name))
    return found


def read_system_proxies() -> SystemProxies:
    """Ask macOS or Windows; elsewhere there is nothing to ask."""
    if sys.platform == "darwin":
        from urllib.request import (  # type: ignore[attr-defined,unused-ignore]
            getproxies_macosx_sysconf,
            proxy_bypass_macosx_sysconf,
        )

        return SystemProxies(getproxies_macosx_sysconf(), proxy_bypass_macosx_sysconf)
    if sys.platform == "win32":
        from urllib.request import (  # type: ignore[attr-defined,unused-ignore]
            getproxies_registry,
            proxy_bypass_registry,
        )

        return SystemProxies(getproxies_registry(), lambda host: bool(proxy_bypass_registry(host)))
    return SystemProxies()
