"""Every path is pinned: by handshake, against everything else that would vouch for a server."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any, Literal

import pytest
import requests
import requests.adapters
import truststore

from kedge.errors import VerificationError
from kedge.model import Hop
from support.pki import Authority, Certificate
from support.proxies import Proxy
from support.servers import Server, redirect, tree
from transport.sessions import DECISION, Opener, trusting

Path_ = Literal["direct", "plain-proxy", "tls-proxy"]
PATHS: tuple[Path_, ...] = ("direct", "plain-proxy", "tls-proxy")
PAGE = tree({"/": b"hello", "/big": b"x" * 200_000})


def proxy_on(path: Path_, certificate: Certificate) -> AbstractContextManager[Proxy | None]:
    if path == "direct":
        return nullcontext()
    return Proxy(certificate=certificate if path == "tls-proxy" else None)


@pytest.fixture
def tempted(monkeypatch: pytest.MonkeyPatch, stranger_bundle: Path) -> Path:
    """All that requests, urllib3 and OpenSSL look at by themselves vouches for a stranger."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(stranger_bundle))
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(stranger_bundle))
    monkeypatch.setattr("certifi.where", lambda: str(stranger_bundle))
    return stranger_bundle


class NaiveAdapter(requests.adapters.HTTPAdapter):
    """What one writes first: hand the context to the pool manager."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        kwargs["ssl_context"] = trusting()
        super().init_poolmanager(*args, **kwargs)


def test_the_temptation_is_real(tempted: Path, stranger_leaf: Certificate) -> None:
    # Without this the tests below could pass for the wrong reason.
    with Server(PAGE, certificate=stranger_leaf) as server, requests.Session() as session:
        session.mount("https://", NaiveAdapter())
        assert session.get(server.url).status_code == 200


@pytest.mark.parametrize("path", PATHS)
class TestSession:
    def test_the_decided_source_is_enough(
        self, path: Path_, opened: Opener, leaf: Certificate
    ) -> None:
        with Server(PAGE, certificate=leaf) as server, proxy_on(path, leaf) as proxy:
            response = opened(proxy=proxy.url if proxy else "").get(f"{server.url}/")
            assert (response.body, response.verified) == (b"hello", True)
            if proxy:
                assert proxy.tunnels == [server.hostport]

    def test_nothing_else_vouches(
        self,
        path: Path_,
        opened: Opener,
        leaf: Certificate,
        stranger_leaf: Certificate,
        tempted: Path,
    ) -> None:
        with Server(PAGE, certificate=stranger_leaf) as server, proxy_on(path, leaf) as proxy:
            session = opened(proxy=proxy.url if proxy else "", retries=3)
            with pytest.raises(VerificationError) as caught:
                session.get(f"{server.url}/")
            assert caught.value.hop is Hop.SERVER
            assert caught.value.peer.hostport == server.hostport
            assert caught.value.verify_code in {19, 20}
            assert caught.value.decision is DECISION
            assert "corp.pem" in (caught.value.hint or "")
            assert server.requests == []
            assert len(server.refused()) == 1, "a refused certificate is not tried again"

    def test_a_redirect_is_pinned_too(
        self,
        path: Path_,
        opened: Opener,
        leaf: Certificate,
        stranger_leaf: Certificate,
        tempted: Path,
    ) -> None:
        with ExitStack() as stack:
            behind = stack.enter_context(Server(PAGE, certificate=stranger_leaf))
            front = stack.enter_context(
                Server(lambda _: redirect(f"{behind.url}/"), certificate=leaf)
            )
            proxy = stack.enter_context(proxy_on(path, leaf))
            with pytest.raises(VerificationError) as caught:
                opened(proxy=proxy.url if proxy else "").get(f"{front.url}/")
            assert caught.value.peer.hostport == behind.hostport

    def test_connections_load_nothing_into_the_context(
        self, path: Path_, opened: Opener, leaf: Certificate, private_ca: Authority, tempted: Path
    ) -> None:
        context = trusting(private_ca)
        before = context.cert_store_stats()
        with ExitStack() as stack:
            proxy = stack.enter_context(proxy_on(path, leaf))
            session = opened(context=context, proxy=proxy.url if proxy else "")
            for _ in range(3):
                server = stack.enter_context(Server(PAGE, certificate=leaf))
                session.get(f"{server.url}/")
        assert context.cert_store_stats() == before == {"x509": 1, "crl": 0, "x509_ca": 1}
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname

    def test_a_truststore_context_works(
        self,
        path: Path_,
        opened: Opener,
        leaf: Certificate,
        stranger_leaf: Certificate,
        bundle: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with ExitStack() as stack:
            good = stack.enter_context(Server(PAGE, certificate=leaf))
            bad = stack.enter_context(Server(PAGE, certificate=stranger_leaf))
            proxy = stack.enter_context(proxy_on(path, leaf))
            session = opened(context=context, proxy=proxy.url if proxy else "")
            assert session.get(f"{good.url}/").verified
            with pytest.raises(VerificationError):
                session.get(f"{bad.url}/")


class TestTlsProxy:
    def test_its_hop_is_pinned(
        self, opened: Opener, leaf: Certificate, stranger_leaf: Certificate, tempted: Path
    ) -> None:
        with Server(PAGE, certificate=leaf) as server, Proxy(certificate=stranger_leaf) as proxy:
            with pytest.raises(VerificationError) as caught:
                opened(proxy=proxy.url).get(f"{server.url}/")
            assert caught.value.hop is Hop.PROXY
            assert caught.value.peer.hostport == f"localhost:{proxy.port}"
            assert proxy.entries == []
            assert server.connections == 0

    def test_its_name_is_checked(
        self, opened: Opener, leaf: Certificate, private_ca: Authority
    ) -> None:
        other = private_ca.leaf("proxy.example")
        with Server(PAGE, certificate=leaf) as server, Proxy(certificate=other) as proxy:
            with pytest.raises(VerificationError) as caught:
                opened(proxy=proxy.url).get(f"{server.url}/")
            assert (caught.value.hop, caught.value.verify_code) == (Hop.PROXY, 62)

    def test_plain_http_behind_it_still_verifies_the_proxy(
        self, opened: Opener, leaf: Certificate, stranger_leaf: Certificate, tempted: Path
    ) -> None:
        with Server(PAGE) as server, ExitStack() as stack:
            for certificate, fails in ((leaf, False), (stranger_leaf, True)):
                proxy = stack.enter_context(
                    Proxy(certificate=certificate, names={"files.example": "127.0.0.1"})
                )
                session = opened(proxy=proxy.url, trusted_hosts=["files.example"])
                url = f"http://files.example:{server.port}/"
                if fails:
                    with pytest.raises(VerificationError) as caught:
                        session.get(url)
                    assert caught.value.hop is Hop.PROXY
                else:
                    response = session.get(url)
                    assert (response.body, response.verified) == (b"hello", False)


class TestTrustedHost:
    @pytest.mark.parametrize("path", PATHS)
    def test_is_exempt_on_every_path(
        self, path: Path_, opened: Opener, leaf: Certificate, stranger_leaf: Certificate
    ) -> None:
        with Server(PAGE, certificate=stranger_leaf) as server, proxy_on(path, leaf) as proxy:
            session = opened(proxy=proxy.url if proxy else "", trusted_hosts=[server.hostport])
            response = session.get(f"{server.url}/")
            assert (response.body, response.verified) == (b"hello", False)
            assert not session.verified(server.url)

    def test_never_lends_its_exemption_to_the_proxy(
        self, opened: Opener, stranger_leaf: Certificate, private_ca: Authority
    ) -> None:
        # urllib3 2.2.3 took the target's cert_reqs for the proxy.
        context = trusting(private_ca)
        with (
            Server(PAGE, certificate=stranger_leaf) as server,
            Proxy(certificate=stranger_leaf) as proxy,
        ):
            session = opened(context=context, proxy=proxy.url, trusted_hosts=[server.hostport])
            with pytest.raises(VerificationError) as caught:
                session.get(f"{server.url}/")
            assert caught.value.hop is Hop.PROXY
            assert proxy.entries == []
            assert context.verify_mode is ssl.CERT_REQUIRED

    def test_leaves_the_verified_context_as_it_was(
        self, opened: Opener, leaf: Certificate, stranger_leaf: Certificate, private_ca: Authority
    ) -> None:
        context = trusting(private_ca)
        with ExitStack() as stack:
            exempt = stack.enter_context(Server(PAGE, certificate=stranger_leaf))
            other = stack.enter_context(Server(PAGE, certificate=stranger_leaf, host="127.0.0.1"))
            proxy = stack.enter_context(Proxy(certificate=leaf))
            session = opened(context=context, proxy=proxy.url, trusted_hosts=["localhost"])
            assert session.get(f"{exempt.url}/").body == b"hello"
            with pytest.raises(VerificationError):
                session.get(f"{other.url}/")
            assert context.verify_mode is ssl.CERT_REQUIRED
            assert context.check_hostname

    def test_covers_its_port_alone(self, opened: Opener, stranger_leaf: Certificate) -> None:
        with (
            Server(PAGE, certificate=stranger_leaf) as one,
            Server(PAGE, certificate=stranger_leaf) as two,
        ):
            session = opened(trusted_hosts=[one.hostport])
            assert session.get(f"{one.url}/").body == b"hello"
            with pytest.raises(VerificationError):
                session.get(f"{two.url}/")

    def test_is_told_once_for_each_host(
        self, opened: Opener, stranger_leaf: Certificate, told: Any
    ) -> None:
        with Server(PAGE, certificate=stranger_leaf) as server:
            session = opened(trusted_hosts=["localhost"])
            for _ in range(3):
                session.get(f"{server.url}/")
        assert len(told.warnings) == 1
        assert server.hostport in told.warnings[0]
        assert "--trusted-host" in told.warnings[0]

    def test_taints_what_it_redirects_to(
        self, opened: Opener, leaf: Certificate, stranger_leaf: Certificate
    ) -> None:
        with (
            Server(PAGE, certificate=leaf) as behind,
            Server(lambda _: redirect(f"{behind.url}/"), certificate=stranger_leaf) as front,
        ):
            response = opened(trusted_hosts=[front.hostport]).get(f"{front.url}/")
            assert response.url == f"{behind.url}/"
            assert not response.verified


class TestClientCertificate:
    def identity(self, context: ssl.SSLContext, ca: Authority, folder: Path) -> ssl.SSLContext:
        context.load_cert_chain(ca.client().write_identity(folder / "client.pem"))
        return context

    def test_is_presented_to_index_origins_and_to_nobody_else(
        self, opened: Opener, private_ca: Authority, leaf: Certificate, tmp_path: Path
    ) -> None:
        with ExitStack() as stack:

            def serve() -> Server:
                return stack.enter_context(Server(PAGE, certificate=leaf, client_ca=private_ca))

            index, files = serve(), serve()
            session = opened(
                client_context=self.identity(trusting(private_ca), private_ca, tmp_path),
                index_urls=(f"{index.url}/simple/",),
            )
            session.get(f"{index.url}/")
            session.get(f"{files.url}/")
            assert index.requests[0].client_certificate
            assert files.requests[0].client_certificate is None

    def test_is_never_presented_to_a_proxy(
        self, opened: Opener, private_ca: Authority, leaf: Certificate, tmp_path: Path
    ) -> None:
        with (
            Server(PAGE, certificate=leaf, client_ca=private_ca, client_required=True) as index,
            Proxy(certificate=leaf) as proxy,
        ):
            asked = proxy._context
            assert asked is not None
            presented: list[bytes | None] = []
            asked.verify_mode = ssl.CERT_OPTIONAL
            asked.load_verify_locations(cadata=private_ca.pem.decode())

            class Noting(ssl.SSLSocket):
                def do_handshake(self, block: bool = False) -> None:
                    super().do_handshake(block)
                    presented.append(self.getpeercert(binary_form=True))

            asked.sslsocket_class = Noting
            session = opened(
                proxy=proxy.url,
                client_context=self.identity(trusting(private_ca), private_ca, tmp_path),
                index_urls=(index.url,),
            )
            assert session.get(f"{index.url}/").body == b"hello"
            assert index.requests[0].client_certificate
            assert presented == [None]

    def test_is_presented_to_an_index_that_is_a_trusted_host(
        self, opened: Opener, private_ca: Authority, stranger_leaf: Certificate, tmp_path: Path
    ) -> None:
        blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        blind.check_hostname = False
        blind.verify_mode = ssl.CERT_NONE
        with Server(
            PAGE, certificate=stranger_leaf, client_ca=private_ca, client_required=True
        ) as index:
            session = opened(
                unverified_client_context=self.identity(blind, private_ca, tmp_path),
                index_urls=(index.url,),
                trusted_hosts=["localhost"],
            )
            assert not session.get(f"{index.url}/").verified


def test_a_context_that_does_not_verify_is_refused(opened: Opener) -> None:
    context = trusting()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ValueError, match="CERT_REQUIRED"):
        opened(context=context)


Library = Callable[..., requests.Session]


@pytest.mark.parametrize("path", PATHS)
class TestLibrary:
    def test_the_decided_source_is_enough(
        self, path: Path_, library: Library, leaf: Certificate
    ) -> None:
        with Server(PAGE, certificate=leaf) as server, proxy_on(path, leaf) as proxy:
            session = library(proxy=proxy.url if proxy else "")
            assert session.get(server.url).content == b"hello"
            if proxy:
                assert proxy.tunnels == [server.hostport]

    @pytest.mark.parametrize("loosen", ["nothing", "verify-path", "verify-off", "argument", "env"])
    def test_nothing_else_vouches(
        self,
        path: Path_,
        loosen: str,
        library: Library,
        leaf: Certificate,
        stranger_leaf: Certificate,
        tempted: Path,
    ) -> None:
        with Server(PAGE, certificate=stranger_leaf) as server, proxy_on(path, leaf) as proxy:
            session = library(proxy=proxy.url if proxy else "", retries=3)
            arguments: dict[str, Any] = {}
            if loosen == "verify-path":
                session.verify = str(tempted)
            elif loosen == "verify-off":
                session.verify = False
            elif loosen == "argument":
                arguments["verify"] = False
            elif loosen == "env":
                session.trust_env = True
            with pytest.raises(requests.exceptions.SSLError):
                session.get(server.url, **arguments)
            assert server.requests == []
            assert len(server.refused()) == 1, "a refused certificate is not tried again"

    def test_connections_load_nothing_into_the_context(
        self,
        path: Path_,
        library: Library,
        leaf: Certificate,
        private_ca: Authority,
        tempted: Path,
    ) -> None:
        context = trusting(private_ca)
        with ExitStack() as stack:
            proxy = stack.enter_context(proxy_on(path, leaf))
            session = library(context=context, proxy=proxy.url if proxy else "")
            for _ in range(3):
                server = stack.enter_context(Server(PAGE, certificate=leaf))
                session.get(server.url)
        assert context.cert_store_stats()["x509"] == 1


class TestLibraryProxy:
    def test_the_hop_to_the_proxy_is_pinned(
        self, library: Library, leaf: Certificate, stranger_leaf: Certificate, tempted: Path
    ) -> None:
        with Server(PAGE, certificate=leaf) as server, Proxy(certificate=stranger_leaf) as proxy:
            session = library(proxy=proxy.url)
            session.verify = False
            with pytest.raises(requests.exceptions.ProxyError):
                session.get(server.url)
            assert proxy.entries == []

    def test_a_proxy_of_the_caller_is_pinned_too(
        self, library: Library, leaf: Certificate, stranger_leaf: Certificate, tempted: Path
    ) -> None:
        with Server(PAGE, certificate=leaf) as server, Proxy(certificate=stranger_leaf) as proxy:
            with pytest.raises(requests.exceptions.ProxyError):
                library().get(server.url, proxies={"https": proxy.url}, verify=False)
            assert proxy.entries == []
