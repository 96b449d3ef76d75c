"""The decision table, row by row, by handshake: who is trusted, and that nobody else is.

Six authorities, each known to one source alone, and one index server under each. Every source is
present in every run: certifi holds one authority, the system's store another. What a row leaves
out must be refused even so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import pki
from support.indexes import SimpleIndex
from support.proxies import Proxy
from support.servers import Server
from support.venvs import Kedge, Outcome, with_private_certifi
from support.wheels import wheel

SOURCES = ("certifi", "system", "cert", "requests", "curl", "extra")


@dataclass(frozen=True)
class World:
    """For each source: the authority that it alone holds, its PEM file, and a server under it."""

    authorities: Mapping[str, pki.Authority]
    files: Mapping[str, Path]
    folders: Mapping[str, Path]
    servers: Mapping[str, Server]
    certifi_overlay: str


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    base = tmp_path_factory.mktemp("world")
    authorities = {name: pki.authority(f"Kedge Test Root of {name}") for name in SOURCES}
    files = {name: ca.write_pem(base / f"{name}.pem") for name, ca in authorities.items()}
    folders = {
        name: pki.hashed_folder(base / f"{name}-folder", ca) for name, ca in authorities.items()
    }
    index = SimpleIndex([wheel("demo", "1.0")])
    servers = {
        name: Server(index, certificate=ca.leaf("localhost")) for name, ca in authorities.items()
    }
    overlay = with_private_certifi(base / "overlay", authorities["certifi"].pem)
    yield World(authorities, files, folders, servers, overlay)
    for server in servers.values():
        server.close()


@dataclass(frozen=True)
class Row:
    """Settings, with ``{name}`` for the file of a source, and whom they make trusted.

    ``refused`` are the servers tried in vain. ``named`` must stand in the error: the setting that
    decided.
    """

    trusted: tuple[str, ...]
    refused: tuple[str, ...]
    words: tuple[str, ...] = ()
    environ: tuple[tuple[str, str], ...] = ()
    config: str = ""
    named: tuple[str, ...] = ()


TRUSTSTORE = ("--use-feature=truststore",)
REQUESTS = (("REQUESTS_CA_BUNDLE", "{requests}"),)
CURL = (("CURL_CA_BUNDLE", "{curl}"),)

ROWS = {
    # no truststore, no bundle: certifi, and nothing else
    "nothing-set": Row(("certifi",), ("system", "cert"), named=("certifi",)),
    "empty-values-are-unset": Row(
        ("certifi",),
        ("system",),
        environ=(("PIP_CERT", ""), ("REQUESTS_CA_BUNDLE", ""), ("CURL_CA_BUNDLE", "")),
        named=("certifi",),
    ),
    # no truststore, a variable: that bundle, and nothing else
    "requests-variable": Row(
        ("requests",),
        ("certifi", "system"),
        environ=REQUESTS,
        named=("REQUESTS_CA_BUNDLE", "{requests}"),
    ),
    "curl-variable": Row(
        ("curl",), ("certifi", "system"), environ=CURL, named=("CURL_CA_BUNDLE", "{curl}")
    ),
    "requests-before-curl": Row(
        ("requests",), ("curl", "certifi"), environ=REQUESTS + CURL, named=("REQUESTS_CA_BUNDLE",)
    ),
    "requests-variable-names-a-folder": Row(
        ("requests",),
        ("certifi",),
        environ=(("REQUESTS_CA_BUNDLE", "{requests-folder}"),),
        named=("REQUESTS_CA_BUNDLE",),
    ),
    # no truststore, --cert: that bundle, and nothing else
    "cert-flag": Row(
        ("cert",), ("certifi", "system"), words=("--cert", "{cert}"), named=("--cert", "{cert}")
    ),
    "cert-flag-over-both-variables": Row(
        ("cert",),
        ("certifi", "system", "requests", "curl"),
        words=("--cert", "{cert}"),
        environ=REQUESTS + CURL,
        named=("--cert",),
    ),
    "cert-variable": Row(
        ("cert",),
        ("certifi", "requests"),
        environ=(("PIP_CERT", "{cert}"), *REQUESTS),
        named=("PIP_CERT", "{cert}"),
    ),
    "cert-in-a-file": Row(
        ("cert",),
        ("certifi", "requests"),
        config="[global]\ncert = {cert}\n",
        environ=REQUESTS,
        named=("pip.conf", "{cert}"),
    ),
    "cert-in-a-command's-section": Row(
        ("cert",),
        ("curl", "certifi"),
        config="[global]\ncert = {curl}\n[install]\ncert = {cert}\n",
        named=("[install]",),
    ),
    "cert-flag-over-variable-over-file": Row(
        ("cert",),
        ("requests", "curl"),
        words=("--cert={cert}",),
        environ=(("PIP_CERT", "{requests}"),),
        config="[global]\ncert = {curl}\n",
        named=("--cert",),
    ),
    # truststore alone: the system's store, and nothing else
    "truststore-flag": Row(
        ("system",), ("certifi", "cert"), words=TRUSTSTORE, named=("--use-feature",)
    ),
    "truststore-variable": Row(
        ("system",),
        ("certifi",),
        environ=(("PIP_USE_FEATURE", "truststore"),),
        named=("PIP_USE_FEATURE",),
    ),
    "truststore-in-a-file": Row(
        ("system",),
        ("certifi",),
        config="[global]\nuse-feature = truststore\n",
        named=("use-feature", "pip.conf"),
    ),
    "legacy-certs-takes-truststore-back": Row(
        ("certifi",),
        ("system",),
        words=("--use-deprecated=legacy-certs",),
        environ=(("PIP_USE_FEATURE", "truststore"),),
    ),
    # truststore and a variable: the system's store plus that bundle
    "truststore-and-requests-variable": Row(
        ("system", "requests"),
        ("certifi", "curl"),
        words=TRUSTSTORE,
        environ=REQUESTS + CURL,
        named=("REQUESTS_CA_BUNDLE", "--use-feature"),
    ),
    "truststore-and-curl-variable": Row(
        ("system", "curl"), ("certifi",), words=TRUSTSTORE, environ=CURL, named=("CURL_CA_BUNDLE",)
    ),
    # truststore and --cert: the system's store plus that bundle
    "truststore-and-cert": Row(
        ("system", "cert"),
        ("certifi", "requests"),
        words=(*TRUSTSTORE, "--cert", "{cert}"),
        environ=REQUESTS,
        named=("--cert", "--use-feature"),
    ),
    # --extra-cert adds to whichever row applies
    "extra-to-certifi": Row(
        ("certifi", "extra"),
        ("system",),
        words=("--extra-cert", "{extra}"),
        named=("certifi", "--extra-cert"),
    ),
    "extra-to-a-variable": Row(
        ("requests", "extra"),
        ("certifi",),
        words=("--extra-cert", "{extra}"),
        environ=REQUESTS,
        named=("REQUESTS_CA_BUNDLE", "--extra-cert"),
    ),
    "extra-to-cert": Row(
        ("cert", "extra"),
        ("certifi", "requests"),
        words=("--cert", "{cert}"),
        environ=(("PIP_EXTRA_CERT", "{extra}"), *REQUESTS),
        named=("--cert", "PIP_EXTRA_CERT"),
    ),
    "extra-twice": Row(
        ("certifi", "extra", "cert"),
        ("system",),
        words=("--extra-cert", "{extra}", "--extra-cert", "{cert}"),
    ),
    "extra-to-truststore": Row(
        ("system", "extra"),
        ("certifi",),
        words=TRUSTSTORE,
        config="[global]\nextra-cert = {extra}\n",
        named=("extra-cert",),
    ),
    "extra-to-truststore-and-cert": Row(
        ("system", "cert", "extra"),
        ("certifi", "requests"),
        words=(*TRUSTSTORE, "--cert", "{cert}", "--extra-cert", "{extra}"),
        environ=REQUESTS,
    ),
}


class Setting:
    """One row's settings, ready to run against any of the servers."""

    def __init__(self, world: World, kedge: Kedge, row: Row, folder: Path) -> None:
        self.world = world
        self.row = row
        environ = {name: self.filled(value) for name, value in row.environ}
        environ["PYTHONPATH"] = os.pathsep.join(
            [world.certifi_overlay, kedge.environ["PYTHONPATH"]]
        )
        environ.setdefault("SSL_CERT_FILE", str(world.files["system"]))
        if row.config:
            config = folder / "pip.conf"
            config.write_text(self.filled(row.config), "utf-8")
            environ["PIP_CONFIG_FILE"] = str(config)
        self.kedge = kedge.having(*(self.filled(word) for word in row.words), **environ)

    def filled(self, text: str) -> str:
        for name in SOURCES:
            text = text.replace(f"{{{name}}}", str(self.world.files[name]))
            text = text.replace(f"{{{name}-folder}}", str(self.world.folders[name]))
        return text

    def install(self, name: str, *words: str, to: Path) -> Outcome:
        server = self.world.servers[name]
        server.forget()
        index = f"{server.url}/simple/"
        return self.kedge("install", "demo", "--index-url", index, "--target", to, *words)


@pytest.fixture(params=[pytest.param(row, id=name) for name, row in ROWS.items()])
def setting(
    request: pytest.FixtureRequest, world: World, plain_kedge: Kedge, tmp_path: Path
) -> Setting:
    return Setting(world, plain_kedge, request.param, tmp_path)


def test_a_row_trusts_what_it_says(setting: Setting, tmp_path: Path) -> None:
    for name in setting.row.trusted:
        setting.install(name, to=tmp_path / name).succeeded()
        assert (tmp_path / name / "demo" / "__init__.py").is_file()


def test_a_row_refuses_everybody_else(setting: Setting, tmp_path: Path) -> None:
    for name in setting.row.refused:
        server = setting.world.servers[name]
        named = [setting.filled(word) for word in setting.row.named]
        setting.install(name, to=tmp_path / name).failed(1, saying=[server.hostport, *named])
        assert server.refused(), "the handshake must have been tried, and refused by kedge"
        assert server.asked == []
        assert not (tmp_path / name).exists() or not list((tmp_path / name).iterdir())


class TestTheSystemsStore:
    """``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are where OpenSSL's system store is."""

    def test_both_variables_count(self, world: World, plain_kedge: Kedge, tmp_path: Path) -> None:
        environ = (("SSL_CERT_DIR", "{extra-folder}"),)
        row = Row(("system", "extra"), ("certifi",), words=TRUSTSTORE, environ=environ)
        setting = Setting(world, plain_kedge, row, tmp_path)
        test_a_row_trusts_what_it_says(setting, tmp_path)
        test_a_row_refuses_everybody_else(setting, tmp_path)

    def test_an_empty_one_is_an_error_of_its_own(
        self, world: World, plain_kedge: Kedge, tmp_path: Path
    ) -> None:
        (tmp_path / "empty.pem").write_text("")
        (tmp_path / "empty").mkdir()
        environ = {
            "SSL_CERT_FILE": str(tmp_path / "empty.pem"),
            "SSL_CERT_DIR": str(tmp_path / "empty"),
        }
        server = world.servers["system"]
        before = server.connections
        words = ("demo", "--index-url", f"{server.url}/simple/", *TRUSTSTORE)
        outcome = plain_kedge("install", *words, environ=environ).failed(1)
        assert str(tmp_path / "empty") in outcome.text
        assert server.connections == before

    def test_it_counts_only_when_it_is_chosen(
        self, world: World, plain_kedge: Kedge, tmp_path: Path
    ) -> None:
        row = Row((), ("system",), environ=(("SSL_CERT_DIR", "{system-folder}"),))
        test_a_row_refuses_everybody_else(Setting(world, plain_kedge, row, tmp_path), tmp_path)


class TestThroughProxies:
    """With ``--cert A`` nobody but A counts, on either hop."""

    @pytest.fixture
    def setting(self, world: World, plain_kedge: Kedge, tmp_path: Path) -> Setting:
        return Setting(world, plain_kedge, ROWS["cert-flag-over-both-variables"], tmp_path)

    @pytest.fixture(params=["http", "https"])
    def proxy(self, request: pytest.FixtureRequest, world: World) -> Iterator[Proxy]:
        own = world.authorities["cert"].leaf("localhost") if request.param == "https" else None
        with Proxy(certificate=own) as proxy:
            yield proxy

    def test_the_trusted_server_passes(
        self, setting: Setting, proxy: Proxy, tmp_path: Path
    ) -> None:
        setting.install("cert", "--proxy", proxy.url, to=tmp_path / "t").succeeded()
        assert set(proxy.tunnels) == {setting.world.servers["cert"].hostport}

    @pytest.mark.parametrize("name", ["certifi", "requests", "system"])
    def test_a_server_of_another_source_is_refused(
        self, setting: Setting, proxy: Proxy, tmp_path: Path, name: str
    ) -> None:
        server = setting.world.servers[name]
        outcome = setting.install(name, "--proxy", proxy.url, to=tmp_path / "t")
        outcome.failed(1, saying=[server.hostport, "--cert"])
        assert server.hostport in proxy.tunnels
        assert server.refused()
        assert server.asked == []

    @pytest.mark.parametrize("name", ["certifi", "requests", "system"])
    def test_a_proxy_of_another_source_is_refused(
        self, setting: Setting, tmp_path: Path, name: str
    ) -> None:
        own = setting.world.authorities[name].leaf("localhost")
        with Proxy(certificate=own) as proxy:
            outcome = setting.install("cert", "--proxy", proxy.url, to=tmp_path / "t")
            outcome.failed(1, saying=[f"localhost:{proxy.port}", "proxy"])
            asked = [entry for entry in proxy.entries if not entry.is_bare_probe]
            assert asked == [], "not even CONNECT may be sent to it"
        assert setting.world.servers["cert"].handshakes == []


class TestFurtherPlacesOfSettings:
    """Files that pip reads without being told, in its order."""

    def test_the_environments_own_file(
        self, world: World, plain_kedge: Kedge, tmp_path: Path
    ) -> None:
        setting = Setting(world, plain_kedge, ROWS["nothing-set"], tmp_path)
        assert plain_kedge.python
        file = plain_kedge.python.path / ("pip.ini" if os.name == "nt" else "pip.conf")
        file.write_text(f"[global]\ncert = {world.files['cert']}\n", "utf-8")
        environ = {k: v for k, v in setting.kedge.environ.items() if k != "PIP_CONFIG_FILE"}
        setting.kedge = Kedge(environ, python=plain_kedge.python)
        setting.install("cert", to=tmp_path / "t").succeeded()
        setting.install("certifi", to=tmp_path / "u").failed(1, saying=[str(file)])

    def test_isolated_passes_over_variables_and_the_users_file(
        self, world: World, plain_kedge: Kedge, tmp_path: Path
    ) -> None:
        row = Row((), (), words=("--isolated",), environ=(("PIP_CERT", "{cert}"),))
        setting = Setting(world, plain_kedge, row, tmp_path)
        setting.install("certifi", to=tmp_path / "t").succeeded()
        setting.install("cert", to=tmp_path / "u").failed(1, saying=["certifi"])
