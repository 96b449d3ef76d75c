"""Proxies: which one is chosen (tables), and what is said to it and of it (real ones)."""

# ruff: noqa: E501  (tables, one case a line)

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack

import pytest

from kedge.errors import (
    ConnectionFailedError,
    ConnectionTimeoutError,
    HttpStatusError,
    KedgeError,
    ProxyFailedError,
    ResolveHostError,
    SettingError,
    TlsError,
    UsageError,
    VerificationError,
)
from kedge.model import Hop, NetworkOrigin, Origin, OriginKind, Sourced
from kedge.transport.locations import locate
from kedge.transport.proxies import NoProxy, ProxyTable, SystemProxies, parse_proxy
from support.pki import Certificate
from support.proxies import Proxy, free_port, with_credentials
from support.servers import Faults, Server, status, tree
from transport.sessions import Opener, RawServer, SocksServer, Told, flag, saying, silence

PAGE = tree({"/": b"hello"})


def origin(url: str) -> NetworkOrigin:
    return locate(url).origin


@pytest.mark.parametrize(
    ("environ", "url", "expected"),
    [
        pytest.param({}, "https://a.example", None, id="nothing"),
        pytest.param({"HTTPS_PROXY": "http://p:1"}, "https://a.example", "http://p:1", id="upper"),
        pytest.param({"https_proxy": "http://p:1"}, "https://a.example", "http://p:1", id="lower"),
        pytest.param({"https_proxy": "http://l:1", "HTTPS_PROXY": "http://u:2"}, "https://a.example", "http://l:1", id="lower-wins"),
        pytest.param({"https_proxy": "", "HTTPS_PROXY": "http://u:2"}, "https://a.example", None, id="empty-lower-wins"),
        pytest.param({"HTTP_PROXY": "http://p:1"}, "https://a.example", None, id="other-scheme"),
        pytest.param({"HTTP_PROXY": "http://p:1"}, "http://a.example", "http://p:1", id="http"),
        pytest.param({"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, "http://a.example", None, id="cgi"),
        pytest.param({"http_proxy": "http://p:1", "REQUEST_METHOD": "GET"}, "http://a.example", "http://p:1", id="cgi-lower"),
        pytest.param({"HTTPS_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, "https://a.example", "http://p:1", id="cgi-https"),
        pytest.param({"ALL_PROXY": "http://p:1"}, "https://a.example", "http://p:1", id="all"),
        pytest.param({"ALL_PROXY": "http://p:1", "HTTPS_PROXY": "http://q:2"}, "https://a.example", "http://q:2", id="scheme-before-all"),
        pytest.param({"HTTPS_PROXY": "p:3128"}, "https://a.example", "http://p:3128", id="no-scheme"),
        pytest.param({"HTTPS_PROXY": "https://p"}, "https://a.example", "https://p:443", id="https-port"),
        pytest.param({"HTTPS_PROXY": "http://p/"}, "https://a.example", "http://p:80", id="http-port"),
        pytest.param({"HTTPS_PROXY": "socks5h://p"}, "https://a.example", "socks5h://p:1080", id="socks-port"),
        pytest.param({"HTTPS_PROXY": "[::1]:3128"}, "https://a.example", "http://[::1]:3128", id="ipv6"),
        pytest.param({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.example"}, "https://a.example", None, id="no-proxy"),
        pytest.param({"HTTPS_PROXY": "http://p:1", "no_proxy": "", "NO_PROXY": "a.example"}, "https://a.example", "http://p:1", id="empty-lower-no-proxy"),
        pytest.param({"HTTPS_PROXY": "  "}, "https://a.example", None, id="blank"),
    ],
)  # fmt: skip
def test_the_environment_decides(
    environ: Mapping[str, str], url: str, expected: str | None
) -> None:
    proxy = ProxyTable.decide(None, environ, SystemProxies()).choose(origin(url))
    assert (proxy.url if proxy else None) == expected


ENVIRON = {"HTTPS_PROXY": "http://env:1", "NO_PROXY": "a.example"}
SYSTEM = SystemProxies({"http": "http://sys:1", "https": "http://sys:2"}, lambda host: host == "in.example")  # fmt: skip


@pytest.mark.parametrize(
    ("value", "environ", "url", "expected"),
    [
        pytest.param("http://p:1", ENVIRON, "https://a.example", "http://p:1", id="flag-beats-all"),
        pytest.param("p:1", {}, "http://a.example", "http://p:1", id="flag-for-http"),
        pytest.param("", ENVIRON, "https://b.example", None, id="flag-off"),
        pytest.param(None, ENVIRON, "https://b.example", "http://env:1", id="environment"),
        pytest.param(None, ENVIRON, "http://b.example", None, id="environment-beats-system"),
        pytest.param(None, {}, "https://b.example", "http://sys:2", id="system"),
        pytest.param(None, {}, "https://in.example", None, id="system-bypass"),
        pytest.param(None, {"NO_PROXY": "*"}, "https://b.example", None, id="no-proxy-beats-system"),
    ],
)  # fmt: skip
def test_the_strongest_place_decides(
    value: str | None, environ: Mapping[str, str], url: str, expected: str | None
) -> None:
    setting = None if value is None else flag("--proxy", value)
    proxy = ProxyTable.decide(setting, environ, SYSTEM).choose(origin(url))
    assert (proxy.url if proxy else None) == expected


@pytest.mark.parametrize(
    ("value", "covered", "not_covered"),
    [
        pytest.param("*", ["https://a.example", "https://10.0.0.1"], [], id="star"),
        pytest.param("x.example, *", ["https://a.example"], [], id="star-among-others"),
        pytest.param("a.example", ["https://a.example", "https://b.a.example:8"], ["https://ba.example"], id="suffix"),
        pytest.param(".a.example", ["https://b.a.example", "https://a.example"], ["https://a.example.org"], id="dot"),
        pytest.param("*.a.example", ["https://b.a.example"], ["https://x.example"], id="star-dot"),
        pytest.param("A.Example", ["https://a.EXAMPLE"], [], id="case"),
        pytest.param("a.example:8443", ["https://a.example:8443"], ["https://a.example"], id="port"),
        pytest.param("a.example:443", ["https://a.example"], ["http://a.example"], id="default-port"),
        pytest.param("x,a.example y", ["https://a.example", "https://y"], ["https://z"], id="separators"),
        pytest.param("10.0.0.1", ["https://10.0.0.1"], ["https://10.0.0.10", "https://110.0.0.1"], id="ipv4"),
        pytest.param("10.0.0.0/8", ["https://10.9.9.9"], ["https://11.0.0.1", "https://a10.0.0.1.example"], id="cidr"),
        pytest.param("10.1.2.3/8", ["https://10.9.9.9"], ["https://11.0.0.1"], id="cidr-host-bits"),
        pytest.param("fd00::/8", ["https://[fd12::1]"], ["https://[fe80::1]", "https://10.0.0.1"], id="cidr6"),
        pytest.param("[::1]:8443", ["https://[::1]:8443"], ["https://[::1]"], id="ipv6-port"),
        pytest.param("::1", ["https://[::1]:8443"], ["https://[::2]"], id="ipv6"),
        pytest.param("0.0.1", [], ["https://10.0.0.1"], id="no-suffix-of-an-address"),
        pytest.param(",, .", [], ["https://a.example"], id="empty-entries"),
    ],
)  # fmt: skip
def test_no_proxy_covers(value: str, covered: list[str], not_covered: list[str]) -> None:
    entries = NoProxy.parse(value)
    assert [url for url in covered if not entries.covers(origin(url))] == []
    assert [url for url in not_covered if entries.covers(origin(url))] == []


def test_credentials_are_decoded_and_never_shown() -> None:
    proxy = parse_proxy(flag("--proxy", "http://us%40er:p%3Ass%2F@p:1"))
    assert (proxy.username, proxy.password) == ("us@er", "p:ss/")
    for shown in (repr(proxy), str(proxy), proxy.url):
        assert "ss" not in shown


@pytest.mark.parametrize(
    "value",
    ["ftp://p:1", "http://", "http://user:pa#ss@p:3128", "http://p:x", "http://p:99999",
     "http://u:p/x@p:1", "http://a b:1", "socks://p:1"],
)  # fmt: skip
@pytest.mark.parametrize(
    ("kind", "error"),
    [(OriginKind.COMMAND_LINE, UsageError), (OriginKind.ENVIRONMENT, SettingError)],
    ids=["flag", "variable"],
)
def test_what_is_no_proxy_ends_the_run(
    value: str, kind: OriginKind, error: type[KedgeError]
) -> None:
    with pytest.raises(error) as caught:
        parse_proxy(Sourced(value, Origin(kind, "HTTPS_PROXY")))
    assert "HTTPS_PROXY" in caught.value.message
    assert "pa#ss" not in caught.value.message


# --------------------------------------------------------------------------------------------
# Real ones


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
class TestCredentials:
    def test_go_to_the_proxy_alone(self, tls: bool, opened: Opener, leaf: Certificate) -> None:
        login = ("us@er", "p:ss/wörd")
        with (
            Server(PAGE, certificate=leaf) as server,
            Proxy(certificate=leaf if tls else None, credentials=login) as proxy,
        ):
            assert opened(proxy=proxy.authorized_url).get(f"{server.url}/").body == b"hello"
            assert [entry.credentials for entry in proxy.entries] == [login]
            assert server.requests[0].headers["Proxy-Authorization"] is None

    def test_go_to_the_proxy_alone_for_plain_http(
        self, tls: bool, opened: Opener, leaf: Certificate
    ) -> None:
        with (
            Server(PAGE) as server,
            Proxy(
                certificate=leaf if tls else None,
                credentials=("u", "p"),
                names={"files.example": "127.0.0.1"},
            ) as proxy,
        ):
            session = opened(proxy=proxy.authorized_url, trusted_hosts=["files.example"])
            url = f"http://files.example:{server.port}/"
            assert session.get(url).body == b"hello"
            assert [(entry.method, entry.target) for entry in proxy.entries] == [("GET", url)]

    @pytest.mark.parametrize("given", [None, ("u", "wrong-secret")], ids=["none", "wrong"])
    def test_are_asked_for_at_once(
        self, tls: bool, given: tuple[str, str] | None, opened: Opener, leaf: Certificate
    ) -> None:
        with (
            Server(PAGE, certificate=leaf) as server,
            Proxy(certificate=leaf if tls else None, credentials=("u", "right")) as proxy,
        ):
            url = with_credentials(proxy.url, *given) if given else proxy.url
            with pytest.raises(ProxyFailedError) as caught:
                opened(proxy=url, retries=3).get(f"{server.url}/")
            error = caught.value
            assert (error.status, error.hop) == (407, Hop.PROXY)
            assert error.peer.hostport == f"localhost:{proxy.port}"
            assert "wrong-secret" not in f"{error.message}{error.hint}{error!r}"
            assert "--proxy" in error.message
            assert len(proxy.entries) == 1

    def test_are_asked_for_by_a_forwarding_proxy(
        self, tls: bool, opened: Opener, leaf: Certificate
    ) -> None:
        with Proxy(certificate=leaf if tls else None, credentials=("u", "p")) as proxy:
            with pytest.raises(ProxyFailedError) as caught:
                opened(proxy=proxy.url, trusted_hosts=["files.example"]).get(
                    "http://files.example/"
                )
            assert caught.value.status == 407


class TestFailures:
    @pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
    def test_a_refusal_is_the_proxys(self, tls: bool, opened: Opener, leaf: Certificate) -> None:
        with Proxy(certificate=leaf if tls else None, refuse=403) as proxy:
            with pytest.raises(ProxyFailedError) as caught:
                opened(proxy=proxy.url, retries=3).get("https://files.example/")
            assert caught.value.status == 403
            assert len(proxy.entries) == 1

    def test_a_passing_refusal_is_tried_again(
        self, opened: Opener, leaf: Certificate, told: Told
    ) -> None:
        with Server(PAGE, certificate=leaf) as server, Proxy(refuse=503) as proxy:
            session = opened(proxy=proxy.url, retries=1)
            with pytest.raises(ProxyFailedError):
                session.get(f"{server.url}/")
            assert len(proxy.entries) == 2
            assert len(told.retries) == 1

    @pytest.mark.parametrize("url", ["https://files.example/", "http://files.example/"])
    def test_an_absent_proxy_is_not_the_servers_fault(self, url: str, opened: Opener) -> None:
        port = free_port()
        with pytest.raises(ConnectionFailedError) as caught:
            opened(proxy=f"http://localhost:{port}", trusted_hosts=["files.example"]).get(url)
        assert caught.value.hop is Hop.PROXY
        assert caught.value.peer == NetworkOrigin("http", "localhost", port)

    def test_an_unknown_proxy(self, opened: Opener) -> None:
        with pytest.raises(ResolveHostError) as caught:
            opened(proxy="http://proxy.invalid:1").get("https://files.example/")
        assert (caught.value.hop, caught.value.peer.host) == (Hop.PROXY, "proxy.invalid")

    def test_a_server_that_is_absent_behind_it(self, opened: Opener) -> None:
        with Proxy() as proxy:
            with pytest.raises(ProxyFailedError) as caught:
                opened(proxy=proxy.url).get(f"https://localhost:{free_port()}/")
            assert caught.value.status == 502

    @pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
    def test_a_server_that_is_not_trusted_behind_it(
        self, tls: bool, opened: Opener, leaf: Certificate, stranger_leaf: Certificate
    ) -> None:
        with (
            Server(PAGE, certificate=stranger_leaf) as server,
            Proxy(certificate=leaf if tls else None) as proxy,
        ):
            with pytest.raises(VerificationError) as caught:
                opened(proxy=proxy.url).get(f"{server.url}/")
            assert caught.value.hop is Hop.SERVER
            assert caught.value.peer.hostport == server.hostport

    @pytest.mark.parametrize(
        "words",
        [b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 banana\r\n\r\n"],
        ids=["hangs-up", "speaks-ssh", "no-status"],
    )
    def test_something_that_is_no_proxy(self, words: bytes, opened: Opener) -> None:
        with RawServer(saying(words)) as server:
            with pytest.raises(ProxyFailedError) as caught:
                opened(proxy=f"http://127.0.0.1:{server.port}").get("https://files.example/")
            assert caught.value.hop is Hop.PROXY
            assert caught.value.status is None

    def test_an_http_proxy_under_an_https_address(self, opened: Opener) -> None:
        with RawServer(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
            with pytest.raises(TlsError) as caught:
                opened(proxy=f"https://127.0.0.1:{server.port}").get("https://files.example/")
            assert caught.value.hop is Hop.PROXY

    def test_a_silent_proxy(self, opened: Opener) -> None:
        with RawServer(silence) as server:
            with pytest.raises(ConnectionTimeoutError) as caught:
                opened(proxy=f"http://127.0.0.1:{server.port}", timeout=0.3).get(
                    "https://files.example/"
                )
            assert caught.value.hop is Hop.PROXY

    def test_a_silent_tls_proxy(self, opened: Opener) -> None:
        with RawServer(silence) as server:
            with pytest.raises(ConnectionTimeoutError) as caught:
                opened(proxy=f"https://127.0.0.1:{server.port}", timeout=0.3).get(
                    "https://files.example/"
                )
            assert caught.value.hop is Hop.PROXY

    def test_a_status_from_behind_it_is_the_servers(
        self, opened: Opener, leaf: Certificate
    ) -> None:
        faults = Faults(PAGE)
        faults.always("/", status(407))
        with Server(faults, certificate=leaf) as server:
            with pytest.raises(HttpStatusError) as caught:
                opened().get(f"{server.url}/")
            assert caught.value.status == 407


class TestRouting:
    def test_loopback_in_clear_never_leaves_the_machine(self, opened: Opener) -> None:
        with Server(PAGE) as server, Proxy() as proxy:
            assert opened(proxy=proxy.url).get(f"{server.url}/").body == b"hello"
            assert proxy.entries == []

    def test_variables_route_by_scheme_and_host(self, opened: Opener, leaf: Certificate) -> None:
        with ExitStack() as stack:
            one = stack.enter_context(Server(PAGE, certificate=leaf))
            two = stack.enter_context(Server(PAGE, certificate=leaf, host="127.0.0.2"))
            proxy = stack.enter_context(Proxy())
            session = opened(environ={"https_proxy": proxy.url, "no_proxy": "127.0.0.0/8"})
            session.get(f"{one.url}/")
            session.get(f"{two.url}/")
            assert proxy.tunnels == [one.hostport]

    def test_the_process_environment_is_not_read(
        self, opened: Opener, leaf: Certificate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Server(PAGE, certificate=leaf) as server, Proxy() as proxy:
            for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, proxy.url)
            opened().get(f"{server.url}/")
            assert proxy.entries == []

    def test_a_tunnel_is_kept(self, opened: Opener, leaf: Certificate) -> None:
        with Server(PAGE, certificate=leaf) as server, Proxy(certificate=leaf) as proxy:
            session = opened(proxy=proxy.url)
            for _ in range(3):
                session.get(f"{server.url}/")
            assert len(proxy.entries) == 1

    def test_ipv6_in_a_tunnel(self, opened: Opener, leaf: Certificate) -> None:
        if not socket.has_ipv6:
            pytest.skip("no IPv6 here")
        with Server(PAGE, certificate=leaf, host="::1") as server, Proxy() as proxy:
            assert opened(proxy=proxy.url).get(f"{server.url}/").body == b"hello"
            assert proxy.tunnels == [f"[::1]:{server.port}"]


class TestSocks:
    @pytest.mark.parametrize(
        ("scheme", "asked"),
        [("socks5h", "localhost"), ("socks5", "127.0.0.1")],
        ids=["resolves-there", "resolves-here"],
    )
    def test_carries_verified_connections(
        self, scheme: str, asked: str, opened: Opener, leaf: Certificate,
        stranger_leaf: Certificate,
    ) -> None:  # fmt: skip
        with ExitStack() as stack:
            good = stack.enter_context(Server(PAGE, certificate=leaf))
            bad = stack.enter_context(Server(PAGE, certificate=stranger_leaf))
            socks = stack.enter_context(SocksServer())
            session = opened(proxy=f"{scheme}://127.0.0.1:{socks.port}")
            assert session.get(f"{good.url}/").verified
            assert socks.targets[0][1] == good.port
            assert socks.targets[0][0] in {asked, "::1"}
            with pytest.raises(VerificationError) as caught:
                session.get(f"{bad.url}/")
            assert caught.value.hop is Hop.SERVER

    def test_credentials(self, opened: Opener, leaf: Certificate) -> None:
        with (
            Server(PAGE, certificate=leaf) as server,
            SocksServer(credentials=("u", "p@ss")) as socks,
        ):
            url = f"socks5h://u:p%40ss@127.0.0.1:{socks.port}"
            assert opened(proxy=url).get(f"{server.url}/").body == b"hello"
            with pytest.raises(ProxyFailedError) as caught:
                opened(proxy=url.replace("%40", "x")).get(f"{server.url}/")
            assert caught.value.hop is Hop.PROXY
            assert "pxss" not in caught.value.message

    def test_a_refusal(self, opened: Opener) -> None:
        with SocksServer(refuse=5) as socks:
            with pytest.raises(ProxyFailedError) as caught:
                opened(proxy=f"socks5h://127.0.0.1:{socks.port}").get("https://files.example/")
            assert caught.value.hop is Hop.PROXY

    def test_an_absent_proxy(self, opened: Opener) -> None:
        with pytest.raises(ConnectionFailedError) as caught:
            opened(proxy=f"socks5h://127.0.0.1:{free_port()}").get("https://files.example/")
        assert caught.value.hop is Hop.PROXY
        assert not isinstance(caught.value, ProxyFailedError)

    def test_the_missing_extra_is_named(
        self, opened: Opener, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "socks", None)
        with pytest.raises(UsageError) as caught:
            opened(proxy="socks5h://127.0.0.1:1").get("https://files.example/")
        assert "PySocks" in caught.value.message
        assert "kedge[socks]" in (caught.value.hint or "")
