"""Installing through proxies: plain, TLS, with credentials, and one that re-signs everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.pki import Authority, Certificate, authority
from support.proxies import Interceptor, Proxy, free_port, mitmproxy, with_credentials
from support.servers import Server
from support.venvs import Kedge, Venv

USER, PASSWORD = "a.user", "p@ss:w/rd %"
# Without a colon, which mitmproxy's own option could not tell from its separator.
INSPECTOR_LOGIN = (USER, "p@ss w/rd %")


class TestOurOwn:
    @pytest.fixture(params=["http", "https"])
    def own_certificate(
        self, request: pytest.FixtureRequest, private_ca: Authority
    ) -> Certificate | None:
        return private_ca.leaf("localhost") if request.param == "https" else None

    @pytest.fixture
    def proxy(self, own_certificate: Certificate | None) -> Iterator[Proxy]:
        with Proxy(certificate=own_certificate) as proxy:
            yield proxy

    @pytest.fixture
    def guarded(self, own_certificate: Certificate | None) -> Iterator[Proxy]:
        with Proxy(
            certificate=own_certificate,
            credentials=(USER, PASSWORD),
        ) as proxy:
            yield proxy

    @pytest.mark.parametrize(
        "way", ["flag", "PIP_PROXY", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "file"]
    )
    def test_it_is_used_however_it_is_named(
        self, kedge: Kedge, target: Venv, proxy: Proxy, server: Server, way: str, tmp_path: Path
    ) -> None:
        if way == "flag":
            kedge = kedge.having("--proxy", proxy.url)
        elif way == "file":
            (tmp_path / "pip.conf").write_text(f"[global]\nproxy = {proxy.url}\n")
            kedge = kedge.having(PIP_CONFIG_FILE=str(tmp_path / "pip.conf"))
        else:
            kedge = kedge.having(**{way: proxy.url})
        kedge("install", "apple").succeeded()
        assert target.versions() == {"apple": "2.0", "banana": "2.0"}
        assert set(proxy.tunnels) == {server.hostport}

    @pytest.mark.parametrize("none", ["localhost", "*", "127.0.0.1, localhost"])
    def test_no_proxy_goes_past_it(
        self, kedge: Kedge, target: Venv, proxy: Proxy, none: str
    ) -> None:
        kedge.having(HTTPS_PROXY=proxy.url, NO_PROXY=none)("install", "banana").succeeded()
        assert target.versions() == {"banana": "2.0"}
        assert proxy.entries == []

    def test_an_empty_flag_switches_proxies_off(self, kedge: Kedge, proxy: Proxy) -> None:
        kedge.having("--proxy", "", HTTPS_PROXY=proxy.url)("install", "banana").succeeded()
        assert proxy.entries == []

    def test_credentials_reach_the_proxy_and_nobody_else(
        self, kedge: Kedge, target: Venv, guarded: Proxy, server: Server
    ) -> None:
        outcome = kedge("install", "banana", "-v", "--proxy", guarded.authorized_url).succeeded()
        assert target.versions() == {"banana": "2.0"}
        assert guarded.entries[-1].credentials == (USER, PASSWORD)
        assert all(not request.headers["Proxy-Authorization"] for request in server.requests)
        assert all(not request.headers["Authorization"] for request in server.requests)
        assert PASSWORD not in outcome.stderr
        assert guarded.authorized_url not in outcome.stderr

    @pytest.mark.parametrize("given", [None, (USER, "wrong-secret")], ids=["none", "wrong"])
    def test_refused_credentials_are_a_clear_error(
        self,
        kedge: Kedge,
        target: Venv,
        guarded: Proxy,
        server: Server,
        given: tuple[str, str] | None,
    ) -> None:
        url = with_credentials(guarded.url, *given) if given else guarded.url
        outcome = kedge("install", "banana", "--proxy", url)
        outcome.failed(1, saying=["407", f"localhost:{guarded.port}"])
        assert "wrong-secret" not in outcome.stderr
        assert server.handshakes == []
        assert target.versions() == {}

    def test_a_proxy_that_refuses_the_host(
        self, kedge: Kedge, own_certificate: Certificate | None, target: Venv
    ) -> None:
        with Proxy(certificate=own_certificate, refuse=403) as proxy:
            outcome = kedge("install", "banana", "--proxy", proxy.url)
            outcome.failed(1, saying=["403", f"localhost:{proxy.port}"])

    def test_a_proxy_that_is_not_there(self, kedge: Kedge) -> None:
        port = free_port()
        words = ("banana", "--proxy", f"http://localhost:{port}", "--retries", "0")
        kedge("install", *words).failed(1, saying=[f"localhost:{port}"])

    def test_trusted_host_never_speaks_for_the_proxy(
        self, plain_kedge: Kedge, stranger_ca: Authority, private_ca: Authority, index_url: str
    ) -> None:
        with Proxy(certificate=stranger_ca.leaf("localhost")) as proxy:
            words = ("banana", "-i", index_url, "--proxy", proxy.url)
            outcome = plain_kedge("install", *words, "--trusted-host", "localhost")
            outcome.failed(1, saying=[f"localhost:{proxy.port}"])
            assert [entry for entry in proxy.entries if not entry.is_bare_probe] == []

    def test_names_are_the_proxys_to_resolve(
        self, plain_kedge: Kedge, target: Venv, private_ca: Authority, bundle: Path, server: Server
    ) -> None:
        leaf = private_ca.leaf("index.example")
        with (
            Server(server.handler, certificate=leaf) as named,
            Proxy(names={"index.example": "127.0.0.1"}) as proxy,
        ):
            url = f"https://index.example:{named.port}/simple/"
            words = ("banana", "-i", url, "--cert", bundle, "--proxy", proxy.url)
            plain_kedge("install", *words).succeeded()
        assert target.versions() == {"banana": "2.0"}
        assert named.handshakes[0].server_name == "index.example"


@pytest.fixture(scope="module")
def inspection_ca() -> Authority:
    # As such roots often are: no key usage, which strict verification would refuse.
    return authority("Kedge Test Inspection Root", key_usage=False)


@pytest.fixture(
    scope="module",
    params=[None, INSPECTOR_LOGIN],
    ids=["open", "credentials"],
)
def inspector(
    request: pytest.FixtureRequest,
    inspection_ca: Authority,
    private_ca: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Interceptor]:
    folder = tmp_path_factory.mktemp("mitm")
    with mitmproxy(folder, inspection_ca, trusts=private_ca, credentials=request.param) as running:
        yield running


@pytest.mark.tool("mitmdump")
class TestInspection:
    """A company's proxy: every connection is opened and signed anew by an authority of its own."""

    @pytest.fixture
    def proxy_url(self, inspector: Interceptor) -> str:
        return inspector.authorized_url if inspector.credentials else inspector.url

    @pytest.fixture
    def inspection_pem(self, inspection_ca: Authority, tmp_path: Path) -> Path:
        return inspection_ca.write_pem(tmp_path / "inspection.pem")

    @pytest.mark.parametrize("way", ["cert", "variable", "truststore", "extra"])
    def test_its_authority_is_enough(
        self,
        plain_kedge: Kedge,
        target: Venv,
        index_url: str,
        inspector: Interceptor,
        proxy_url: str,
        inspection_pem: Path,
        server: Server,
        way: str,
    ) -> None:
        words, environ = {
            "cert": (["--cert", str(inspection_pem)], {}),
            "variable": ([], {"REQUESTS_CA_BUNDLE": str(inspection_pem)}),
            "truststore": (["--use-feature=truststore"], {"SSL_CERT_FILE": str(inspection_pem)}),
            "extra": (["--extra-cert", str(inspection_pem)], {}),
        }[way]
        kedge = plain_kedge.having(*words, **environ)
        kedge("install", "apple", "-i", index_url, "--proxy", proxy_url).succeeded()
        assert target.versions() == {"apple": "2.0", "banana": "2.0"}
        assert server.hostport in inspector.hosts

    def test_the_servers_own_authority_is_not(
        self, kedge: Kedge, target: Venv, proxy_url: str, server: Server, bundle: Path
    ) -> None:
        outcome = kedge("install", "apple", "--proxy", proxy_url)
        outcome.failed(1, saying=[server.hostport, "PIP_CERT", str(bundle)])
        assert (
            "certificate verify failed" in outcome.text.lower() or "unable to get" in outcome.text
        )
        assert server.asked == []
        assert target.versions() == {}

    @pytest.mark.parametrize("inspector", [INSPECTOR_LOGIN], indirect=True)
    def test_wrong_credentials(
        self,
        plain_kedge: Kedge,
        index_url: str,
        inspector: Interceptor,
        inspection_pem: Path,
        server: Server,
    ) -> None:
        url = with_credentials(inspector.url, USER, "wrong-secret")
        words = ("apple", "-i", index_url, "--proxy", url, "--cert", inspection_pem)
        outcome = plain_kedge("install", *words).failed(1, saying=["407"])
        assert "wrong-secret" not in outcome.stderr
        assert server.asked == []
