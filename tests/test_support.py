"""The test support itself: a tool that lies makes every test that uses it worthless."""

from __future__ import annotations

import hashlib
import io
import os
import re
import socket
import ssl
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import pytest
import requests
from cryptography.x509.oid import ObjectIdentifier
from installer.exceptions import InstallerError
from installer.sources import WheelFile

from support import pki, surroundings, venvs
from support.index_servers import IndexServer, devpi, folders_behind_nginx, pypiserver
from support.indexes import CoreMetadata, SimpleIndex
from support.processes import wait_until
from support.proxies import Proxy, mitmproxy
from support.servers import (
    Faults,
    Handshake,
    Request,
    Response,
    Server,
    compressed,
    cut,
    hang_up,
    status,
    tree,
    with_basic_auth,
)
from support.wheels import (
    Artifact,
    sdist,
    tampered,
    truncated,
    wheel,
    with_member,
    with_wrong_record_hash,
    without_member,
)

pytestmark = pytest.mark.once


class TestSurroundings:
    def test_the_process_holds_no_setting_of_the_machine(self) -> None:
        assert surroundings.cleared(os.environ).items() <= os.environ.items()
        left = set(os.environ) - set(surroundings.cleared(os.environ))
        assert left <= set(surroundings.homes(Path()))

    @pytest.mark.parametrize(
        "name",
        [
            "PIP_CERT",
            "pip_cert",
            "REQUESTS_CA_BUNDLE",
            "SSL_CERT_DIR",
            "https_proxy",
            "ALL_PROXY",
            "NO_PROXY",
            "NODE_EXTRA_CA_CERTS",
            "GIT_SSL_NO_VERIFY",
            "VIRTUAL_ENV",
            "CONDA_PREFIX",
            "PYTHONPATH",
            "XDG_CONFIG_HOME",
        ],
    )
    def test_settings_are_cleared(self, name: str) -> None:
        assert surroundings.cleared({name: "x", "PATH": "/bin"}) == {"PATH": "/bin"}

    @pytest.mark.parametrize(
        ("address", "local"),
        [
            (("127.0.0.9", 1), True),
            (("::1", 1, 0, 0), True),
            (("localhost", 1), True),
            (("nowhere.invalid", 1), True),
            ("/run/socket", True),
            (("192.0.2.1", 443), False),
            (("example.org", 443), False),
            (("127.evil.example", 443), False),
        ],
    )
    def test_local_addresses(self, address: object, local: bool) -> None:
        assert surroundings.is_local(address) is local

    def test_a_connection_that_leaves_the_machine_fails_the_test(self) -> None:
        with pytest.raises(pytest.fail.Exception, match=r"192\.0\.2\.1"), socket.socket() as sock:
            sock.connect(("192.0.2.1", 443))
        with pytest.raises(pytest.fail.Exception, match=r"example\.org"):
            socket.getaddrinfo("example.org", 443)

    @pytest.mark.parametrize("host", ["192.0.2.1", "example.org"])
    def test_and_so_does_a_childs(self, clean_environ: dict[str, str], host: str) -> None:
        code = f"import socket; socket.create_connection(({host!r}, 443))"
        child = subprocess.run(
            [sys.executable, "-c", code], env=clean_environ, capture_output=True, text=True
        )
        assert child.returncode == 97
        assert host in child.stderr


class TestPki:
    @pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
    def test_a_chain_is_accepted_by_openssl(self, name: str) -> None:
        root = pki.authority("R")
        leaf = root.intermediate("I").leaf(name)
        assert verdict(pki.pem_file(root), leaf, name) == "ok"

    @pytest.mark.parametrize(
        ("make", "word"),
        [
            pytest.param(
                lambda root: root.leaf("localhost", validity=pki.EXPIRED), "expired", id="expired"
            ),
            pytest.param(
                lambda root: root.leaf("localhost", validity=pki.NOT_YET), "not yet", id="not-yet"
            ),
            pytest.param(lambda root: root.leaf("127.0.0.1"), "ostname", id="name"),
            pytest.param(
                lambda root: root.leaf(common_name="localhost", alternative_names=False),
                "ostname",
                id="common-name-only",
            ),
            pytest.param(
                lambda root: root.leaf("localhost", purposes=(pki.CLIENT_AUTH,)),
                "purpose",
                id="purpose",
            ),
            pytest.param(
                lambda root: root.intermediate("I", is_ca=False).leaf("localhost"),
                "CA cert",
                id="not-an-authority",
            ),
            pytest.param(
                lambda root: root.intermediate("I").intermediate("J").leaf("localhost"),
                "path length",
                id="path-length",
            ),
            pytest.param(
                lambda root: root.intermediate(
                    "I", permitted=[pki.general_name("example.org")]
                ).leaf("localhost"),
                "permitted subtree",
                id="name-constraints",
            ),
            pytest.param(lambda root: pki.self_signed("localhost"), "self.signed", id="self"),
        ],
    )
    def test_what_is_wrong_on_purpose_is_refused_for_it(
        self, make: pki.LeafMaker, word: str
    ) -> None:
        root = pki.authority("R")
        assert re.search(word, verdict(pki.pem_file(root), make(root), "localhost"))

    def test_pkcs7_and_der_hold_the_certificate(self, private_ca: pki.Authority) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import pkcs7

        assert pkcs7.load_der_pkcs7_certificates(pki.pkcs7_file(private_ca)) == [
            private_ca.certificate
        ]
        assert x509.load_der_x509_certificate(private_ca.der) == private_ca.certificate

    @pytest.mark.parametrize(
        ("trust", "reject", "accepted"),
        [
            pytest.param((), (), True, id="no-uses"),
            pytest.param((pki.SERVER_AUTH,), (), True, id="trusted"),
            pytest.param((pki.EMAIL_PROTECTION,), (), False, id="trusted-for-email"),
            pytest.param((), (pki.SERVER_AUTH,), False, id="rejected"),
        ],
    )
    def test_trusted_blocks_mean_what_they_say(
        self,
        private_ca: pki.Authority,
        trust: tuple[ObjectIdentifier, ...],
        reject: tuple[ObjectIdentifier, ...],
        accepted: bool,
        tmp_path: Path,
    ) -> None:
        file = tmp_path / "trusted.pem"
        file.write_bytes(pki.trusted_block(private_ca, trust=trust, reject=reject))
        leaf = private_ca.leaf("localhost")
        assert (verdict(file, leaf, "localhost") == "ok") is accepted

    def test_a_hashed_folder_is_found_by_openssl(
        self, private_ca: pki.Authority, stranger_ca: pki.Authority, tmp_path: Path
    ) -> None:
        folder = pki.hashed_folder(tmp_path / "certs", stranger_ca, private_ca)
        assert verdict(folder, private_ca.leaf("localhost"), "localhost") == "ok"
        assert verdict(folder, stranger_ca.leaf("localhost"), "localhost") == "ok"

    @pytest.mark.parametrize("spoil", [pki.damaged_pem, pki.garbled_pem])
    def test_damaged_blocks_are_refused(
        self, private_ca: pki.Authority, spoil: pki.Spoiler, tmp_path: Path
    ) -> None:
        (tmp_path / "bad.pem").write_bytes(spoil(private_ca))
        with pytest.raises(ssl.SSLError):
            ssl.create_default_context(cafile=tmp_path / "bad.pem")


def verdict(trusted: bytes | Path, leaf: pki.Certificate, name: str) -> str:
    """What OpenSSL says of ``leaf`` as ``name``, in a handshake through memory: "ok" or why not."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.hostname_checks_common_name = False
    if isinstance(trusted, bytes):
        client.load_verify_locations(cadata=trusted.decode())
    elif trusted.is_dir():
        client.load_verify_locations(capath=trusted)
    else:
        client.load_verify_locations(cafile=trusted)
    here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(here, there, server_hostname=name)
    theirs = pki.server_context(leaf).wrap_bio(there, here, server_side=True)
    for _ in range(4):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                return error.verify_message
            if side is ours:
                return "ok"
    return "no end"


class TestServers:
    def test_tls_keep_alive_and_the_log(self, private_ca: pki.Authority, bundle: Path) -> None:
        leaf = private_ca.intermediate("I").leaf("localhost")
        with Server(tree({"/a": b"one", "/b": b"two"}), certificate=leaf) as server:
            with requests.Session() as session:
                session.verify = str(bundle)
                assert session.get(f"{server.url}/a").content == b"one"
                assert session.get(f"{server.url}/b?q=1").content == b"two"
                assert session.get(f"{server.url}/c").status_code == 404
            assert server.paths == ["/a", "/b", "/c"]
            assert {request.connection for request in server.requests} == {1}
            assert server.handshakes == [Handshake("localhost")]

    def test_a_refused_handshake_is_in_the_log_and_no_request_is(
        self, private_ca: pki.Authority, stranger_bundle: Path
    ) -> None:
        with Server(tree({}), certificate=private_ca.leaf("localhost")) as server:
            with pytest.raises(requests.exceptions.SSLError):
                requests.get(server.url, verify=str(stranger_bundle))
            assert "unknown ca" in server.refused()[0].problem
            assert server.requests == []

    @pytest.mark.parametrize("required", [True, False])
    def test_client_certificates(
        self, private_ca: pki.Authority, bundle: Path, tmp_path: Path, required: bool
    ) -> None:
        identity = str(private_ca.client().write_identity(tmp_path / "client.pem"))
        leaf = private_ca.leaf("localhost")
        with Server(
            tree({"/": b"in"}), certificate=leaf, client_ca=private_ca, client_required=required
        ) as server:
            assert requests.get(server.url, verify=str(bundle), cert=identity).content == b"in"
            assert server.requests[-1].client_certificate is not None
            if required:
                with pytest.raises(requests.exceptions.RequestException):
                    requests.get(server.url, verify=str(bundle))
            else:
                assert requests.get(server.url, verify=str(bundle)).content == b"in"
                assert server.requests[-1].client_certificate is None

    @pytest.mark.parametrize(
        ("wanted", "status", "got"),
        [
            ("bytes=2-4", 206, b"234"),
            ("bytes=7-", 206, b"789"),
            ("bytes=-2", 206, b"89"),
            ("bytes=8-99", 206, b"89"),
            ("bytes=10-", 416, b""),
            ("bytes=-", 200, b"0123456789"),
        ],
    )
    def test_ranges(self, wanted: str, status: int, got: bytes) -> None:
        with Server(tree({"/f": b"0123456789"})) as server:
            answer = requests.get(f"{server.url}/f", headers={"Range": wanted})
            assert (answer.status_code, answer.content) == (status, got)
            etag = answer.headers.get("ETag", "")
            again = requests.get(f"{server.url}/f", headers={"If-None-Match": etag})
            assert again.status_code == 304
            stale = {"Range": wanted, "If-Range": '"other"'}
            assert requests.get(f"{server.url}/f", headers=stale).content == b"0123456789"

    def test_faults_come_in_order_and_end(self) -> None:
        faulty = Faults(tree({"/f": b"0123456789"}))
        faulty.next("/f", cut(4), status(503, Retry_After="1"), hang_up())
        with Server(faulty) as server:
            with pytest.raises(requests.exceptions.ChunkedEncodingError, match="4 bytes read"):
                requests.get(f"{server.url}/f")
            answer = requests.get(f"{server.url}/f")
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
            with pytest.raises(requests.exceptions.ConnectionError):
                requests.get(f"{server.url}/f")
            assert requests.get(f"{server.url}/f").content == b"0123456789"

    def test_gzip_basic_auth_and_chunks(self) -> None:
        def chunks(request: Request) -> Response:
            return Response(body=b"in pieces", chunked=True, throttle=4)

        handlers = {
            "/gzip": compressed(tree({"/gzip": b"plain text"})),
            "/auth": with_basic_auth(tree({"/auth": b"in"}), "user", "pass:word"),
            "/chunks": chunks,
        }
        with Server(lambda request: handlers[request.path](request)) as server:
            answer = requests.get(f"{server.url}/gzip")
            assert (answer.headers["Content-Encoding"], answer.text) == ("gzip", "plain text")
            assert requests.get(f"{server.url}/auth").status_code == 401
            assert requests.get(f"{server.url}/auth", auth=("user", "pass:word")).text == "in"
            assert requests.get(f"{server.url}/chunks").text == "in pieces"

    def test_a_broken_handler_is_not_overlooked(self) -> None:
        server = Server(lambda request: Response(body=b"x" * (1 // 0)))
        assert requests.get(server.url).status_code == 500
        with pytest.raises(ZeroDivisionError):
            server.close()


class TestWheelsAndIndexes:
    """pip is the judge of what an index and a wheel are."""

    @pytest.mark.parametrize("style", ["json", "html", "legacy"])
    @pytest.mark.parametrize(
        "core_metadata", [CoreMetadata.HASHED, CoreMetadata.NONE, CoreMetadata.UNHASHED]
    )
    def test_pip_installs_from_it(
        self,
        private_ca: pki.Authority,
        bundle: Path,
        tmp_path: Path,
        clean_environ: dict[str, str],
        style: Literal["json", "html", "legacy"],
        core_metadata: CoreMetadata,
    ) -> None:
        index = SimpleIndex(
            [
                wheel("demo", "1.0", requires=["Other.Name>=1"], extras={"more": ["third"]}),
                wheel("demo", "2.0", requires_python=">=99"),
                wheel("demo", "3.0"),
                wheel("other-name", "1.5", entry_points={"tell": "other_name:main"}),
                wheel("third", "0.1", data={"scripts/run": "#!python\nprint(1)\n"}),
            ],
            style=style,
            core_metadata=core_metadata,
            yanked={"demo-3.0-py3-none-any.whl": "broken"},
        )
        with Server(index, certificate=private_ca.leaf("localhost")) as server:
            done = pip(
                "install",
                "--target",
                tmp_path / "t",
                "--cert",
                bundle,
                "demo[more]",
                "--index-url",
                f"{server.url}/simple",
                environ=clean_environ,
            )
            assert done.returncode == 0, done.stderr
            assert any(path.endswith(".metadata") for path in server.paths) is (
                core_metadata is not CoreMetadata.NONE
            )
        found = {path.name for path in (tmp_path / "t").glob("*.dist-info")}
        assert found == {"demo-1.0.dist-info", "other_name-1.5.dist-info", "third-0.1.dist-info"}
        assert (tmp_path / "t" / "bin" / "tell").is_file()

    @pytest.mark.parametrize(
        "spoil",
        [
            pytest.param(lambda built: with_member(built, "../outside.py"), id="traversal"),
            pytest.param(truncated, id="truncated"),
            pytest.param(lambda built: without_member(built, "WHEEL"), id="no-wheel-file"),
        ],
    )
    def test_pip_refuses_what_is_wrong_on_purpose(
        self,
        spoil: Callable[[Artifact], Artifact],
        tmp_path: Path,
        clean_environ: dict[str, str],
    ) -> None:
        path = spoil(wheel("demo")).write(tmp_path)
        done = pip("install", "--no-index", "--target", tmp_path / "t", path, environ=clean_environ)
        assert done.returncode == 1, done.stdout

    def test_the_record_tells_the_truth_until_it_is_changed(self) -> None:
        sound = wheel("demo", data={"data/share/x": b"1"})
        for built, right in [
            (sound, True),
            (tampered(sound), True),
            (with_member(sound, "demo/x.py", b"1", recorded=False), False),
            (with_wrong_record_hash(sound), False),
        ]:
            with WheelFile.open(built.write(Path(os.environ["HOME"]))) as opened:
                if right:
                    opened.validate_record()
                else:
                    with pytest.raises(InstallerError):
                        opened.validate_record()

    def test_an_sdist_holds_its_metadata(self) -> None:
        built = sdist("demo-x", requires=["other"])
        with tarfile.open(fileobj=io.BytesIO(built.data)) as archive:
            names = archive.getnames()
        assert built.filename == "demo_x-1.0.tar.gz"
        assert "demo_x-1.0/PKG-INFO" in names
        assert b"Requires-Dist: other" in built.metadata

    def test_files_on_another_host_and_stated_hashes_that_are_wrong(self) -> None:
        built = wheel("demo")
        index = SimpleIndex(
            [tampered(built)],
            style="json",
            files_at="http://127.0.0.2:1",
            states={built.filename: built},
        )
        with Server(index) as server:
            (file,) = requests.get(f"{server.url}/simple/demo/").json()["files"]
            fetched = requests.get(f"{server.url}/files/{built.filename}").content
        assert file["url"] == f"http://127.0.0.2:1/files/{built.filename}"
        assert file["hashes"] == {"sha256": built.sha256}
        assert hashlib.sha256(fetched).hexdigest() != built.sha256


def pip(*words: str | Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("pip")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, words)]
    return subprocess.run(command, env=environ, capture_output=True, text=True)


class TestProxies:
    @pytest.fixture
    def server(self, private_ca: pki.Authority) -> Iterator[Server]:
        files = {"/": b"behind", "/large": os.urandom(3_000_000)}
        with Server(tree(files), certificate=private_ca.leaf("localhost")) as server:
            yield server

    @pytest.mark.parametrize("tls", [False, True])
    def test_a_tunnel(
        self, server: Server, private_ca: pki.Authority, bundle: Path, tls: bool
    ) -> None:
        with Proxy(certificate=private_ca.leaf("localhost") if tls else None) as proxy:
            answer = requests.get(
                f"{server.url}/large", proxies={"https": proxy.url}, verify=str(bundle)
            )
            assert len(answer.content) == 3_000_000
            assert proxy.tunnels == [server.hostport]

    def test_credentials(self, server: Server, bundle: Path) -> None:
        with Proxy(credentials=("me", "p@ss:w/rd")) as proxy:
            with pytest.raises(requests.exceptions.ProxyError, match="407"):
                requests.get(server.url, proxies={"https": proxy.url}, verify=str(bundle))
            ours = {"https": proxy.authorized_url}
            assert requests.get(server.url, proxies=ours, verify=str(bundle)).text == "behind"
            assert [entry.status for entry in proxy.entries] == [407, 200]
            assert proxy.entries[1].credentials == ("me", "p@ss:w/rd")
        assert server.requests[-1].headers["Proxy-Authorization"] is None

    def test_plain_requests_are_forwarded_and_names_are_the_proxys(self) -> None:
        with Server(tree({"/x": b"plain"})) as server, Proxy(names={"a.test": "127.0.0.1"}) as p:
            url = f"http://a.test:{server.port}/x"
            assert requests.get(url, proxies={"http": p.url}).text == "plain"
            assert server.requests[0].headers["Host"] == f"a.test:{server.port}"

    def test_a_refused_handshake_of_its_own(self, private_ca: pki.Authority) -> None:
        with Proxy(certificate=private_ca.leaf("localhost")) as proxy:
            with pytest.raises(requests.exceptions.RequestException):
                requests.get("https://localhost:1", proxies={"https": proxy.url})
            assert proxy.entries == []
            wait_until(lambda: proxy.refusals)

    @pytest.mark.tool("mitmdump")
    def test_mitmproxy_signs_with_its_own_authority(
        self, server: Server, private_ca: pki.Authority, bundle: Path, tmp_path: Path
    ) -> None:
        inspection = pki.authority("Kedge Test Inspection", path_length=0)
        own = str(inspection.write_pem(tmp_path / "inspection.pem"))
        with mitmproxy(tmp_path / "m", inspection, trusts=private_ca, credentials=("u", "p")) as m:
            assert (
                requests.get(server.url, proxies={"https": m.authorized_url}, verify=own).text
                == "behind"
            )
            with pytest.raises(requests.exceptions.SSLError):
                requests.get(server.url, proxies={"https": m.authorized_url}, verify=str(bundle))
            with pytest.raises(requests.exceptions.ProxyError, match="407"):
                requests.get(server.url, proxies={"https": m.url}, verify=own)
            assert m.hosts == {server.hostport}


@pytest.mark.timeout(600)  # some are slow to start
class TestIndexServers:
    """pip again is the judge."""

    ARTIFACTS = (wheel("demo", "1.0", requires=["Other.Name"]), wheel("other-name", "2.0"))

    @pytest.mark.parametrize(
        "serve",
        [
            pytest.param(folders_behind_nginx, id="nginx"),
            pytest.param(pypiserver, id="pypiserver", marks=pytest.mark.tool("pypi-server")),
            pytest.param(devpi, id="devpi", marks=pytest.mark.tool("devpi-init", "devpi-server")),
        ],
    )
    @pytest.mark.tool("nginx")
    def test_pip_installs_from_it(
        self,
        private_ca: pki.Authority,
        bundle: Path,
        tmp_path: Path,
        clean_environ: dict[str, str],
        serve: Callable[..., AbstractContextManager[IndexServer]],
    ) -> None:
        leaf = private_ca.leaf("localhost")
        with serve(tmp_path / "server", leaf, self.ARTIFACTS) as server:
            done = pip(
                "install",
                "--target",
                tmp_path / "t",
                "--cert",
                bundle,
                "--index-url",
                server.url,
                "demo",
                environ=clean_environ,
            )
            assert done.returncode == 0, done.stderr
            assert any(".whl" in line for line in server.requests)
        assert venvs.versions_in(tmp_path / "t") == {"demo": "1.0", "other-name": "2.0"}


class TestVenvs:
    def test_a_target_is_empty_and_works(self, tmp_path: Path) -> None:
        target = venvs.make_venv(tmp_path / "env")
        assert target.versions() == {}
        assert target.run("-c", "import sys; print(sys.prefix)").strip() == str(target.path)
        (target.site / "mod.py").write_text("print('found')")
        assert target.run("-m", "mod") == "found\n"

    def test_a_target_can_import_kedge_and_does_not_hold_it(self, tmp_path: Path) -> None:
        target = venvs.make_venv_with_kedge(tmp_path / "env")
        assert target.run("-c", "import kedge, requests; print(kedge.__name__)") == "kedge\n"
        assert target.versions() == {}

    def test_a_private_certifi_stands_in_front(
        self, private_ca: pki.Authority, clean_environ: dict[str, str], tmp_path: Path
    ) -> None:
        overlay = venvs.with_private_certifi(tmp_path / "overlay", private_ca.pem)
        code = "import certifi; print(open(certifi.where()).read())"
        child = subprocess.run(
            [sys.executable, "-c", code],
            env=clean_environ | {"PYTHONPATH": overlay},
            capture_output=True,
            text=True,
        )
        assert child.stdout.strip() == private_ca.pem.decode().strip()
