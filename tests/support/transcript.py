"""Several origins, each with secrets of its own, and a record of all that reached each of them.

A :class:`World` runs servers that ask for a client certificate and set cookies, and proxies that
want credentials. After a run, :meth:`World.leaks` compares what arrived where with who may know
what: of every secret, in every spelling, in any part of any request.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote, quote_plus

from support.pki import LOOPBACK, Authority, Certificate
from support.proxies import Proxy, with_credentials
from support.servers import Handler, Request, Response, Server, with_basic_auth


@dataclass(frozen=True)
class Secret:
    """A user name and a password that one origin may know."""

    owner: str
    user: str
    password: str

    @property
    def spellings(self) -> tuple[str, ...]:
        """How it may stand anywhere: the password bare and quoted, and the pair in base64."""
        pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        alone = base64.b64encode(self.password.encode()).decode()
        bare = {self.password, quote(self.password, safe=""), quote_plus(self.password)}
        return (*bare, pair, alone)


def secret_of(owner: str) -> Secret:
    """Told apart from any other, not spelled in a URL as it is; any Python's netrc reads it."""
    return Secret(owner, f"user-of-{owner}", f"pa:ss/of+{owner}!")


@dataclass
class World:
    """Servers by name (``plain`` ones are http), proxies, and one client certificate.

    ``may_see_certificate`` names the servers that the client certificate is meant for. What a
    server answers can be changed in ``handlers``, under its name.
    """

    authority: Authority
    client: Certificate
    stranger: Authority
    stack: ExitStack
    servers: dict[str, Server] = field(default_factory=dict)
    proxies: dict[str, Proxy] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)
    handlers: dict[str, Handler] = field(default_factory=dict)
    may_see_certificate: set[str] = field(default_factory=set)

    def add(
        self,
        name: str,
        *,
        host: str = "localhost",
        guarded: bool = False,
        plain: bool = False,
        trusted: bool = True,
    ) -> Server:
        """A server of that name; ``guarded`` by a secret of its own."""
        self.handlers[name] = lambda _: Response(404)
        authority = self.authority if trusted else self.stranger
        leaf = authority.leaf(*LOOPBACK, "127.0.0.2", "127.0.0.3")
        server = self.stack.enter_context(
            Server(
                self._handler(name),
                certificate=None if plain else leaf,
                host=host,
                client_ca=None if plain else self.authority,
            )
        )
        self.servers[name] = server
        if guarded:
            self.secrets[name] = secret_of(name)
            secret = self.secrets[name]
            server.handler = with_basic_auth(server.handler, secret.user, secret.password)
        return server

    def add_proxy(self, name: str, *, tls: bool) -> Proxy:
        secret = self.secrets[name] = secret_of(name)
        proxy = Proxy(
            certificate=self.authority.leaf("localhost") if tls else None,
            credentials=(secret.user, secret.password),
            client_ca=self.authority,
        )
        self.proxies[name] = self.stack.enter_context(proxy)
        return proxy

    def _handler(self, name: str) -> Handler:
        """Each answer sets a cookie, for its whole host and for ever."""

        def handler(request: Request) -> Response:
            response = self.handlers[name](request)
            cookie = f"cookie-of-{name}=secret-cookie; Path=/; Max-Age=99999"
            return replace(response, headers={**response.headers, "Set-Cookie": cookie})

        return handler

    def url(self, name: str, path: str = "", *, secret: bool = False) -> str:
        """A URL there, with its credentials in it if asked."""
        url = f"{self.servers[name].url}{path}"
        if not secret:
            return url
        known = self.secrets[name]
        return with_credentials(url, known.user, known.password)

    def forget(self) -> None:
        for server in self.servers.values():
            server.forget()
        for proxy in self.proxies.values():
            proxy.forget()

    # -- what arrived

    def leaks(self) -> list[str]:
        """Everything that reached a server or a proxy that it does not belong to, in words."""
        found = []
        for name, server in self.servers.items():
            for request in server.requests:
                text = _text(request.target, dict(request.headers.items()), request.body)
                found += [f"{name} got {what}" for what in self._foreign(name, text)]
                if request.headers["Cookie"]:
                    found.append(f"{name} got the cookie {request.headers['Cookie']}")
                if request.client_certificate and name not in self.may_see_certificate:
                    found.append(f"{name} was shown the client certificate")
        for name, proxy in self.proxies.items():
            for entry in proxy.entries:
                text = _text(entry.target, entry.headers, b"")
                found += [f"the proxy {name} got {what}" for what in self._foreign(name, text)]
                found += [
                    f"the proxy {name} got the header {header}"
                    for header in ("authorization", "cookie")
                    if header in entry.headers
                ]
            found += [f"the proxy {name} was shown the client certificate"] * len(
                proxy.certificates
            )
        return found

    def _foreign(self, name: str, text: str) -> Iterator[str]:
        for owner, secret in self.secrets.items():
            if owner != name and any(spelling in text for spelling in secret.spellings):
                yield f"the secret of {owner}"

    def shown_in(self, text: str) -> list[str]:
        """The owners of secrets that stand in a text, in whatever spelling."""
        return [
            owner
            for owner, secret in self.secrets.items()
            if any(spelling in text for spelling in secret.spellings)
        ]

    def kept_in(self, folder: Path) -> list[str]:
        """Files below a folder that hold a secret, with its owner."""
        found = []
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                text = path.read_bytes().decode("utf-8", "replace")
                found += [f"{path}: {owner}" for owner in self.shown_in(f"{path}\n{text}")]
        return found


def _text(target: str, headers: Mapping[str, str], body: bytes) -> str:
    lines = [target, *(f"{name}: {value}" for name, value in headers.items())]
    return "\n".join([*lines, body.decode("utf-8", "replace")])
