"""Pages over real connections: negotiation, conditional requests, what may be kept."""

from __future__ import annotations

import marshal
from collections.abc import Callable
from dataclasses import replace

import pytest

from index.conftest import Connect, Serve
from index.lookups import Pages, sourced
from kedge.cache import CachedPage
from kedge.errors import (
    ConnectionFailedError,
    HttpStatusError,
    PageError,
    VerificationError,
)
from kedge.index.fetch import PageFetcher
from kedge.transport import Session
from support.indexes import JSON_TYPE, SimpleIndex
from support.pki import Authority
from support.servers import Request, Response, Server
from support.wheels import wheel


def fetcher(
    session: Session, pages: Pages | None = None, *, revalidate: bool = True, now: float = 1000.0
) -> PageFetcher:
    return PageFetcher(session, pages, revalidate=revalidate, clock=lambda: now)


def with_headers(**headers: str) -> Callable[[Request], Response]:
    """An index of one wheel whose answers carry these headers."""
    index = SimpleIndex([wheel("spam")])
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def handler(request: Request) -> Response:
        response = index(request)
        kept = {name: value for name, value in response.headers.items() if name != "ETag"}
        return replace(response, headers={**kept, **named})

    return handler


@pytest.mark.parametrize("style", ["both", "json", "html", "legacy"])
def test_every_form_is_read(serve: Serve, connect: Connect, style: str) -> None:
    server = serve(SimpleIndex([wheel("spam"), wheel("spam", "2")], style=style))  # type: ignore[arg-type]
    found = fetcher(connect()).remote(f"{server.url}/simple/spam/")
    assert found is not None
    assert found.verified
    assert [link.filename for link in found.page.links] == [
        "spam-1.0-py3-none-any.whl",
        "spam-2-py3-none-any.whl",
    ]
    assert found.page.links[0].url.startswith(f"{server.url}/files/")


def test_json_is_asked_for_first(serve: Serve, connect: Connect) -> None:
    server = serve(SimpleIndex([wheel("spam")]))
    fetcher(connect()).remote(f"{server.url}/simple/spam/")
    (request,) = server.requests
    assert request.headers["Accept"].startswith(JSON_TYPE)


def test_links_count_from_where_the_page_finally_came(serve: Serve, connect: Connect) -> None:
    there = serve(SimpleIndex([wheel("spam")]))
    here = serve(lambda request: Response(302, headers={"Location": f"{there.url}{request.path}"}))
    found = fetcher(connect()).remote(f"{here.url}/simple/spam/")
    assert found is not None
    assert found.page.links[0].url.startswith(there.url)


@pytest.mark.parametrize("status", [404, 410])
def test_not_here_is_an_absent_page(serve: Serve, connect: Connect, status: int) -> None:
    server = serve(lambda _: Response(status, b"<html>", {"Content-Type": "text/html"}))
    assert fetcher(connect()).remote(f"{server.url}/simple/spam/") is None


@pytest.mark.parametrize("status", [401, 403, 400, 429, 500, 503])
def test_any_other_failure_is_an_error(serve: Serve, connect: Connect, status: int) -> None:
    server = serve(lambda _: Response(status, b"no"))
    with pytest.raises(HttpStatusError) as caught:
        fetcher(connect()).remote(f"{server.url}/simple/spam/")
    assert caught.value.status == status


def test_a_failure_of_trust_is_never_an_absent_page(
    stranger_ca: Authority, connect: Connect
) -> None:
    with (
        Server(SimpleIndex([]), certificate=stranger_ca.leaf("localhost")) as server,
        pytest.raises(VerificationError),
    ):
        fetcher(connect()).remote(f"{server.url}/simple/spam/")


def test_a_dead_server_is_never_an_absent_page(connect: Connect) -> None:
    with pytest.raises(ConnectionFailedError):
        fetcher(connect()).remote("https://localhost:1/simple/spam/")


def test_what_is_no_index_is_a_page_error(serve: Serve, connect: Connect) -> None:
    server = serve(lambda _: Response(200, b"\x89PNG", {"Content-Type": "image/png"}))
    pages = Pages()
    with pytest.raises(PageError, match="image/png"):
        fetcher(connect(), pages).remote(f"{server.url}/simple/spam/")
    assert not pages.held


# -- what is kept between runs


def test_a_kept_page_is_asked_about_and_not_sent_again(serve: Serve, connect: Connect) -> None:
    server = serve(SimpleIndex([wheel("spam")]))
    url, pages = f"{server.url}/simple/spam/", Pages()
    first = fetcher(connect(), pages).remote(url)
    second = fetcher(connect(), pages).remote(url)
    assert first == second
    known, asked = server.requests
    assert known.headers["If-None-Match"] is None
    assert asked.headers["If-None-Match"] == pages.held[url].etag
    assert asked.headers["Cache-Control"] == "max-age=0"


def test_a_changed_page_replaces_the_kept_one(serve: Serve, connect: Connect) -> None:
    index = SimpleIndex([wheel("spam")])
    server = serve(index)
    url, pages = f"{server.url}/simple/spam/", Pages()
    fetcher(connect(), pages).remote(url)
    index.add(wheel("spam", "2"))
    for _ in range(2):
        found = fetcher(connect(), pages).remote(url)
        assert found is not None
        assert len(found.page.links) == 2


def test_last_modified_does_where_there_is_no_etag(serve: Serve, connect: Connect) -> None:
    date = "Wed, 01 May 2024 10:11:12 GMT"
    server = serve(with_headers(Last_Modified=date))
    url, pages = f"{server.url}/simple/spam/", Pages()
    for _ in range(2):
        fetcher(connect(), pages).remote(url)
    assert server.requests[1].headers["If-Modified-Since"] == date


@pytest.mark.parametrize(
    ("control", "age", "fresh"),
    [
        pytest.param("max-age=600, public", None, 600, id="PyPI's"),
        pytest.param("public, Max-Age=600", "100", 500, id="old already"),
        pytest.param("max-age=600", "601", 0, id="too old"),
        pytest.param("max-age=600, no-cache", None, 0, id="no-cache"),
        pytest.param("max-age=0", None, 0, id="zero"),
        pytest.param("s-maxage=600", None, 0, id="for other caches"),
        pytest.param("private", None, 0, id="no age"),
    ],
)
def test_freshness_is_what_the_server_says(
    serve: Serve, connect: Connect, control: str, age: str | None, fresh: int
) -> None:
    headers = {"Cache_Control": control, "ETag": '"1"'} | ({"Age": age} if age else {})
    server = serve(with_headers(**headers))
    url, pages = f"{server.url}/simple/spam/", Pages()
    fetcher(connect(), pages).remote(url)
    assert pages.held[url].fresh_until == (1000 + fresh if fresh else 0)
    within = fetcher(connect(), pages, revalidate=False, now=999.0 + fresh)
    found = within.remote(url)
    assert found is not None
    assert found.verified
    assert len(server.requests) == (1 if fresh else 2)
    fetcher(connect(), pages, revalidate=False, now=1000.0 + fresh).remote(url)
    assert len(server.requests) == (2 if fresh else 3)


def test_revalidating_asks_about_a_fresh_page_too(serve: Serve, connect: Connect) -> None:
    server = serve(with_headers(Cache_Control="max-age=600"))
    url, pages = f"{server.url}/simple/spam/", Pages()
    for _ in range(2):
        fetcher(connect(), pages).remote(url)
    assert len(server.requests) == 2
    assert pages.held[url].fresh_until == 1600.0


def test_a_confirmed_page_is_fresh_again(serve: Serve, connect: Connect) -> None:
    index = SimpleIndex([wheel("spam")])

    def handler(request: Request) -> Response:
        response = index(request)
        return replace(response, headers={**response.headers, "Cache-Control": "max-age=60"})

    server = serve(handler)
    url, pages = f"{server.url}/simple/spam/", Pages()
    fetcher(connect(), pages).remote(url)
    fetcher(connect(), pages, now=5000.0).remote(url)
    assert pages.held[url].fresh_until == 5060.0
    assert pages.held[url].body


@pytest.mark.parametrize(
    "headers", [{"Cache_Control": "no-store", "ETag": '"1"'}, {}], ids=["no-store", "no validator"]
)
def test_what_must_not_or_need_not_be_kept_is_not(
    serve: Serve, connect: Connect, headers: dict[str, str]
) -> None:
    server = serve(with_headers(**headers))
    pages = Pages()
    fetcher(connect(), pages).remote(f"{server.url}/simple/spam/")
    assert not pages.held


def test_nothing_unverified_is_kept_or_used(stranger_ca: Authority, connect: Connect) -> None:
    with Server(SimpleIndex([wheel("spam")]), certificate=stranger_ca.leaf("localhost")) as server:
        url, pages = f"{server.url}/simple/spam/", Pages()
        session = connect(trusted_hosts=sourced(server.hostport))
        found = fetcher(session, pages).remote(url)
        assert found is not None
        assert not found.verified
        assert not pages.held


def test_an_unverified_server_cannot_keep_an_old_page_alive(
    private_ca: Authority, connect: Connect
) -> None:
    index = SimpleIndex([wheel("spam")])
    with Server(index, certificate=private_ca.leaf("localhost")) as server:
        url, pages = f"{server.url}/simple/spam/", Pages()
        fetcher(connect(), pages).remote(url)
        session = connect(trusted_hosts=sourced(server.hostport))
        fetcher(session, pages).remote(url)
        assert server.requests[-1].headers["If-None-Match"] is None


def test_credentials_are_no_part_of_the_key(serve: Serve, connect: Connect) -> None:
    server = serve(SimpleIndex([wheel("spam")]))
    pages = Pages()
    url = f"{server.url}/simple/spam/".replace("//", "//user:secret@", 1)
    fetcher(connect(), pages).remote(url)
    assert list(pages.held) == [f"{server.url}/simple/spam/"]
    assert "secret" not in repr(pages.held)


def test_an_unasked_not_modified_is_an_error(serve: Serve, connect: Connect) -> None:
    server = serve(lambda _: Response(304))
    with pytest.raises(PageError):
        fetcher(connect(), Pages()).remote(f"{server.url}/simple/spam/")


@pytest.mark.parametrize("style", ["json", "html"])
def test_a_page_is_the_same_when_it_comes_from_the_cache(
    serve: Serve, connect: Connect, style: str
) -> None:
    server = serve(SimpleIndex([wheel("spam"), wheel("spam", "2")], style=style))  # type: ignore[arg-type]
    url, pages = f"{server.url}/simple/spam/", Pages()
    first, second = (fetcher(connect(), pages).remote(url) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.page == second.page
    assert server.requests[-1].headers["If-None-Match"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda page: replace(page, body=b""), id="empty"),
        pytest.param(lambda page: replace(page, body=page.body[:-7]), id="cut short"),
        pytest.param(lambda page: replace(page, body=marshal.dumps(7)), id="another value"),
        pytest.param(lambda page: replace(page, body=marshal.dumps(("", [(1,)]))), id="no links"),
        pytest.param(lambda page: replace(page, content_type=JSON_TYPE), id="another form"),
        pytest.param(
            lambda page: replace(page, content_type=page.content_type + "x"), id="another Python's"
        ),
    ],
)
def test_what_cannot_be_read_again_is_asked_for_anew(
    serve: Serve, connect: Connect, change: Callable[[CachedPage], CachedPage]
) -> None:
    server = serve(SimpleIndex([wheel("spam")]))
    url, pages = f"{server.url}/simple/spam/", Pages()
    fetcher(connect(), pages).remote(url)
    pages.held[url] = change(pages.held[url])
    found = fetcher(connect(), pages).remote(url)
    assert found is not None
    assert len(found.page.links) == 1
    assert server.requests[-1].headers["If-None-Match"] is None
