"""``--trusted-host``: which hosts are exempt from verification, and what plain HTTP is let pass.

Decides over values; knows nothing of connections. The exemption holds for the server at that host
(and port) alone, never for a proxy on the way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NoReturn

from kedge.classes import frozen
from kedge.errors import InsecureLocationError, SettingError, UsageError
from kedge.model import NetworkOrigin, Origin, OriginKind, Sourced, redact_url
from kedge.transport.locations import Location, canonical_host, is_loopback

_BARE_IPV6 = r"[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(%.+)?"


def refuse_setting(message: str, *, origin: Origin, hint: str | None = None) -> NoReturn:
    """A bad value: exit 2 from the command line, 3 from a variable or a file (as pip)."""
    if origin.kind in (OriginKind.ENVIRONMENT, OriginKind.FILE):
        raise SettingError(message, origin=origin, hint=hint)
    raise UsageError(message, hint=hint)


@frozen
class TrustedHost:
    """One ``--trusted-host``. Without a port it covers every port of that host."""

    host: str
    port: int | None
    origin: Origin

    @classmethod
    def parse(cls, setting: Sourced[str]) -> TrustedHost:
        """Read ``HOST[:PORT]``; an IPv6 address stands in brackets where a port follows."""
        from urllib3.exceptions import LocationParseError  # hardly anybody needs it
        from urllib3.util import parse_url

        value = setting.value.strip()
        if "/" in value or "@" in value or "?" in value or "#" in value:
            without = re.sub(r"^[a-z+.-]+://", "", value, flags=re.IGNORECASE)
            example = re.split(r"[/?#]", without.rpartition("@")[2])[0] or "files.example.org:8443"
            refuse_setting(
                f"{setting.origin}: {_shown(value)!r} is not HOST or HOST:PORT.",
                origin=setting.origin,
                hint=f"Give the host alone, without scheme, user or path: --trusted-host {example}",
            )
        netloc = f"[{value}]" if re.fullmatch(_BARE_IPV6, value) else value
        try:
            parts = parse_url(f"https://{netloc}")
        except (LocationParseError, UnicodeError, ValueError):
            parts = None
        if parts is None or not parts.host or "*" in parts.host or " " in value:
            refuse_setting(
                f"{setting.origin}: {value!r} is not HOST or HOST:PORT.",
                origin=setting.origin,
                hint="Each host is named in full: --trusted-host files.example.org:8443",
            )
        return cls(canonical_host(parts.host.strip("[]")), parts.port, setting.origin)

    def covers(self, origin: NetworkOrigin) -> bool:
        return self.host == origin.host and self.port in (None, origin.port)


def _shown(value: str) -> str:
    """The value without what may be a password in it."""
    return re.sub(r"[^/@]*@", "****@", value)


@frozen
class TrustedHosts:
    """Every ``--trusted-host`` that was given."""

    hosts: tuple[TrustedHost, ...] = ()

    @classmethod
    def parse(cls, settings: Iterable[Sourced[str]]) -> TrustedHosts:
        return cls(tuple(TrustedHost.parse(setting) for setting in settings))

    def find(self, origin: NetworkOrigin) -> TrustedHost | None:
        """The setting that exempts this origin, if there is one."""
        return next((host for host in self.hosts if host.covers(origin)), None)

    def verifies(self, origin: NetworkOrigin) -> bool:
        """Whether a server at that origin has its certificate checked."""
        return origin.scheme == "https" and self.find(origin) is None


def refuse_insecure(location: Location, trusted: TrustedHosts) -> None:
    """Refuse plain HTTP to another machine, as pip does, unless the user trusts that host."""
    origin = location.origin
    if origin.scheme == "https" or is_loopback(origin.host) or trusted.find(origin):
        return
    shown = f"[{origin.host}]" if ":" in origin.host else origin.host
    word = shown if origin.port == 80 else f"{shown}:{origin.port}"
    raise InsecureLocationError(
        f"{redact_url(location.url)} is plain HTTP: whoever is on the way can replace what it "
        "serves.",
        url=location.url,
        hint=f"Use https:// if the server offers it. To go on without protection: "
        f"--trusted-host {word}",
    )
