"""Every row of the decision table, by handshake: who is let in, and that nobody else is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import certifi
import pytest

from kedge import trust
from kedge.model import Origin, OriginKind, Sourced, TrustDecision
from support.handshakes import ACCEPTED, UNTRUSTED, verify_code
from support.pki import Authority, Certificate, authority

NAMES = ("certifi", "system", "cert", "requests", "curl", "extra", "more")


@dataclass(frozen=True)
class Place:
    """One authority for each source that a row may name, a file with it, a server under it."""

    authorities: dict[str, Authority]
    servers: dict[str, Certificate]
    files: dict[str, str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("rows")
    authorities = {name: authority(f"Root of {name}") for name in NAMES}
    return Place(
        authorities,
        {name: root.leaf("localhost") for name, root in authorities.items()},
        {name: str(root.write_pem(folder / f"{name}.pem")) for name, root in authorities.items()},
    )


ROWS = {
    "nothing set": ("", "certifi"),
    "REQUESTS_CA_BUNDLE": ("requests", "requests"),
    "CURL_CA_BUNDLE": ("curl", "curl"),
    "both variables": ("requests curl", "requests"),
    "cert": ("cert", "cert"),
    "cert and both variables": ("cert requests curl", "cert"),
    "truststore": ("truststore", "system"),
    "truststore, REQUESTS_CA_BUNDLE": ("truststore requests", "system requests"),
    "truststore, CURL_CA_BUNDLE": ("truststore curl", "system curl"),
    "truststore, both variables": ("truststore requests curl", "system requests"),
    "truststore, cert": ("truststore cert", "system cert"),
    "truststore, cert, variables": ("truststore cert requests curl", "system cert"),
    "extra": ("extra", "certifi extra"),
    "two extras": ("extra more", "certifi extra more"),
    "REQUESTS_CA_BUNDLE, extra": ("requests extra", "requests extra"),
    "cert, extra": ("cert extra requests", "cert extra"),
    "truststore, extra": ("truststore extra", "system extra"),
    "truststore, cert, extra": ("truststore cert extra", "system cert extra"),
}


@pytest.mark.parametrize(("given", "let_in"), list(ROWS.values()), ids=list(ROWS))
def test_row(
    given: str, let_in: str, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every source is there in every row; OpenSSL would read the variables by itself.
    environ = {"SSL_CERT_FILE": place.files["system"], "SSL_CERT_DIR": str(tmp_path)}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(certifi, "where", lambda: place.files["certifi"])
    context = trust.context_for(_decide(set(given.split()), place), environ)
    codes = {name: verify_code(context, server) for name, server in place.servers.items()}
    assert {name for name, code in codes.items() if code == ACCEPTED} == set(let_in.split())
    assert {code for code in codes.values() if code != ACCEPTED} <= UNTRUSTED


def _decide(given: set[str], place: Place) -> TrustDecision:
    def setting(name: str, kind: OriginKind, written: str) -> Sourced[str] | None:
        return Sourced(place.files[name], Origin(kind, written)) if name in given else None

    extras = [
        Sourced(place.files[name], Origin(OriginKind.COMMAND_LINE, "--extra-cert"))
        for name in ("extra", "more")
        if name in given
    ]
    return trust.decide(
        trust.TrustSettings(
            truststore=Sourced("truststore" in given),
            cert=setting("cert", OriginKind.COMMAND_LINE, "--cert"),
            requests_ca_bundle=setting("requests", OriginKind.ENVIRONMENT, "REQUESTS_CA_BUNDLE"),
            curl_ca_bundle=setting("curl", OriginKind.ENVIRONMENT, "CURL_CA_BUNDLE"),
            extra_certs=tuple(extras),
        )
    )


def test_the_real_certifi_vouches_for_no_test_authority(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", place.files["system"])
    environ = {"SSL_CERT_FILE": place.files["system"]}
    context = trust.context_for(trust.decide(trust.TrustSettings()), environ)
    assert context.cert_store_stats()["x509"] > 50
    assert verify_code(context, place.servers["system"]) in UNTRUSTED


def test_a_second_context_trusts_the_same(place: Place) -> None:
    origin = Origin(OriginKind.COMMAND_LINE, "--cert")
    settings = trust.TrustSettings(cert=Sourced(place.files["cert"], origin))
    anchors = trust.load(trust.decide(settings), environ={})
    first, second = trust.make_context(anchors), trust.make_context(anchors)
    assert first is not second
    for context in (first, second):
        assert verify_code(context, place.servers["cert"]) == ACCEPTED
        assert verify_code(context, place.servers["extra"]) in UNTRUSTED
