"""Credentials: to the origin they belong to, and to nobody else."""

# ruff: noqa: E501  (tables, one case a line)

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from kedge.errors import HttpStatusError
from kedge.transport.auth import Credentials, IndexCredentials, Netrc, find_netrc
from kedge.transport.locations import Location, locate
from support.pki import Certificate
from support.proxies import with_credentials
from support.servers import Request, Response, Server, redirect, tree, with_basic_auth
from transport.sessions import Opener, Told

PAGE = tree({"/simple/x/": b"page", "/files/x.whl": b"wheel", "/": b"root"})
USER, PASSWORD = "us@er", "p:ä/ß"


@pytest.fixture
def login() -> tuple[str, str]:
    return USER, PASSWORD


class TestIndexUrls:
    def test_their_userinfo_is_sent_decoded(
        self, opened: Opener, leaf: Certificate, login: tuple[str, str]
    ) -> None:
        with Server(with_basic_auth(PAGE, *login), certificate=leaf) as server:
            index = with_credentials(f"{server.url}/simple/", *login)
            response = opened().get(f"{index}x/")
            assert response.body == b"page"
            assert response.url == f"{server.url}/simple/x/"

    def test_links_of_the_same_origin_get_it(
        self, opened: Opener, leaf: Certificate, login: tuple[str, str], target: Path
    ) -> None:
        with Server(with_basic_auth(PAGE, *login), certificate=leaf) as server:
            session = opened(index_urls=(with_credentials(f"{server.url}/simple/", *login),))
            assert session.get(f"{server.url}/files/x.whl").body == b"wheel"

    def test_links_elsewhere_do_not(
        self, opened: Opener, leaf: Certificate, login: tuple[str, str]
    ) -> None:
        with (
            Server(PAGE, certificate=leaf) as index,
            Server(PAGE, certificate=leaf) as other_port,
            Server(PAGE, certificate=leaf, host="127.0.0.1") as other_host,
        ):
            session = opened(index_urls=(with_credentials(index.url, *login),))
            for server in (index, other_port, other_host):
                session.get(f"{server.url}/")
            given = [s.requests[0].credentials for s in (index, other_port, other_host)]
            assert given == [login, None, None]

    def test_the_index_with_the_longest_common_path_is_meant(self) -> None:
        source = IndexCredentials(
            ["https://one:1@h.example/p/1/simple", "https://two:2@h.example/p/2/simple"]
        )
        found = [
            source.credentials(locate(f"https://h.example{path}"))
            for path in ("/p/1/simple/x/", "/p/2/files/x.whl", "/elsewhere")
        ]
        assert found == [Credentials("one", "1"), Credentials("two", "2"), Credentials("one", "1")]

    def test_folders_have_none(self) -> None:
        source = IndexCredentials(["file:///srv/wheels", "./wheels", "http_wheels", "C:\\wheels"])
        assert source.origins == frozenset()

    def test_a_refusal_does_not_show_them(self, opened: Opener, leaf: Certificate) -> None:
        with Server(with_basic_auth(PAGE, "a", "b"), certificate=leaf) as server:
            url = with_credentials(f"{server.url}/", "user", "hunter2")
            with pytest.raises(HttpStatusError) as caught:
                opened(retries=3).get(url)
            assert caught.value.status == 401
            shown = f"{caught.value.message}{caught.value.hint}{caught.value.url}{caught.value!r}"
            assert "hunter2" not in shown
            assert len(server.requests) == 1, "no credentials, no second try"


class TestRedirects:
    def test_elsewhere_drops_credentials_and_cookies(
        self, opened: Opener, leaf: Certificate, login: tuple[str, str]
    ) -> None:
        with Server(PAGE, certificate=leaf, host="127.0.0.1") as other:
            front = Server(
                with_basic_auth(lambda _: redirect(f"{other.url}/"), *login), certificate=leaf
            )
            with front:
                session = opened()
                headers = {"Cookie": "a=b", "Accept": "text/html"}
                session.get(with_credentials(f"{front.url}/", *login), headers=headers)
            (request,) = other.requests
            assert request.headers["Authorization"] is None
            assert request.headers["Cookie"] is None
            assert request.headers["Accept"] == "text/html"

    def test_at_home_keeps_them(
        self, opened: Opener, leaf: Certificate, login: tuple[str, str]
    ) -> None:
        def handler(request: Request) -> Response:
            return redirect("/simple/x/") if request.path == "/" else PAGE(request)

        with Server(with_basic_auth(handler, *login), certificate=leaf) as server:
            assert opened().get(with_credentials(f"{server.url}/", *login)).body == b"page"

    def test_take_up_what_belongs_to_the_new_origin(
        self, opened: Opener, leaf: Certificate, login: tuple[str, str]
    ) -> None:
        with (
            Server(with_basic_auth(PAGE, *login), certificate=leaf) as index,
            Server(lambda _: redirect(f"{index.url}/"), certificate=leaf) as front,
        ):
            session = opened(index_urls=(with_credentials(index.url, *login),))
            assert session.get(f"{front.url}/").body == b"root"
            assert front.requests[0].headers["Authorization"] is None

    def test_cookies_are_not_kept(self, opened: Opener, leaf: Certificate) -> None:
        def handler(_: Request) -> Response:
            return Response(200, b"", {"Set-Cookie": "session=1; Path=/"})

        with Server(handler, certificate=leaf) as server:
            session = opened()
            session.get(f"{server.url}/")
            session.get(f"{server.url}/")
            assert server.requests[1].headers["Cookie"] is None


class TestNetrc:
    def found(self, text: str, url: str, folder: Path, *, indexes: tuple[str, ...] = ()) -> object:
        (folder / ".netrc").write_text(text, "utf-8")
        origins = IndexCredentials(indexes).origins
        told = Told()
        source = Netrc({"HOME": str(folder), "USERPROFILE": str(folder)}, origins, told.warn)
        return source.credentials(locate(url))

    @pytest.mark.parametrize(
        ("text", "url", "expected"),
        [
            pytest.param("machine h.example login u password p", "https://h.example/x", ("u", "p"), id="host"),
            pytest.param("machine h.example login u password p", "https://h.example:8443/x", ("u", "p"), id="any-port"),
            pytest.param("machine h.example login u password p", "https://i.example/x", None, id="other-host"),
            pytest.param("machine h.example login u password p", "https://b.h.example/x", None, id="subdomain"),
            pytest.param("default login u password p", "https://i.example/simple", ("u", "p"), id="default-for-index"),
            pytest.param("default login u password p", "https://h.example/x", None, id="default-not-elsewhere"),
            pytest.param("", "https://h.example/x", None, id="empty"),
        ],
    )  # fmt: skip
    def test_entries(
        self, text: str, url: str, expected: tuple[str, str] | None, tmp_path: Path
    ) -> None:
        found = (
            self.found(text, url, tmp_path, indexes=("https://i.example/simple",))
            if ("default" in text)
            else self.found(text, url, tmp_path)
        )
        assert found == (Credentials(*expected) if expected else None)

    @pytest.mark.parametrize(
        ("environ", "expected"),
        [
            pytest.param({"NETRC": "named"}, "named", id="named"),
            pytest.param({"NETRC": "~/named"}, "named", id="named-in-home"),
            pytest.param({}, ".netrc", id="home"),
        ],
    )
    def test_places(
        self, environ: dict[str, str], expected: str, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.chdir(tmp_path)
        for name in (".netrc", "_netrc", "named"):
            (tmp_path / name).touch()
        homes = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
        found = find_netrc({**homes, **environ})
        assert found is not None
        assert found.resolve() == tmp_path / expected

    def test_the_windows_name_is_the_last(self, tmp_path: Path) -> None:
        (tmp_path / "_netrc").touch()
        homes = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
        assert find_netrc(homes) == tmp_path / "_netrc"
        assert find_netrc({}) is None

    @pytest.mark.parametrize("content", [b"\xff\xfe\x00machine", b"nonsense here"])
    def test_a_damaged_file_is_passed_over_with_a_word(
        self, content: bytes, tmp_path: Path
    ) -> None:
        path = tmp_path / "netrc"
        path.write_bytes(content)
        told = Told()
        source = Netrc({"NETRC": str(path)}, (), told.warn)
        for _ in range(2):
            assert source.credentials(locate("https://h.example/")) is None
        assert len(told.warnings) == 1
        assert str(path) in told.warnings[0]

    def test_is_used_for_requests_and_loses_to_the_url(
        self, opened: Opener, leaf: Certificate, tmp_path: Path, login: tuple[str, str]
    ) -> None:
        (tmp_path / ".netrc").write_text("machine localhost login n password q", "utf-8")
        environ = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
        with Server(PAGE, certificate=leaf) as server:
            opened(environ=environ).get(f"{server.url}/")
            opened(environ=environ).get(with_credentials(f"{server.url}/", *login))
            assert [request.credentials for request in server.requests] == [("n", "q"), login]

    def test_of_the_process_is_not_read(
        self, opened: Opener, leaf: Certificate, home: Path
    ) -> None:
        (home / ".netrc").write_text("machine localhost login n password q", "utf-8")
        with Server(PAGE, certificate=leaf) as server:
            opened().get(f"{server.url}/")
            assert server.requests[0].credentials is None


class Keyring:
    """A further source, as a prompt or a keyring will be."""

    def credentials(self, location: Location) -> Credentials | None:
        return Credentials("k", "r") if location.origin.host == "localhost" else None


def test_further_sources_are_asked_last(opened: Opener, leaf: Certificate) -> None:
    with Server(PAGE, certificate=leaf) as server:
        session = opened(credentials=(Keyring(),))
        session.get(f"{server.url}/")
        assert server.requests[0].credentials == ("k", "r")


class TestLibrary:
    def test_credentials_stay_with_their_origin(
        self, library: Callable[..., requests.Session], leaf: Certificate, login: tuple[str, str]
    ) -> None:
        with (
            Server(PAGE, certificate=leaf, host="127.0.0.1") as other,
            Server(lambda _: redirect(f"{other.url}/"), certificate=leaf) as index,
        ):
            session = library(index_urls=(with_credentials(index.url, *login),))
            assert session.get(f"{index.url}/").content == b"root"
            assert index.requests[0].credentials == login
            assert other.requests[0].headers["Authorization"] is None

    def test_a_redirect_to_another_port_drops_them(
        self, library: Callable[..., requests.Session], leaf: Certificate
    ) -> None:
        # requests keeps them there when only http became https on the usual ports.
        with (
            Server(PAGE, certificate=leaf) as other,
            Server(lambda _: redirect(f"{other.url}/"), certificate=leaf) as front,
        ):
            library().get(front.url, auth=("u", "p"))
            assert front.requests[0].credentials == ("u", "p")
            assert other.requests[0].headers["Authorization"] is None

    def test_cookies_are_not_kept(
        self, library: Callable[..., requests.Session], leaf: Certificate
    ) -> None:
        def handler(_: Request) -> Response:
            return Response(200, b"", {"Set-Cookie": "session=1; Path=/"})

        with Server(handler, certificate=leaf) as server:
            session = library()
            session.get(server.url)
            session.get(server.url)
            assert server.requests[1].headers["Cookie"] is None

    @pytest.mark.parametrize(
        ("old", "new", "strip"),
        [
            ("https://a.example/", "https://a.example:443/x", False),
            ("https://a.example/", "https://A.example./x", False),
            ("http://a.example/", "https://a.example/", True),
            ("https://a.example/", "https://a.example:444/", True),
            ("https://a.example/", "https://b.a.example/", True),
        ],
    )
    def test_an_origin_is_scheme_host_and_port(
        self, library: Callable[..., requests.Session], old: str, new: str, strip: bool
    ) -> None:
        session: Any = library()
        assert session.should_strip_auth(old, new) is strip
