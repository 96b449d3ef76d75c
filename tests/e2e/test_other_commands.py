"""What the commands beside the installing ones must say, and where: stdout is for pipes."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from support import pki
from support.pki import Authority
from support.servers import Server
from support.venvs import Kedge, Venv


class TestTrust:
    """``kedge trust`` tells what an install would trust, without a connection."""

    @pytest.fixture
    def kedge(self, plain_kedge: Kedge) -> Kedge:
        return Kedge(plain_kedge.environ)

    @pytest.mark.parametrize("words", [("trust",), ("trust", "show")], ids=["bare", "show"])
    def test_the_winner_and_the_losers(
        self, kedge: Kedge, bundle: Path, stranger_bundle: Path, words: tuple[str, ...]
    ) -> None:
        environ = {"PIP_CERT": str(bundle), "REQUESTS_CA_BUNDLE": str(stranger_bundle)}
        shown = kedge(*words, environ=environ).succeeded()
        text = shown.stdout + shown.stderr
        for specific in ("PIP_CERT", str(bundle), "REQUESTS_CA_BUNDLE", str(stranger_bundle)):
            assert specific in text

    def test_certifi_by_default(self, kedge: Kedge) -> None:
        shown = kedge("trust").succeeded()
        assert "certifi" in shown.stdout + shown.stderr

    def test_a_bad_bundle_is_told(self, kedge: Kedge, tmp_path: Path) -> None:
        missing = str(tmp_path / "missing.pem")
        kedge("trust", "--cert", missing).failed(1, saying=[missing, "--cert"])

    def test_what_is_exported_is_what_is_trusted(
        self,
        kedge: Kedge,
        bundle: Path,
        stranger_bundle: Path,
        private_ca: Authority,
        stranger_ca: Authority,
    ) -> None:
        exported = kedge("trust", "export", "--cert", bundle).succeeded().stdout
        assert certificates(exported) == {private_ca.der}
        both = ("--cert", bundle, "--extra-cert", stranger_bundle)
        exported = kedge("trust", "export", *both).succeeded().stdout
        assert certificates(exported) == {private_ca.der, stranger_ca.der}

    def test_the_systems_store_is_exported(
        self, kedge: Kedge, private_ca: Authority, tmp_path: Path
    ) -> None:
        file = private_ca.write_pem(tmp_path / "system.pem")
        # A folder that is there and empty: without one OpenSSL would fall back to its own.
        (tmp_path / "empty").mkdir()
        environ = {"SSL_CERT_FILE": str(file), "SSL_CERT_DIR": str(tmp_path / "empty")}
        words = ("trust", "export", "--use-feature=truststore")
        assert certificates(kedge(*words, environ=environ).succeeded().stdout) == {private_ca.der}


class TestConfig:
    def test_a_setting_that_was_set_is_obeyed_and_unset(
        self, plain_kedge: Kedge, target: Venv, home: Path, index_url: str, bundle: Path
    ) -> None:
        environ = {k: v for k, v in plain_kedge.environ.items() if k != "PIP_CONFIG_FILE"}
        kedge = Kedge(environ)
        on_target = Kedge(environ, python=target)
        kedge("config", "set", "global.cert", bundle).succeeded()
        kedge("config", "set", "global.index-url", index_url).succeeded()
        assert kedge("config", "get", "global.cert").succeeded().stdout == f"{bundle}\n"
        assert str(bundle) in kedge("config", "list").succeeded().stdout
        on_target("install", "banana").succeeded()
        kedge("config", "unset", "global.cert").succeeded()
        on_target("install", "banana", "--force-reinstall", "--no-cache-dir").failed(1)
        # The machine's own file may hold one too, below the user's.
        assert str(bundle) not in kedge("config", "get", "global.cert").stdout


class TestCache:
    def test_it_fills_and_is_emptied(
        self, kedge: Kedge, target: Venv, home: Path, server: Server
    ) -> None:
        kedge("install", "apple").succeeded()
        alone = Kedge(kedge.environ)
        folder = Path(alone("cache", "dir").succeeded().stdout.strip())
        assert folder.is_dir()
        assert home in folder.parents
        listed = alone("cache", "list").succeeded().stdout
        assert "apple" in listed
        assert "banana" in listed
        alone("cache", "info").succeeded()
        alone("cache", "remove", "apple").succeeded()
        listed = alone("cache", "list").succeeded().stdout
        assert "apple" not in listed
        assert "banana" in listed
        alone("cache", "purge", "--older-than", "1d").succeeded()
        assert "banana" in alone("cache", "list").succeeded().stdout
        assert alone("cache", "list", "--keep", "1GB").code == 2
        alone("cache", "purge", "--keep", "0").succeeded()
        assert "banana" not in alone("cache", "list").succeeded().stdout
        # What was linked from it stays whole.
        assert target.run("-c", "import apple, banana; print(apple.__version__)") == "2.0\n"


@pytest.mark.parametrize("command", ["install", "uninstall", "list", "freeze", "trust", "config"])
def test_help_goes_to_stdout(plain_kedge: Kedge, command: str) -> None:
    helped = Kedge(plain_kedge.environ)(command, "--help").succeeded()
    assert command in helped.stdout
    assert helped.stderr == ""


def certificates(pem: str) -> set[bytes]:
    """The DER of every block of a PEM text; it must hold nothing that OpenSSL refuses."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    blocks = [begin + rest.partition(end)[0] + end for rest in pem.split(begin)[1:]]
    ssl.create_default_context(cadata="\n".join(blocks))
    return {ssl.PEM_cert_to_DER_cert(block) for block in blocks}


def test_the_reader_of_exports_reads(private_ca: Authority, stranger_ca: Authority) -> None:
    text = pki.pem_file(private_ca, stranger_ca, comments=True).decode()
    assert certificates(text) == {private_ca.der, stranger_ca.der}
