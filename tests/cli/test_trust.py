"""``kedge trust``: what is in force, and why."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from kedge.cli.main import main
from support.pki import Authority

Show = Callable[..., str]


@pytest.fixture
def show(clean_environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Show:
    """stdout of ``kedge trust …``, which must succeed."""

    def show(*words: str | Path, **environ: str) -> str:
        surroundings = {**clean_environ, "PIP_CONFIG_FILE": os.devnull, **environ}
        assert main(["trust", *map(str, words)], environ=surroundings) == 0
        return capsys.readouterr().out

    return show


def fingerprint(authority: Authority) -> str:
    digest = x509.load_pem_x509_certificate(authority.pem).fingerprint
    from cryptography.hazmat.primitives.hashes import SHA256

    return digest(SHA256()).hex(":").upper()


def test_bare_is_show(show: Show) -> None:
    assert show() == show("show")
    assert "certifi" in show()


def test_the_winner_and_the_overridden(show: Show, bundle: Path, stranger_bundle: Path) -> None:
    text = show("show", "--cert", bundle, REQUESTS_CA_BUNDLE=str(stranger_bundle))
    trusted, rest = text.split("Anchors", 1)
    assert str(bundle) in trusted
    assert "--cert" in trusted
    assert f"REQUESTS_CA_BUNDLE in the environment ({stranger_bundle})" in trusted
    assert "REQUESTS_CA_BUNDLE" in rest
    assert "not in force" in rest


def test_verbose_lists_fingerprints(show: Show, bundle: Path, private_ca: Authority) -> None:
    assert fingerprint(private_ca) in show("show", "-v", "--cert", bundle)
    assert fingerprint(private_ca) not in show("show", "--cert", bundle)


def test_the_variables_of_openssl_are_named_as_not_used(show: Show, bundle: Path) -> None:
    line = next(line for line in show(SSL_CERT_FILE=str(bundle)).splitlines() if "SSL_CERT" in line)
    assert "not used" in line
    text = show("--use-feature", "truststore", SSL_CERT_FILE=str(bundle))
    line = next(line for line in text.splitlines() if "SSL_CERT_FILE in" in line)
    assert "not used" not in line


@pytest.mark.parametrize(
    ("host", "words", "expected"),
    [
        pytest.param("index.example", [], "verified against", id="verified"),
        pytest.param(
            "index.example", ["--trusted-host", "index.example:443"], "NOT be verified", id="exempt"
        ),
        pytest.param(
            "index.example:8443",
            ["--trusted-host", "index.example:443"],
            "verified against",
            id="another-port",
        ),
        pytest.param("http://index.example", [], "plain HTTP", id="plain"),
    ],
)
def test_a_host(show: Show, host: str, words: list[str], expected: str) -> None:
    assert expected in show("show", host, *words)


def test_a_hosts_proxy(show: Show) -> None:
    text = show("show", "index.example", HTTPS_PROXY="http://ana:secret@proxy.example:3128")
    assert "proxy.example:3128" in text
    assert "secret" not in text


def test_export_is_a_bundle(show: Show, bundle: Path, private_ca: Authority) -> None:
    exported = show("export", "--cert", bundle)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=exported)
    assert context.get_ca_certs(binary_form=True) == [
        ssl.PEM_cert_to_DER_cert(private_ca.pem.decode())
    ]
