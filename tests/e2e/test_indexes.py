"""Installing from the index servers that people run, and from every form of the simple API."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import pytest

from support.index_servers import Guard, IndexServer, devpi, folders_behind_nginx, pypiserver
from support.indexes import CoreMetadata, SimpleIndex, files_fetched, page_of
from support.pki import Authority
from support.proxies import with_credentials
from support.servers import Server, compressed, redirect, tree, with_basic_auth
from support.venvs import Kedge, Venv
from support.wheels import wheel

pytestmark = [pytest.mark.once, pytest.mark.timeout(600)]  # some servers are slow to start

ARTIFACTS = (
    wheel("apple", "1.0"),
    wheel("apple", "2.0", requires=["Mixed.Case_Name>=1"]),
    wheel("apple", "3.0", requires_python=">=99"),
    wheel("Mixed.Case_Name", "1.5", entry_points={"mixed-tell": "mixed_case_name:main"}),
)
INSTALLED = {"apple": "2.0", "mixed-case-name": "1.5"}


_SERVERS = [
    pytest.param(folders_behind_nginx, id="nginx", marks=pytest.mark.tool("nginx")),
    pytest.param(pypiserver, id="pypiserver", marks=pytest.mark.tool("nginx", "pypi-server")),
    pytest.param(devpi, id="devpi", marks=pytest.mark.tool("nginx", "devpi-init", "devpi-server")),
]


@pytest.fixture(scope="module", params=_SERVERS)
def index_server(
    request: pytest.FixtureRequest,
    private_ca: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[IndexServer]:
    serve: Callable[..., AbstractContextManager[IndexServer]] = request.param
    leaf = private_ca.leaf("localhost", "127.0.0.1")
    with serve(tmp_path_factory.mktemp("index"), leaf, ARTIFACTS) as running:
        yield running


class TestRealServers:
    def test_an_install(
        self, plain_kedge: Kedge, target: Venv, index_server: IndexServer, bundle: Path
    ) -> None:
        words = ("--index-url", index_server.url, "--cert", bundle)
        plain_kedge("install", "apple", *words).succeeded()
        assert target.versions() == INSTALLED
        assert target.run_script("mixed-tell") == "Mixed.Case_Name 1.5\n"

    def test_its_authority_is_needed(
        self, plain_kedge: Kedge, target: Venv, index_server: IndexServer, stranger_bundle: Path
    ) -> None:
        before = len(index_server.requests)
        words = ("--index-url", index_server.url, "--cert", stranger_bundle)
        outcome = plain_kedge("install", "apple", *words)
        outcome.failed(1, saying=[index_server.url.split("/")[2], "--cert", str(stranger_bundle)])
        assert len(index_server.requests) == before
        assert target.versions() == {}

    def test_what_is_not_there(
        self, plain_kedge: Kedge, index_server: IndexServer, bundle: Path
    ) -> None:
        words = ("--index-url", index_server.url, "--cert", bundle)
        plain_kedge("install", "no-such-project", *words).failed(1, saying=["no-such-project"])


class TestGuardedServers:
    """The same servers behind basic authentication, behind client certificates, and behind both."""

    USER, PASSWORD = "someone", "s3cr&t/word"

    @pytest.fixture(params=["password", "certificate", "both"])
    def asks(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture(params=_SERVERS)
    def guarded(
        self,
        request: pytest.FixtureRequest,
        asks: str,
        private_ca: Authority,
        tmp_path: Path,
    ) -> Iterator[IndexServer]:
        guard = Guard(
            users={} if asks == "certificate" else {self.USER: self.PASSWORD},
            client_ca=None if asks == "password" else private_ca,
        )
        leaf = private_ca.leaf("localhost", "127.0.0.1")
        with request.param(tmp_path / "guarded", leaf, ARTIFACTS, guard) as running:
            yield running

    def test_each_lets_in_who_brings_what_it_asks_for(
        self,
        plain_kedge: Kedge,
        target: Venv,
        guarded: IndexServer,
        asks: str,
        private_ca: Authority,
        stranger_ca: Authority,
        bundle: Path,
        tmp_path: Path,
    ) -> None:
        kedge = plain_kedge.having("--cert", bundle)
        # Without anything.
        outcome = kedge("install", "apple", "-i", guarded.url).failed(1, saying=["localhost"])
        if asks == "password":
            assert "401" in outcome.text
            assert "No credentials were sent" in outcome.text
        else:
            assert "--client-cert" in outcome.text
        # With what is not good enough.
        words = ["-i", with_credentials(guarded.url, self.USER, "wrong-word")]
        if asks != "password":
            client = stranger_ca.client().write_identity(tmp_path / "stranger.pem")
            words += ["--client-cert", str(client)]
        outcome = kedge("install", "apple", *words).failed(1)
        if asks == "password":
            assert "does not accept the credentials of user 'someone'" in outcome.text
        else:
            assert "client certificate" in outcome.text
        assert "wrong-word" not in outcome.stderr
        assert target.versions() == {}
        # With what it asks for.
        url = guarded.url
        words = []
        if asks != "certificate":
            url = with_credentials(url, self.USER, self.PASSWORD)
        if asks != "password":
            client_cert = private_ca.client()
            (tmp_path / "client.pem").write_bytes(client_cert.chain_pem)
            (tmp_path / "client.key").write_bytes(client_cert.key_pem)
            words += ["--client-cert", str(tmp_path / "client.pem")]
            words += ["--client-key", str(tmp_path / "client.key")]
        outcome = kedge("install", "apple", "-i", url, *words, "-v").succeeded()
        assert target.versions() == INSTALLED
        assert "s3cr" not in outcome.stderr + outcome.stdout


class TestTheSimpleApi:
    @pytest.mark.parametrize("style", ["json", "html", "legacy"])
    @pytest.mark.parametrize(
        "core_metadata",
        [CoreMetadata.HASHED, CoreMetadata.UNHASHED, CoreMetadata.NONE],
    )
    @pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no-ranges"])
    def test_every_form(
        self,
        kedge: Kedge,
        target: Venv,
        private_ca: Authority,
        style: Literal["json", "html", "legacy"],
        core_metadata: CoreMetadata,
        ranges: bool,
    ) -> None:
        index = SimpleIndex(
            list(ARTIFACTS), style=style, core_metadata=core_metadata, ranges=ranges
        )
        with Server(compressed(index), certificate=private_ca.leaf("localhost")) as server:
            kedge("install", "apple", "-i", f"{server.url}/simple").succeeded()
            assert sorted(set(files_fetched(server))) == sorted(
                artifact.filename for artifact in (ARTIFACTS[1], ARTIFACTS[3])
            )
        assert target.versions() == INSTALLED

    def test_wheels_of_some_size_are_not_fetched_to_be_read(
        self, kedge: Kedge, private_ca: Authority
    ) -> None:
        """Without metadata files a wheel's own is read by ranges: a dry run takes little."""
        large = wheel("large", files={"large/data.bin": os.urandom(1_000_000)}, requires=["apple"])
        index = SimpleIndex([large, ARTIFACTS[0]], core_metadata=CoreMetadata.NONE)
        with Server(index, certificate=private_ca.leaf("localhost")) as server:
            kedge("install", "--dry-run", "large", "-i", f"{server.url}/simple").succeeded()
            asked = [r for r in server.requests if r.path == f"/files/{large.filename}"]
        assert asked
        assert all(request.method == "HEAD" or request.headers["Range"] for request in asked)

    @pytest.mark.parametrize("wrong", [CoreMetadata.WRONG_HASH, CoreMetadata.WRONG_BYTES])
    def test_metadata_files_that_lie_change_nothing(
        self, kedge: Kedge, target: Venv, private_ca: Authority, wrong: CoreMetadata
    ) -> None:
        """A metadata file that does not have its hash is never believed."""
        index = SimpleIndex(list(ARTIFACTS), core_metadata=wrong)
        with Server(index, certificate=private_ca.leaf("localhost")) as server:
            outcome = kedge("install", "apple", "-i", f"{server.url}/simple")
        outcome.without_traceback()
        assert "not-in-the-wheel" not in target.versions()
        assert (outcome.code, target.versions()) in [(0, INSTALLED), (1, {})]

    def test_files_on_another_host_are_under_the_same_decision(
        self,
        kedge: Kedge,
        target: Venv,
        private_ca: Authority,
        stranger_ca: Authority,
    ) -> None:
        files = SimpleIndex(list(ARTIFACTS))
        for authority, passes in ((private_ca, True), (stranger_ca, False)):
            leaf = authority.leaf("127.0.0.1")
            with Server(files, certificate=leaf, host="127.0.0.1") as there:
                pages = SimpleIndex(
                    list(ARTIFACTS), files_at=there.url, core_metadata=CoreMetadata.NONE
                )
                with Server(pages, certificate=private_ca.leaf("localhost")) as here:
                    words = ("--force-reinstall", "apple", "-i", f"{here.url}/simple")
                    outcome = kedge("install", *words, "--no-cache-dir")
                if passes:
                    outcome.succeeded()
                    assert files_fetched(there)
                else:
                    outcome.failed(1, saying=[there.hostport])
                    assert there.asked == []

    def test_several_indexes_are_one(
        self, kedge: Kedge, target: Venv, private_ca: Authority
    ) -> None:
        other = SimpleIndex([wheel("apple", "9.0"), wheel("zebra", "1.0")])
        with Server(other, certificate=private_ca.leaf("localhost")) as server:
            words = ("--extra-index-url", f"{server.url}/simple")
            kedge("install", "apple", "zebra", "banana", *words).succeeded()
        assert target.versions() == {"apple": "9.0", "zebra": "1.0", "banana": "2.0"}

    def test_a_tls_failure_at_any_index_is_fatal(
        self, kedge: Kedge, target: Venv, stranger_ca: Authority, server: Server
    ) -> None:
        """pip goes on to the next index, installs from there and ends with 0 (pypa/pip#12655)."""
        other = SimpleIndex([wheel("apple", "9.0")])
        with Server(other, certificate=stranger_ca.leaf("localhost")) as refused:
            words = ("--extra-index-url", f"{refused.url}/simple")
            kedge("install", "apple", *words).failed(1, saying=[refused.hostport])
        assert target.versions() == {}

    def test_a_redirect_to_another_host_is_followed_and_verified(
        self, kedge: Kedge, target: Venv, server: Server, private_ca: Authority
    ) -> None:
        leaf = private_ca.leaf("127.0.0.1")
        with Server(
            lambda request: redirect(f"{server.url}{request.path}"),
            certificate=leaf,
            host="127.0.0.1",
        ) as first:
            kedge("install", "banana", "-i", f"{first.url}/simple").succeeded()
        assert target.versions() == {"banana": "2.0"}

    def test_a_redirect_to_http_is_refused(
        self, kedge: Kedge, target: Venv, catalogue: SimpleIndex, private_ca: Authority
    ) -> None:
        leaf = private_ca.leaf("localhost")
        with Server(catalogue) as plain:
            target_url = f"http://127.0.0.1:{plain.port}"
            with Server(
                lambda request: redirect(f"{target_url}{request.path}"), certificate=leaf
            ) as first:
                kedge("install", "banana", "-i", f"{first.url}/simple").failed(
                    1, saying=[f"127.0.0.1:{plain.port}"]
                )
            assert plain.requests == []
        assert target.versions() == {}


class TestCredentials:
    USER, PASSWORD = "someone", "s3cr&t/word"

    @pytest.fixture
    def guarded(self, catalogue: SimpleIndex, private_ca: Authority) -> Iterator[Server]:
        handler = with_basic_auth(catalogue, self.USER, self.PASSWORD)
        with Server(handler, certificate=private_ca.leaf("localhost")) as server:
            yield server

    def test_in_the_url(self, kedge: Kedge, target: Venv, guarded: Server) -> None:
        url = f"https://{self.USER}:s3cr%26t%2Fword@{guarded.hostport}/simple/"
        outcome = kedge("install", "apple", "-v", "-i", url).succeeded()
        assert target.versions() == {"apple": "2.0", "banana": "2.0"}
        assert "s3cr" not in outcome.stderr + outcome.stdout

    def test_in_netrc(self, kedge: Kedge, home: Path, target: Venv, guarded: Server) -> None:
        netrc = home / ".netrc"
        netrc.write_text(f"machine localhost login {self.USER} password {self.PASSWORD}\n")
        netrc.chmod(0o600)
        kedge("install", "apple", "-i", f"{guarded.url}/simple/").succeeded()
        assert target.versions() == {"apple": "2.0", "banana": "2.0"}

    @pytest.mark.parametrize("userinfo", ["", "someone:wrong-word@"], ids=["none", "wrong"])
    def test_refused(self, kedge: Kedge, target: Venv, guarded: Server, userinfo: str) -> None:
        url = f"https://{userinfo}{guarded.hostport}/simple/"
        outcome = kedge("install", "apple", "-i", url)
        outcome.failed(1, saying=["401", guarded.hostport])
        assert "wrong-word" not in outcome.stderr
        assert target.versions() == {}

    def test_they_stay_with_their_host(
        self, kedge: Kedge, target: Venv, catalogue: SimpleIndex, private_ca: Authority
    ) -> None:
        leaf = private_ca.leaf("127.0.0.1")
        with Server(catalogue, certificate=leaf, host="127.0.0.1") as files:
            pages = SimpleIndex(catalogue.files, files_at=files.url)
            handler = with_basic_auth(pages, self.USER, self.PASSWORD)
            with Server(handler, certificate=private_ca.leaf("localhost")) as server:
                url = f"https://{self.USER}:s3cr%26t%2Fword@{server.hostport}/simple/"
                kedge("install", "banana", "-i", url).succeeded()
            assert files.requests
            assert not any(request.headers["Authorization"] for request in files.requests)

    def test_a_client_certificate(
        self,
        kedge: Kedge,
        target: Venv,
        catalogue: SimpleIndex,
        private_ca: Authority,
        tmp_path: Path,
    ) -> None:
        identity = private_ca.client().write_identity(tmp_path / "client.pem")
        leaf = private_ca.leaf("localhost")
        with Server(
            catalogue, certificate=leaf, client_ca=private_ca, client_required=True
        ) as server:
            url = f"{server.url}/simple/"
            kedge("install", "banana", "-i", url).failed(1, saying=[server.hostport])
            kedge("install", "banana", "-i", url, "--client-cert", identity).succeeded()
        assert target.versions() == {"banana": "2.0"}


class TestLinks:
    """``--find-links`` and ``--no-index``."""

    def test_a_folder_and_no_index(self, plain_kedge: Kedge, target: Venv, tmp_path: Path) -> None:
        for artifact in ARTIFACTS:
            artifact.write(tmp_path / "links")
        words = ("apple", "--no-index", "--find-links", tmp_path / "links")
        plain_kedge("install", *words).succeeded()
        assert target.versions() == INSTALLED

    @pytest.mark.parametrize("trusted", [True, False])
    def test_a_page(
        self,
        plain_kedge: Kedge,
        target: Venv,
        private_ca: Authority,
        bundle: Path,
        stranger_bundle: Path,
        trusted: bool,
    ) -> None:
        files = {f"/{artifact.filename}": artifact.data for artifact in ARTIFACTS}
        files["/links.html"] = page_of(artifact.filename for artifact in ARTIFACTS)
        with Server(tree(files), certificate=private_ca.leaf("localhost")) as server:
            cert = bundle if trusted else stranger_bundle
            words = ("apple", "--no-index", "-f", f"{server.url}/links.html", "--cert", cert)
            outcome = plain_kedge("install", *words)
            if trusted:
                outcome.succeeded()
                assert target.versions() == INSTALLED
            else:
                outcome.failed(1, saying=[server.hostport])
                assert server.asked == []
