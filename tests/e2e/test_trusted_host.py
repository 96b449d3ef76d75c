"""``--trusted-host``: one host, loudly, and nothing of it is kept that nobody vouches for.

And with hashes, the way to set up a machine that does not know its authority yet.
"""

from __future__ import annotations

import base64
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from support.indexes import CoreMetadata, SimpleIndex, files_fetched
from support.pki import Authority
from support.proxies import Proxy
from support.servers import Server, redirect
from support.venvs import Kedge, Venv
from support.wheels import Artifact, sdist, wheel

#: Stands in everything that a false server serves, also where it is compressed in a wheel.
MARK = "of-the-false-server"

TRUE = (wheel("apple", "1.0", requires=["banana"]), wheel("banana", "1.0"))
FALSE = (
    wheel("apple", "1.0", requires=["banana", "intruder"], files={"apple/bad.py": f"# {MARK}\n"}),
    wheel("banana", "1.0", files={"banana/bad.py": f"# {MARK}\n"}),
    wheel("intruder", "1.0", files={"intruder/bad.py": f"# {MARK}\n"}),
)
#: A backend inside the project: builds with nothing else.
BACKEND = """
import base64, pathlib
WHEEL = "plum-1.0-py3-none-any.whl"
def get_requires_for_build_wheel(config_settings=None):
    return []
def build_wheel(directory, config_settings=None, metadata_directory=None):
    data = base64.b64decode("@WHEEL@")
    pathlib.Path(directory, WHEEL).write_bytes(data)
    return WHEEL
"""


def built_by_itself() -> Artifact:
    """A source distribution whose backend, inside it, makes the false server's wheel."""
    data = wheel("plum", files={"plum/bad.py": MARK}).data
    backend = BACKEND.replace("@WHEEL@", base64.b64encode(data).decode())
    project = (
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "plum"\nversion = "1.0"\n'
    )
    return sdist("plum", files={"backend.py": backend, "pyproject.toml": project})


@pytest.fixture
def index() -> SimpleIndex:
    return SimpleIndex(list(FALSE))


@pytest.fixture
def server(index: SimpleIndex, private_ca: Authority) -> Iterator[Server]:
    """One address, at which at first a false server answers, and later the true one."""
    with Server(index, certificate=private_ca.leaf("localhost", "127.0.0.1")) as running:
        yield running


@pytest.fixture
def cache(home: Path) -> Path:
    return home / ".cache"


@pytest.fixture
def blind(plain_kedge: Kedge, server: Server) -> Kedge:
    """kedge that does not verify the server."""
    words = ("-i", f"{server.url}/simple/", "--trusted-host", server.hostport)
    return plain_kedge.having(*words)


def kept(cache: Path) -> list[str]:
    """What the cache holds of what the false server served, unpacked or not."""
    found = []
    for path in cache.rglob("*"):
        if path.is_file() and (MARK.encode() in path.read_bytes() or _packed(path.read_bytes())):
            found.append(str(path.relative_to(cache)))
        if path.is_file() and b"intruder" in path.read_bytes():
            found.append(str(path.relative_to(cache)))
    return found


def _packed(data: bytes) -> bool:
    if not data.startswith(b"PK"):
        return False
    with zipfile.ZipFile(BytesIO(data)) as archive:
        return any(MARK.encode() in archive.read(name) for name in archive.namelist())


class TestOneHost:
    def test_it_is_not_verified_and_that_is_said(
        self, blind: Kedge, target: Venv, server: Server
    ) -> None:
        outcome = blind("install", "banana", "-q").succeeded()
        assert target.versions() == {"banana": "1.0"}
        assert server.hostport in outcome.stderr
        assert "warning:" in outcome.stderr

    def test_another_port_is_verified(
        self, plain_kedge: Kedge, target: Venv, server: Server
    ) -> None:
        words = ("-i", f"{server.url}/simple/", "--trusted-host", f"localhost:{server.port - 1}")
        plain_kedge("install", "banana", *words).failed(1, saying=[server.hostport])
        assert server.asked == []

    def test_without_a_port_every_port_of_it(
        self, plain_kedge: Kedge, target: Venv, server: Server
    ) -> None:
        words = ("-i", f"{server.url}/simple/", "--trusted-host", "localhost")
        plain_kedge("install", "banana", *words).succeeded()

    def test_another_host_that_it_names_is_verified(
        self, blind: Kedge, target: Venv, index: SimpleIndex, stranger_ca: Authority
    ) -> None:
        leaf = stranger_ca.leaf("127.0.0.1")
        with Server(SimpleIndex(list(TRUE)), certificate=leaf, host="127.0.0.1") as files:
            index.files_at = files.url
            blind("install", "banana").failed(1, saying=[files.hostport])
            assert files.asked == []
        assert target.versions() == {}

    def test_the_proxy_on_the_way_is_verified(
        self, blind: Kedge, target: Venv, stranger_ca: Authority
    ) -> None:
        with Proxy(certificate=stranger_ca.leaf("localhost")) as proxy:
            outcome = blind("install", "banana", "--proxy", proxy.url)
            outcome.failed(1, saying=[str(proxy.port)])
            assert proxy.tunnels == []
        assert target.versions() == {}


class TestNothingIsKept:
    @pytest.mark.parametrize("core_metadata", list(CoreMetadata)[:3])
    def test_of_an_index(
        self,
        blind: Kedge,
        target: Venv,
        index: SimpleIndex,
        cache: Path,
        core_metadata: CoreMetadata,
    ) -> None:
        index.core_metadata = core_metadata
        blind("install", "apple").succeeded()
        assert set(target.versions()) == {"apple", "banana", "intruder"}
        assert kept(cache) == []

    def test_what_it_served_does_not_come_back_once_it_is_verified(
        self, blind: Kedge, plain_kedge: Kedge, target: Venv, server: Server, bundle: Path
    ) -> None:
        """Poisoned first, then asked again at the same address, which is the true server now."""
        blind("install", "apple").succeeded()
        server.handler = SimpleIndex(list(TRUE))
        words = ("-i", f"{server.url}/simple/", "--cert", bundle, "--force-reinstall")
        plain_kedge("uninstall", "-y", "intruder").succeeded()
        plain_kedge("install", "apple", *words).succeeded()
        assert set(target.versions()) == {"apple", "banana"}
        assert not list(target.site.rglob("bad.py"))

    def test_of_a_page_that_a_verified_server_sends_there_for(
        self,
        plain_kedge: Kedge,
        private_ca: Authority,
        stranger_ca: Authority,
        bundle: Path,
        cache: Path,
    ) -> None:
        leaf = stranger_ca.leaf("127.0.0.1")
        with (
            Server(SimpleIndex(list(FALSE)), certificate=leaf, host="127.0.0.1") as there,
            Server(
                lambda request: redirect(f"{there.url}{request.path}"),
                certificate=private_ca.leaf("localhost"),
            ) as front,
        ):
            words = ("-i", f"{front.url}/simple/", "--cert", bundle)
            words_here = ("--trusted-host", there.hostport)
            plain_kedge("install", "apple", *words, *words_here).succeeded()
        assert kept(cache) == []

    def test_what_is_built(
        self, blind: Kedge, target: Venv, index: SimpleIndex, cache: Path
    ) -> None:
        index.add(built_by_itself())
        blind("install", "plum").succeeded()
        assert target.versions() == {"plum": "1.0"}
        assert kept(cache) == []

    def test_a_file_is_under_the_hash_of_a_verified_page(
        self,
        plain_kedge: Kedge,
        target: Venv,
        private_ca: Authority,
        stranger_ca: Authority,
        bundle: Path,
    ) -> None:
        """The page vouches for the bytes, whoever brings them."""
        leaf = stranger_ca.leaf("127.0.0.1")
        with Server(SimpleIndex(list(TRUE)), certificate=leaf, host="127.0.0.1") as files:
            pages = SimpleIndex(list(TRUE), files_at=files.url)
            with Server(pages, certificate=private_ca.leaf("localhost")) as server:
                kedge = plain_kedge.having("-i", f"{server.url}/simple/", "--cert", bundle)
                for _ in range(2):
                    words = ("banana", "--trusted-host", files.hostport, "--force-reinstall")
                    kedge("install", *words).succeeded()
            assert len(files_fetched(files)) == 1, "the second time it came from the cache"


class TestBootstrapping:
    """A machine that has nothing but a list of hashes, from a place that it trusts already."""

    def lock(self, folder: Path, *artifacts: Artifact) -> Path:
        path = folder / "bootstrap.txt"
        lines = [f"{a.name}=={a.version} --hash=sha256:{a.sha256}\n" for a in artifacts]
        path.write_text("".join(lines))
        return path

    def test_the_true_files_are_installed(
        self, blind: Kedge, target: Venv, server: Server, tmp_path: Path
    ) -> None:
        server.handler = SimpleIndex(list(TRUE))
        words = ("--require-hashes", "-r", self.lock(tmp_path, *TRUE))
        blind("install", *words).succeeded()
        assert target.versions() == {"apple": "1.0", "banana": "1.0"}

    def test_others_are_refused(
        self, blind: Kedge, target: Venv, tmp_path: Path, cache: Path, index: SimpleIndex
    ) -> None:
        words = ("--require-hashes", "-r", self.lock(tmp_path, *TRUE))
        outcome = blind("install", *words).failed(1, saying=["intruder"])
        assert FALSE[2].sha256 not in outcome.stderr, "its word is not passed on as advice"
        assert target.versions() == {}
        index.files = [TRUE[0], FALSE[1]]
        blind("install", *words).failed(1, saying=["banana", FALSE[1].sha256, TRUE[1].sha256])
        assert target.versions() == {}
        assert kept(cache) == []

    def test_a_file_that_is_brought_in_by_metadata_needs_a_hash_too(
        self, blind: Kedge, target: Venv, tmp_path: Path, index: SimpleIndex
    ) -> None:
        """The true file's hash, and metadata that lies beside it: more is asked for, not less."""
        index.files = [TRUE[0], *FALSE[1:]]
        index.core_metadata = CoreMetadata.WRONG_BYTES
        words = ("--require-hashes", "-r", self.lock(tmp_path, TRUE[0]))
        blind("install", *words).failed(1)
        assert target.versions() == {}

    def test_only_what_has_the_users_hash_is_kept(
        self,
        blind: Kedge,
        plain_kedge: Kedge,
        target: Venv,
        server: Server,
        bundle: Path,
        tmp_path: Path,
        cache: Path,
    ) -> None:
        """The file is, and not the page that named it: the next run asks for that again."""
        server.handler = SimpleIndex([TRUE[1], FALSE[2]])
        words = ("--require-hashes", "-r", self.lock(tmp_path, TRUE[1]))
        blind("install", *words).succeeded()
        assert kept(cache) == []
        server.forget()
        server.handler = SimpleIndex(list(TRUE))
        again = ("-i", f"{server.url}/simple/", "--cert", bundle, "--force-reinstall")
        plain_kedge("install", "banana", *again).succeeded()
        assert "/simple/banana/" in server.paths
        assert files_fetched(server) == [], "its bytes were vouched for by the user"

    def test_then_the_authority_is_known_and_nothing_is_left_unverified(
        self,
        blind: Kedge,
        plain_kedge: Kedge,
        target: Venv,
        server: Server,
        private_ca: Authority,
        tmp_path: Path,
    ) -> None:
        """The whole way of the documentation: the first package brings the authority."""
        ca = wheel("company-ca", "2026.1", files={"company_ca/ca.pem": private_ca.pem})
        server.handler = SimpleIndex([ca, *TRUE])
        words = ("--require-hashes", "-r", self.lock(tmp_path, ca))
        blind("install", *words).succeeded()
        authority = target.site / "company_ca" / "ca.pem"
        words_after = ("-i", f"{server.url}/simple/", "--cert", authority)
        outcome = plain_kedge("install", "apple", *words_after).succeeded()
        assert "warning:" not in outcome.stderr
        assert {"apple", "banana"} <= set(target.versions())
