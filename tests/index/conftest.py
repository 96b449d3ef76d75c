"""An index over real connections: TLS servers of a private authority, kedge's own session."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from index.lookups import Told, sourced
from kedge.index import Index, IndexSources
from kedge.model import Origin, OriginKind, StoreKind, TrustDecision, TrustSource
from kedge.transport import Session, TransportOptions, open_session
from support.pki import Authority
from support.servers import Handler, Server

FLAG = Origin(OriginKind.COMMAND_LINE, "--cert")
DECISION = TrustDecision((TrustSource(StoreKind.BUNDLE, FLAG, "corp.pem"),))

Serve = Callable[[Handler], Server]
Connect = Callable[..., Session]
MakeIndex = Callable[..., Index]


@pytest.fixture
def serve(private_ca: Authority) -> Iterator[Serve]:
    """Serves a handler over TLS that the private authority vouches for."""
    with ExitStack() as stack:
        certificate = private_ca.leaf("localhost")
        yield lambda handler: stack.enter_context(Server(handler, certificate=certificate))


@pytest.fixture
def connect(private_ca: Authority) -> Iterator[Connect]:
    """A session that trusts the private authority; options as of TransportOptions."""
    with ExitStack() as stack:

        def make(**options: object) -> Session:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cadata=private_ca.pem.decode())
            decided = TransportOptions(retries=0, timeout=60, **options)  # type: ignore[arg-type]
            return stack.enter_context(open_session(DECISION, context, decided))

        yield make


@pytest.fixture
def make_index(connect: Connect) -> Iterator[MakeIndex]:
    """An index of these URLs (``find_links`` by name), and whatever else Index takes."""
    with ExitStack() as stack:

        def make(*index_urls: str, find_links: tuple[str, ...] = (), **more: object) -> Index:
            sources = IndexSources(index_urls=sourced(*index_urls), find_links=sourced(*find_links))
            more.setdefault("reporter", Told())
            fetcher = more.pop("fetcher", None) or connect()
            return stack.enter_context(Index(sources, fetcher, **more))  # type: ignore[arg-type]

        yield make
